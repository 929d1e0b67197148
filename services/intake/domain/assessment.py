"""What the protocol says of a case now, and what that changes: holds, version, timelines. Pure.

Invariants: a new blocking finding places its rule's hold whether or not the gate was already shut;
a rule's hold closes the gates at which its finding blocks, no more and no fewer; an improvement
never raises the clearance version; absence of news changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from shared.contracts.coordination import DueItem, TimelineInterval
from shared.contracts.vocabulary import Gate, Verdict
from shared.protocol import (
    Decision,
    Due,
    Fact,
    Finding,
    HoldKey,
    Interval,
    Protocol,
    Record,
    When,
    decide,
    hold_findings,
    newly_blocking,
    releasable,
    timeline,
)

#: covers the longest schedule template (16 infusions in 60 weeks) with room for re-planning
TIMELINE_HORIZON: Final = timedelta(days=540)
_RANK: Final = {verdict: rank for rank, verdict in enumerate(Verdict)}


@dataclass(frozen=True, slots=True)
class Assessment:
    """The decisions of all gates at one instant."""

    at: datetime
    decisions: Mapping[Gate, Decision]

    @property
    def all(self) -> tuple[Decision, ...]:
        """The decisions in the order of the gates."""
        return tuple(self.decisions.values())


@dataclass(frozen=True, slots=True)
class Standing:
    """What was last known of a gate: its verdict and its blocking findings' keys."""

    verdict: Verdict
    blocking: frozenset[HoldKey]


@dataclass(frozen=True, slots=True)
class RuleHold:
    """A hold that a finding asks for: over the gates at which the finding shuts."""

    finding: Finding
    gates: frozenset[Gate]


@dataclass(frozen=True, slots=True)
class HoldChanges:
    """Rule holds to place, and keys of those to release."""

    to_place: tuple[RuleHold, ...]
    to_release: frozenset[HoldKey]


def assess(protocol: Protocol, facts: Iterable[Fact] | Record, at: datetime) -> Assessment:
    """The decisions of every gate on these facts."""
    record = Record.of(protocol, facts)
    return Assessment(at, {gate: decide(protocol, record, gate, at) for gate in Gate})


def standing_of(decision: Decision) -> Standing:
    """What to remember of a decision."""
    keys = frozenset(f.hold_key for f in decision.blocking if not f.only_evidence)
    return Standing(decision.verdict, keys)


def hold_changes(
    assessment: Assessment, open_gates: Mapping[HoldKey, frozenset[Gate]]
) -> HoldChanges:
    """The rule holds that must be open and are not, and the keys of those that are over.

    `open_gates`: the gates of each open rule hold. One whose finding shuts other gates than before
    (an override answers one gate, a washout ends at one before the other) is placed anew over
    exactly those: more would keep a gate shut without a reason, fewer would leave one open.
    """
    shut = _gates_shut(assessment)
    in_place = {key for key, gates in open_gates.items() if shut.get(key) == gates}
    return HoldChanges(
        to_place=tuple(
            RuleHold(finding, shut[finding.hold_key])
            for finding in newly_blocking(in_place, assessment.all)
        ),
        to_release=releasable(open_gates.keys(), assessment.all),
    )


def _gates_shut(assessment: Assessment) -> Mapping[HoldKey, frozenset[Gate]]:
    """The gates at which each (rule, episode) asks for a hold."""
    found: dict[HoldKey, set[Gate]] = {}
    for gate, decision in assessment.decisions.items():
        for finding in hold_findings(decision):
            found.setdefault(finding.hold_key, set()).add(gate)
    return {key: frozenset(gates) for key, gates in found.items()}


def worsened_gates(before: Mapping[Gate, Standing], assessment: Assessment) -> frozenset[Gate]:
    """Gates whose verdict is worse than before, or that have a new finding of substance."""
    return frozenset(
        gate
        for gate, decision in assessment.decisions.items()
        if _is_worse(before.get(gate), standing_of(decision))
    )


def _is_worse(before: Standing | None, after: Standing) -> bool:
    if before is None:
        return False
    return _RANK[after.verdict] > _RANK[before.verdict] or bool(after.blocking - before.blocking)


def timeline_of(
    protocol: Protocol, facts: Iterable[Fact] | Record, gate: Gate, now: datetime
) -> tuple[TimelineInterval, ...]:
    """The gate's intervals from `now` to the horizon, in the form in which they are published.

    Pass one `Record` when several gates are asked: what they share is then worked out once.
    """
    found = timeline(protocol, facts, gate, now, now + TIMELINE_HORIZON)
    return tuple(_published(interval) for interval in found)


def _published(interval: Interval) -> TimelineInterval:
    return TimelineInterval(
        starts_at=interval.begins,
        ends_at=interval.ends,
        start=interval.start,
        plan=interval.plan,
        rules=interval.rules,
        plan_rules=interval.plan_rules,
        due=tuple(_due_item(due) for due in interval.due),
    )


def _due_item(due: Due) -> DueItem:
    return DueItem(
        item=due.item,
        not_before=_day(due.not_before),
        not_after=_day(due.not_after),
        owner=due.owner,
    )


def _day(when: When) -> date:
    return when.date() if isinstance(when, datetime) else when


def same_course(
    published: Sequence[TimelineInterval], fresh: Sequence[TimelineInterval], now: datetime
) -> bool:
    """Whether two timelines say the same of every instant from `now` to where both end."""
    end = min((part[-1].ends_at for part in (published, fresh) if part), default=now)
    return _clipped(published, now, end) == _clipped(fresh, now, end)


def _clipped(
    intervals: Sequence[TimelineInterval], now: datetime, end: datetime
) -> list[tuple[datetime, Verdict, Verdict, tuple[str, ...], tuple[DueItem, ...]]]:
    return [
        (max(part.starts_at, now), part.start, part.plan, part.rules, part.due)
        for part in intervals
        if part.ends_at > now and part.starts_at < end
    ]


def next_boundary(intervals: Sequence[TimelineInterval]) -> datetime | None:
    """The first instant at which time alone changes the gate, or the end of what was computed."""
    return intervals[0].ends_at if intervals else None


def is_past(boundary: datetime | None, now: datetime) -> bool:
    """Whether the instant at which time alone changes the gate has come."""
    return boundary is not None and boundary <= now
