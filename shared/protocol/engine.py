"""The decision of a gate at an instant, and its timeline over a range. Pure functions.

Invariant: `timeline` and `decide` ask the same checks, and the boundaries of a timeline are the
edges that the checks name; nothing is sampled. A record is indexed once and may be asked often.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta

from shared.contracts.vocabulary import Gate, Verdict
from shared.protocol.clinic_time import TICK, Moment
from shared.protocol.facts import Fact, When
from shared.protocol.findings import (
    Decision,
    Due,
    Finding,
    Interval,
    Need,
    utc,
    verdict_of,
)
from shared.protocol.loader import Protocol
from shared.protocol.record import Record
from shared.protocol.rules.answers import answer_edges
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.clearance import clearance_edges
from shared.protocol.rules.families import checks_of, has_fresh_bag, settled

_DAY_MIN, _DAY_MAX = date(1800, 1, 1), date(9900, 1, 1)
"""Edges outside these years belong to open-ended courses and are nobody's question."""


def decide(
    protocol: Protocol,
    facts: Iterable[Fact] | Record,
    gate: Gate,
    at: date | datetime,
    *,
    as_of: datetime | None = None,
    assume_other_evidence_current: bool = False,
) -> Decision:
    """Return the decision for one gate at one instant; a day asks about the end of that day.

    `as_of` limits what is known to facts recorded by then. `assume_other_evidence_current` is for
    tests and what-if only, and shows in the decision. Pass a `Record` to ask several questions of
    the same facts; its own as_of and assumption then count.
    """
    record = Record.of(
        protocol,
        facts,
        as_of=as_of,
        assume_other_evidence_current=assume_other_evidence_current,
    )
    case, moment = Case(record, gate), record.time.moment(at)
    checks = checks_of(case)
    answers = [(check, check.find(moment)) for check in checks]
    findings = settled(case, moment, [f for _, found in answers for f in found])
    verdict = verdict_of(findings)
    earliest = _earliest(case, findings)
    edges = _edges(case, checks)
    return Decision(
        gate=gate,
        at=moment.instant,
        protocol=protocol.ref,
        verdict=verdict,
        plan=_plan(findings),
        findings=findings,
        due=_due_at(case, findings, _reference(case, moment, earliest)),
        earliest=earliest,
        undated=_rules(f for f in findings if f.blocks and f.clears_at is None),
        unknown=_rules(f for f in findings if f.blocks and f.is_unknown),
        next_go=_next_go(case, moment, verdict, answers),
        valid_until=_valid_until(case, edges, moment.instant),
        zone=protocol.zone,
        as_of=record.as_of,
        assume_other_evidence_current=record.assume,
    )


def timeline(
    protocol: Protocol,
    facts: Iterable[Fact] | Record,
    gate: Gate,
    start: datetime,
    end: datetime,
    *,
    as_of: datetime | None = None,
    assume_other_evidence_current: bool = False,
) -> tuple[Interval, ...]:
    """Return the intervals of `[start, end)` in order, without gaps; adjacent ones differ."""
    record = Record.of(
        protocol,
        facts,
        as_of=as_of,
        assume_other_evidence_current=assume_other_evidence_current,
    )
    begin, finish = utc(start), utc(end)
    if finish <= begin:
        return ()
    case = Case(record, gate)
    return tuple(_intervals(case, begin, finish))


# Verdicts and dates


def _plan(findings: Sequence[Finding]) -> Verdict:
    return verdict_of([f for f in findings if not f.only_evidence])


def _rules(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.rule for finding in findings))


def _earliest(case: Case, findings: Sequence[Finding]) -> When | None:
    dated = [f.clears_at for f in findings if f.blocks and f.clears_at is not None]
    return max(dated, key=lambda w: (case.time.earliest(w), isinstance(w, datetime)), default=None)


def _reference(case: Case, at: Moment, earliest: When | None) -> Moment:
    """Return the moment for which due windows are told: the earliest possible one."""
    if earliest is None or case.time.earliest(earliest) <= at.instant:
        return at
    return case.time.moment(earliest)


