"""Clear days after a positive test (INF-005): a negative test after it, and time without symptoms.

Invariant: each time of positivity is judged from its first positive; a positive result after a
negative one begins another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from shared.protocol.clinic_time import Moment
from shared.protocol.facts import Infection, Stated, When
from shared.protocol.findings import Finding, FindingKind, Need
from shared.protocol.rulebook.rows import PositiveTestRule
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.conditions import has_come, infection_begin
from shared.protocol.rules.items import item_edges, item_known, item_statements
from shared.protocol.rules.known import ANY_AGE, metric_edges, union_edges
from shared.protocol.rules.measurements import Value, values


@dataclass(frozen=True, slots=True)
class Positivity:
    """One time of positivity and what is stated about its symptoms."""

    fact: Stated
    first: When
    symptom_free_since: When | None


def positive_test_checks(case: Case) -> Iterator[Check]:
    """Yield a check for each time of positivity at the gate."""
    for rule in case.protocol.patient_rules:
        if isinstance(rule, PositiveTestRule) and case.covers(rule.rule):
            found = tuple(_positivities(case, rule))
            for positivity in found:
                yield Check(_PositiveCheck(case, rule, positivity), *_edges(case, rule, positivity))


def _results(case: Case, rule: PositiveTestRule) -> list[Value]:
    found = [v for metric in rule.labs for v in values(case.record, metric) if v.is_usable]
    return sorted(found, key=lambda v: (v.earliest, v.word is not True, v.fact.id))


def _positivities(case: Case, rule: PositiveTestRule) -> Iterator[Positivity]:
    begun: list[Positivity] = []
    for infection in case.record.all(Infection):
        first = infection.first_positive or infection_begin(infection)
        if infection.type.value in rule.infection_types and first is not None:
            begun.append(Positivity(infection, first, infection.symptom_free_since))
    yield from begun
    was_positive = False
    for result in _results(case, rule):
        if result.word is True and not was_positive and not _is_told(begun, result, case, rule):
            yield Positivity(result.fact, result.fact.effective or result.day, None)
        was_positive = result.word is True


def _is_told(
    begun: Sequence[Positivity], result: Value, case: Case, rule: PositiveTestRule
) -> bool:
    """True when a stated infection is about this result: no negative one lies between."""
    for positivity in begun:
        day = case.time.day_of(positivity.first)
        negatives = [v for v in _results(case, rule) if v.word is False and v.day > day]
        if day <= result.day and not any(v.latest < result.earliest for v in negatives):
            return True
    return False


def _edges(
    case: Case, rule: PositiveTestRule, positivity: Positivity
) -> tuple[frozenset[date], frozenset[datetime]]:
    time = case.time
    day = time.day_of(positivity.first)
    days = {day, day + timedelta(days=rule.min_days)}
    instants = {time.earliest(positivity.first)}
    if positivity.symptom_free_since is not None:
        free = time.latest(positivity.symptom_free_since)
        instants |= {free, free + timedelta(hours=rule.symptom_free_hours)}
    parts = [(days, instants)]
    parts += [metric_edges(case.record, metric, ANY_AGE) for metric in rule.labs]
    for name in (rule.negative_item, rule.symptom_free_item):
        parts.append(item_edges(case.record, name, ANY_AGE))
    return union_edges(parts)


@dataclass(frozen=True, slots=True)
class _PositiveCheck:
    case: Case
    rule: PositiveTestRule
    about: Positivity

    def __call__(self, at: Moment) -> Sequence[Finding]:
        if not has_come(self.about.first, at, self.case.time):
            return ()
        first = self.case.time.day_of(self.about.first)
        elapsed = (at.day - first).days
        if elapsed < self.rule.min_days:
            return (self._too_soon(first, elapsed),)
        return tuple(self._unmet(first, at))

    def _too_soon(self, first: date, elapsed: int) -> Finding:
        return self.case.finding(
            self.rule.rule,
            "infection.positive_test",
            episode=self.about.fact.id,
            uses=(self.about.fact,),
            value=f"{elapsed} d",
            limit=f"{self.rule.min_days} d",
            since=self.about.first,
            clears_at=first + timedelta(days=self.rule.min_days),
        )

    def _unmet(self, first: date, at: Moment) -> Iterator[Finding]:
        if not self._is_negative(first, at):
            yield self._lacking(self.rule.negative_item, first)
        free = self.about.symptom_free_since
        if free is not None:
            clear = self.case.time.latest(free) + timedelta(hours=self.rule.symptom_free_hours)
            if at.instant < clear:
                yield self._symptoms(free, clear)
        elif not self._is_stated(self.rule.symptom_free_item, first, at):
            yield self._lacking(self.rule.symptom_free_item, first)

    def _is_negative(self, first: date, at: Moment) -> bool:
        """True when the last result since the first positive is a final negative one."""
        since = [
            v
            for v in _results(self.case, self.rule)
            if v.earliest <= at.instant and v.day >= first and (v.may_clear or v.word)
        ]
        if since:
            last = max(since, key=lambda v: (v.earliest, v.word is True, v.fact.id))
            if last.word is False:
                return True
            if last.fact.id != self.about.fact.id and last.day > first:
                return False
        return self._is_stated(self.rule.negative_item, first, at, with_results=bool(since))

    def _is_stated(self, name: str, first: date, at: Moment, *, with_results: bool = False) -> bool:
        item = self.case.protocol.item(name)
        stated = item_statements(self.case.record, item)
        if not stated:
            # Assumed evidence never hides a positive result that is the last one on record.
            return self.case.record.assume and not with_results
        age = type(ANY_AGE)(days=max(0, (at.day - first).days))
        return item_known(self.case, name, at, age).is_known

    def _lacking(self, name: str, first: date) -> Finding:
        item = self.case.protocol.item(name)
        return self.case.finding(
            self.rule.rule,
            "infection.positive_test.lacking",
            episode=self.about.fact.id,
            uses=(self.about.fact,),
            kind=FindingKind.MISSING,
            since=self.about.first,
            needs=(Need(name, item.owner, not_before=first, data_rule="DATA-008"),),
            item=self.case.protocol.sentences.word(name),
        )

    def _symptoms(self, free: When, clear: datetime) -> Finding:
        return self.case.finding(
            self.rule.rule,
            "infection.positive_test.symptoms",
            episode=self.about.fact.id,
            uses=(self.about.fact,),
            limit=f"{self.rule.symptom_free_hours} h",
            since=free,
            clears_at=clear,
        )
