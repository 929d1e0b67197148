"""Whether a metric is known at a moment, and if not, why (DATA-001, -006, -007, -008, -009).

Invariant: known means a final, usable value in date. Everything else is unknown with a reason;
a value that may only hold never makes a metric known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from shared.contracts.vocabulary import Gate
from shared.protocol.clinic_time import TICK, ClinicTime, Moment
from shared.protocol.facts import Stated
from shared.protocol.findings import FindingKind
from shared.protocol.record import Record
from shared.protocol.rulebook.rows import Age, EvidenceRule
from shared.protocol.rules.measurements import Value, standing, values, withdrawn

ONE_DAY = timedelta(days=1)
ANY_AGE = Age()
_REMEMBERED_MAX = 5000
"""Answers that a record remembers: a year of one gate needs fewer."""
MISSING, STALE = "DATA-008", "DATA-009"
IN_ERROR, UNUSABLE, PRELIMINARY = "DATA-001", "DATA-006", "DATA-007"


@dataclass(frozen=True, slots=True)
class Known:
    """`in_date`: usable values that count now. `reason`: the data rule when not known."""

    in_date: tuple[Value, ...]
    reason: str | None = None
    about: tuple[Stated, ...] = ()

    @property
    def kind(self) -> FindingKind:
        """Stale when there was a value that is too old now, else missing."""
        return FindingKind.STALE if self.reason == STALE else FindingKind.MISSING


def evidence_of(record: Record, gate: Gate) -> dict[str, tuple[EvidenceRule, Age]]:
    """Return which evidence row gives the age of each metric at a gate."""
    return {
        metric: (row, row.ages[gate])
        for row in record.protocol.evidence
        if gate in row.ages
        for metric in record.protocol.item(row.item).members
    }


def is_fresh(value: Value, at: Moment, age: Age, time: ClinicTime) -> bool:
    """True when a value is not too old; hours count from the first instant it can mean."""
    if age.hours is not None:
        return at.instant - value.earliest <= timedelta(hours=age.hours)
    return age.days is None or (at.day - value.day).days <= age.days


def metric_known(record: Record, metric: str, at: Moment, age: Age) -> Known:
    """Return what is known of a metric at a moment; several rules ask the same."""
    answers: dict[object, Known] = record.shared.setdefault("known", {})  # type: ignore[assignment]
    key = (metric, at.instant, age)
    found = answers.get(key)
    if found is None:
        if len(answers) >= _REMEMBERED_MAX:
            answers.clear()
        found = answers[key] = _metric_known(record, metric, at, age)
    return found


def _metric_known(record: Record, metric: str, at: Moment, age: Age) -> Known:
    current = standing(values(record, metric), at)
    fresh = [value for value in current if is_fresh(value, at, age, record.time)]
    usable = tuple(value for value in fresh if value.is_usable)
    finals = [value for value in fresh if value.may_clear]
    spoiled = [value for value in finals if value not in usable]
    if finals and not spoiled:
        return Known(usable)
    if spoiled:
        return Known(usable, UNUSABLE, tuple(value.fact for value in spoiled))
    if fresh:
        return Known(usable, PRELIMINARY, tuple(value.fact for value in fresh))
    in_error = _in_error(record, metric, at, age)
    if in_error:
        return Known((), IN_ERROR, in_error)
    if current:
        return Known((), STALE, tuple(value.fact for value in current))
    return Known((), MISSING)


def _in_error(record: Record, metric: str, at: Moment, age: Age) -> tuple[Stated, ...]:
    """Return results entered in error that would have been in date."""
    return tuple(
        fact
        for fact in withdrawn(record, metric)
        if fact.effective is not None
        and record.time.earliest(fact.effective) <= at.instant
        and _is_recent(record.time.day_of(fact.effective), at.day, age)
    )


def _is_recent(day: date, now: date, age: Age) -> bool:
    return age.days is None or (now - day).days <= age.days


def metric_edges(record: Record, metric: str, age: Age) -> tuple[set[date], set[datetime]]:
    """Return the days and instants at which what is known of a metric may change."""
    days: set[date] = set()
    instants: set[datetime] = set()
    for value in values(record, metric):
        if value.day == date.min:
            continue
        instants.add(value.earliest)
        _age_edges(value.day, value.earliest, age, days, instants)
    for fact in withdrawn(record, metric):
        if fact.effective is not None:
            start = record.time.earliest(fact.effective)
            instants.add(start)
            _age_edges(record.time.day_of(fact.effective), start, age, days, instants)
    return days, instants


def _age_edges(
    day: date, start: datetime, age: Age, days: set[date], instants: set[datetime]
) -> None:
    if age.hours is not None:
        instants.add(start + timedelta(hours=age.hours) + TICK)
    elif age.days is not None:
        days.add(day + timedelta(days=age.days) + ONE_DAY)


def union_edges(
    parts: Iterator[tuple[set[date], set[datetime]]] | Sequence[tuple[set[date], set[datetime]]],
) -> tuple[frozenset[date], frozenset[datetime]]:
    """Return the union of several sets of edges."""
    days: set[date] = set()
    instants: set[datetime] = set()
    for part_days, part_instants in parts:
        days |= part_days
        instants |= part_instants
    return frozenset(days), frozenset(instants)