def _horizon(case: Case, instant: datetime) -> datetime:
    return instant + timedelta(days=case.protocol.tables.horizon_days)


# Edges


def _edges(case: Case, checks: Sequence[Check]) -> list[datetime]:
    """Return every instant at which the gate may change, sorted; built once per record and gate."""
    key = f"edges:{case.gate}"
    found = case.record.shared.get(key)
    if found is None:
        days: set[date] = set()
        instants: set[datetime] = set()
        for check in checks:
            days.update(check.days)
            instants.update(check.instants)
        instants.update(_settling_edges(case))
        instants.update(case.time.start_of(day) for day in days if _DAY_MIN < day < _DAY_MAX)
        found = case.record.shared[key] = sorted(instants)
    return found  # type: ignore[return-value]  # only this function writes the key


def _settling_edges(case: Case) -> Iterator[datetime]:
    yield from answer_edges(case)
    yield from clearance_edges(case)
    if case.gate is Gate.RELEASE and has_fresh_bag(case.record):
        infusion = Case(case.record, Gate.INFUSION)
        yield from _edges(infusion, checks_of(infusion))


def _next_edge(edges: Sequence[datetime], after: datetime, until: datetime) -> datetime | None:
    index = bisect_right(edges, after)
    return edges[index] if index < len(edges) and edges[index] <= until else None


def _valid_until(case: Case, edges: Sequence[datetime], issued: datetime) -> datetime | None:
    """Return when time alone may change the answer; CLR-001 ends a clearance to infuse before."""
    changes = _next_edge(edges, issued, _horizon(case, issued))
    if not case.asks_for_infusion:
        return changes
    expires = issued + timedelta(hours=case.protocol.clearance.expires_after_hours)
    return expires if changes is None else min(changes, expires)


def _edges_between(case: Case, check: Check, begin: datetime, finish: datetime) -> list[datetime]:
    """Return the check's own edges inside the range, with its beginning, sorted."""
    first, last = case.time.day_of(begin), case.time.day_of(finish)
    starts = {case.time.start_of(day) for day in check.days if first < day <= last}
    inside = {at for at in (*check.instants, *starts) if begin < at < finish}
    return [begin, *sorted(inside)]


# The first GO


def _next_go(
    case: Case,
    at: Moment,
    verdict: Verdict,
    answers: Sequence[tuple[Check, Sequence[Finding]]],
) -> datetime | None:
    """Return the first instant from `at` on with a GO on the facts on record, if any.

    A blocking answer of a check without later edges stays for good, which settles most questions
    without looking ahead; only an answer still to come from a person could change it.
    """
    if verdict is Verdict.GO:
        return at.instant
    until = _horizon(case, at.instant)
    if all(edge <= at.instant for edge in answer_edges(case)):
        for check, found in answers:
            stays = any(f.blocks for f in found) and not _has_later_edge(case, check, at, until)
            if stays and not _is_answered(case, at, found):
                return None
    # Most often the gate opens at the latest clear date: look no further than needed.
    for end in dict.fromkeys((_soon(case, answers, until), until)):
        for begins, findings in _sweep(case, at.instant, end):
            if verdict_of(findings) is Verdict.GO:
                return begins
    return None


def _soon(
    case: Case, answers: Sequence[tuple[Check, Sequence[Finding]]], until: datetime
) -> datetime:
    dated = [f.clears_at for _, found in answers for f in found if f.clears_at is not None]
    latest = max((case.time.earliest(when) for when in dated), default=until)
    return min(until, latest + timedelta(days=1))


def _has_later_edge(case: Case, check: Check, at: Moment, until: datetime) -> bool:
    last = case.time.day_of(until)
    return any(at.day < day <= last for day in check.days) or any(
        at.instant < edge <= until for edge in check.instants
    )


def _is_answered(case: Case, at: Moment, found: Sequence[Finding]) -> bool:
    blocking = [f for f in found if f.blocks]
    return not any(f.blocks for f in settled(case, at, blocking))


# The timeline


