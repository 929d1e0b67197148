"""Items of evidence: what is on file, by statement or by results, and whether it is in date.

Invariant: an item with limits is known only when each of its members has its own value in date; a
statement alone never stands for a value. What was withdrawn is not on file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from shared.protocol.clinic_time import TICK, Moment
from shared.protocol.facts import Evidence, Stated, When
from shared.protocol.findings import FindingKind
from shared.protocol.record import Record
from shared.protocol.rulebook.rows import Age, Item, MetricRule
from shared.protocol.rules.check import Case
from shared.protocol.rules.known import (
    IN_ERROR,
    MISSING,
    ONE_DAY,
    PRELIMINARY,
    STALE,
    UNUSABLE,
    metric_edges,
    metric_known,
)
from shared.protocol.rules.measurements import mentioned, values
from shared.protocol.words import FactStatus


@dataclass(frozen=True, slots=True)
class ItemKnown:
    """Whether an item is in date; if not: the data rule, what it is about, which members lack."""

    is_known: bool
    reason: str | None = None
    about: tuple[Stated, ...] = ()
    members: tuple[str, ...] = ()
    is_withdrawn: bool = False

    @property
    def kind(self) -> FindingKind:
        """Stale when something is on file that is too old now, else missing."""
        return FindingKind.STALE if self.reason == STALE else FindingKind.MISSING


KNOWN = ItemKnown(is_known=True)


def item_statements(record: Record, item: Item) -> tuple[Evidence, ...]:
    """Return the statements on an item under any of its names."""
    table = record.shared.get("evidence")
    if table is None:
        made: dict[str, list[Evidence]] = {}
        for stated in record.all(Evidence):
            known = record.protocol.tables.items.get(stated.item)
            made.setdefault(stated.item if known is None else known.name, []).append(stated)
        table = record.shared["evidence"] = {name: tuple(made[name]) for name in made}
    return table.get(item.name, ())  # type: ignore[attr-defined, no-any-return]  # written only here


def item_known(case: Case, name: str, at: Moment, age: Age) -> ItemKnown:
    """Return whether an item is known at a moment."""
    item = case.protocol.item(name)
    if item.members:
        return _by_members(case, item, at, age)
    if _is_measured(case.record, item):
        return _by_groups(case, item, at, age)
    stated = _by_statement(case, item, at, age)
    if stated.is_known or not item.groups:
        return stated
    grouped = _by_groups(case, item, at, age)
    return grouped if grouped.is_known or stated.reason == MISSING else stated


def _by_members(case: Case, item: Item, at: Moment, age: Age) -> ItemKnown:
    """Judge an item with limits: each member that the gate limits needs its own value."""
    needed = needed_members(case, item)
    lacking: list[str] = []
    about: list[Stated] = []
    reasons: set[str] = set()
    for metric in needed:
        found = metric_known(case.record, metric, at, age)
        if found.reason is None or _has_better(case, metric, at, age):
            continue
        if case.record.assume and not mentioned(case.record, metric):
            continue
        lacking.append(metric)
        about.extend(found.about)
        reasons.add(found.reason)
    if lacking:
        return ItemKnown(False, _worst(reasons), tuple(about), tuple(lacking))
    if item_statements(case.record, item) and not any(values(case.record, m) for m in needed):
        return _by_statement(case, item, at, age)  # its date is judged, its values are assumed
    return KNOWN


def _is_measured(record: Record, item: Item) -> bool:
    """True when results alone speak for the item: then nothing of those results is assumed."""
    if item_statements(record, item):
        return False
    return any(mentioned(record, metric) for group in item.groups for metric in group)


def needed_members(case: Case, item: Item) -> tuple[str, ...]:
    """Return the members that are limited at the gate; all of them where none is."""
    limited = _limited(case)
    return tuple(metric for metric in item.members if metric in limited) or item.members


def _limited(case: Case) -> frozenset[str]:
    key = f"limited:{case.gate}"
    found = case.record.shared.get(key)
    if found is None:
        found = case.record.shared[key] = _limited_metrics(case)
    return found  # type: ignore[return-value]  # only this function writes the key


def _limited_metrics(case: Case) -> frozenset[str]:
    from_labs = {rule.metric for rule in case.protocol.labs if case.gate in rule.limits}
    from_rules = {
        rule.metric
        for rule in case.protocol.patient_rules
        if isinstance(rule, MetricRule) and case.covers(rule.rule)
    }
    return frozenset(from_labs | from_rules)


def _has_better(case: Case, metric: str, at: Moment, age: Age) -> bool:
    """True when the metric's alternative is known: of ALC and CD3, one is enough."""
    other = _stand_ins(case.record).get(metric)
    return other is not None and metric_known(case.record, other, at, age).reason is None


def _stand_ins(record: Record) -> dict[str, str]:
    """Return the other metric of each pair of alternatives, either way round; built once."""
    found = record.shared.get("stand_ins")
    if found is None:
        metrics = {rule.rule.id: rule.metric for rule in record.protocol.labs}
        pairs = [
            (rule.metric, metrics[rule.alternative_to])
            for rule in reversed(record.protocol.labs)
            if rule.alternative_to is not None
        ]
        found = record.shared["stand_ins"] = {
            one: other for pair in pairs for one, other in (pair, pair[::-1])
        }
    return found  # type: ignore[return-value]  # only this function writes the key


def _worst(reasons: set[str]) -> str:
    # What is wrong with a result says more than that one is absent or old.
    order = (IN_ERROR, UNUSABLE, PRELIMINARY, MISSING, STALE)
    return min(reasons, key=order.index)


def _by_groups(case: Case, item: Item, at: Moment, age: Age) -> ItemKnown:
    # An item of which something is or was stated is mentioned: then no part of it is assumed.
    is_said = item_statements(case.record, item) or _in_error(case.record, item)
    may_assume = case.record.assume and not is_said
    reasons: set[str] = set()
    lacking: list[str] = []
    about: list[Stated] = []
    for group in item.groups:
        found = [metric_known(case.record, metric, at, age) for metric in group]
        if any(known.reason is None for known in found):
            continue
        if may_assume and not any(mentioned(case.record, metric) for metric in group):
            continue
        lacking.append(group[0])
        reasons |= {known.reason for known in found if known.reason is not None}
        about.extend(fact for known in found for fact in known.about)
    if not lacking:
        return KNOWN
    reasons = reasons - {MISSING} if len(reasons) > 1 else reasons
    return ItemKnown(False, _worst(reasons), tuple(about), tuple(lacking))


def _by_statement(case: Case, item: Item, at: Moment, age: Age) -> ItemKnown:
    stated = item_statements(case.record, item)
    if not stated and case.record.assume and not _in_error(case.record, item):
        return KNOWN
    said = [s for s in stated if _is_said(case, s, at)]
    finals = [s for s in said if s.status is not FactStatus.PRELIMINARY]
    newest = _newest(case, finals)
    if newest is None:
        return _nothing(case.record, item, said)
    if any(s.withdrawn for s in newest):
        return ItemKnown(False, MISSING, tuple(newest), is_withdrawn=True)
    if not any(_is_in_date(case, s, at, age) for s in newest):
        reason = MISSING if all(s.effective is None for s in newest) else STALE
        return ItemKnown(False, reason, tuple(newest))
    if item.topics and not _covers_topics(case, finals):
        return ItemKnown(False, MISSING, tuple(newest))
    return KNOWN


def _nothing(record: Record, item: Item, said: Sequence[Evidence]) -> ItemKnown:
    if said:
        return ItemKnown(False, PRELIMINARY, tuple(said))
    withdrawn = _in_error(record, item)
    return ItemKnown(False, IN_ERROR, withdrawn) if withdrawn else ItemKnown(False, MISSING)


def _in_error(record: Record, item: Item) -> tuple[Stated, ...]:
    names = (item.name, *item.also)
    return tuple(
        fact
        for fact in record.resolved.in_error
        if isinstance(fact, Evidence) and fact.item in names
    )


def _is_said(case: Case, stated: Evidence, at: Moment) -> bool:
    return stated.effective is None or case.time.earliest(stated.effective) <= at.instant


def _newest(case: Case, said: Sequence[Evidence]) -> list[Evidence] | None:
    """Return the statements that no later one supersedes: all of the newest day or instant."""
    begins = [case.time.earliest(s.effective) for s in said if s.effective is not None]
    if not begins:
        return list(said) or None
    last = max(begins)
    return [s for s in said if s.effective is not None and case.time.latest(s.effective) >= last]


def _is_in_date(case: Case, stated: Evidence, at: Moment, age: Age) -> bool:
    if stated.valid_until is not None and case.time.latest(stated.valid_until) < at.instant:
        return False
    if age.days is None and age.hours is None:
        return True
    if stated.effective is None:
        return False
    if age.hours is not None:
        return at.instant - case.time.earliest(stated.effective) <= timedelta(hours=age.hours)
    return age.days is None or (at.day - case.time.day_of(stated.effective)).days <= age.days


def _covers_topics(case: Case, stated: Sequence[Evidence]) -> bool:
    """True when every topic was explained; a statement without topics says that all were."""
    if any(s.topics is None for s in stated):
        return True
    explained = {topic for s in stated for topic in s.topics or ()}
    return explained.issuperset(case.protocol.tables.topics)


def item_edges(record: Record, name: str, age: Age) -> tuple[set[date], set[datetime]]:
    """Return when the answer about an item may change."""
    item = record.protocol.item(name)
    days: set[date] = set()
    instants: set[datetime] = set()
    for metric in _metrics_of(record, item):
        more_days, more_instants = metric_edges(record, metric, age)
        days |= more_days
        instants |= more_instants
    for stated in item_statements(record, item):
        _statement_edges(record, stated.effective, stated.valid_until, age, days, instants)
    return days, instants


def _metrics_of(record: Record, item: Item) -> Iterator[str]:
    yield from item.members
    for group in item.groups:
        yield from group
    partners = {rule.rule.id: rule.metric for rule in record.protocol.labs}
    for rule in record.protocol.labs:
        if rule.alternative_to is not None and partners[rule.alternative_to] in item.members:
            yield rule.metric


def _statement_edges(
    record: Record,
    effective: When | None,
    valid_until: When | None,
    age: Age,
    days: set[date],
    instants: set[datetime],
) -> None:
    time = record.time
    if effective is not None:
        instants.add(time.earliest(effective))
        if age.days is not None:
            days.add(time.day_of(effective) + timedelta(days=age.days) + ONE_DAY)
        if age.hours is not None:
            instants.add(time.earliest(effective) + timedelta(hours=age.hours) + TICK)
    if valid_until is not None:
        instants.add(time.latest(valid_until) + TICK)