def _sweep(
    case: Case, begin: datetime, finish: datetime
) -> Iterator[tuple[datetime, tuple[Finding, ...]]]:
    """Yield each elementary interval's beginning and its settled findings, in order.

    Every check is asked only at its own edges; between them its last answer stands.
    """
    changes: dict[datetime, list[tuple[int, Sequence[Finding]]]] = {begin: []}
    for number, check in enumerate(checks_of(case)):
        before: Sequence[Finding] = ()
        for at in _edges_between(case, check, begin, finish):
            found = check.find(Moment(at, case.time.day_of(at)))
            if found or before:
                changes.setdefault(at, []).append((number, found))
            before = found
    for at in _settling_edges(case):
        if begin < at < finish:
            changes.setdefault(at, [])
    standing: dict[int, Sequence[Finding]] = {}
    for at in sorted(changes):
        standing.update(changes[at])
        found = [finding for number in sorted(standing) for finding in standing[number]]
        yield at, settled(case, Moment(at, case.time.day_of(at)), found)


def _intervals(case: Case, begin: datetime, finish: datetime) -> Iterator[Interval]:
    """Yield the merged intervals: neighbours that say the same are one."""
    held: tuple[datetime, tuple[Finding, ...], _Said] | None = None
    for at, findings in _sweep(case, begin, finish):
        said = _said(findings)
        if held is not None and held[2] != said:
            yield _interval(case, held[0], at, held[2])
        if held is None or held[2] != said:
            held = (at, findings, said)
    assert held is not None  # noqa: S101  (a sweep begins with its own beginning)
    yield _interval(case, held[0], finish, held[2])


_Said = tuple[Verdict, Verdict, tuple[str, ...], tuple[tuple[str, Need], ...], tuple[str, ...]]


def _said(findings: Sequence[Finding]) -> _Said:
    return (
        verdict_of(list(findings)),
        _plan(findings),
        _rules(f for f in findings if f.blocks),
        _needs(findings),
        _rules(f for f in findings if f.blocks and not f.only_evidence),
    )


def _needs(findings: Sequence[Finding]) -> tuple[tuple[str, Need], ...]:
    """Return what is due, one entry per item: the rule that asks for the youngest."""
    found: dict[str, tuple[timedelta, str, Need]] = {}
    for finding in findings:
        if finding.blocks and finding.only_evidence:
            for need in finding.needs:
                age, known = _strictness(need), found.get(need.item)
                if known is None or age < known[0]:
                    found[need.item] = (age, finding.rule, need)
    return tuple(found[item][1:] for item in sorted(found))


def _strictness(need: Need) -> timedelta:
    if need.age_hours is not None:
        return timedelta(hours=need.age_hours)
    return timedelta.max if need.age_days is None else timedelta(days=need.age_days)


def _interval(case: Case, begins: datetime, ends: datetime, said: _Said) -> Interval:
    last = ends - TICK
    window = Moment(begins, case.time.day_of(begins)), Moment(last, case.time.day_of(last))
    return Interval(
        begins=begins,
        ends=ends,
        start=said[0],
        plan=said[1],
        rules=said[2],
        due=tuple(_due(case, rule, need, *window) for rule, need in said[3]),
        zone=case.protocol.zone,
        plan_rules=said[4],
    )


def _due_at(case: Case, findings: Sequence[Finding], at: Moment) -> tuple[Due, ...]:
    return tuple(_due(case, rule, need, at, at) for rule, need in _needs(findings))


def _due(case: Case, rule: str, need: Need, first: Moment, last: Moment) -> Due:
    """Return a due entry for a step somewhere between two moments."""
    not_before: When
    not_after: When
    if need.age_hours is not None:
        not_before = first.instant - timedelta(hours=need.age_hours)
        not_after = last.instant
    else:
        not_before = first.day - timedelta(days=need.age_days or 0)
        not_after = last.day
    if need.not_before is not None and case.time.earliest(need.not_before) > case.time.earliest(
        not_before
    ):
        not_before = need.not_before
    return Due(need.item, not_before, not_after, need.owner, rule, need.age_days, need.age_hours)
