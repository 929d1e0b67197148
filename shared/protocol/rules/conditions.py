"""Conditions of the patient: stated by a person or a record, or derived from results.

Invariant: suspected counts like confirmed, and a condition lasts until it is resolved or refuted by
a later statement; silence ends nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from shared.protocol.clinic_time import TICK, ClinicTime, Moment
from shared.protocol.facts import Collection, Condition, Infection, Infusion, Patient, Stated, When
from shared.protocol.findings import Effect, Finding, FindingKind, Need
from shared.protocol.record import Record
from shared.protocol.resolution import BEFORE_ALL
from shared.protocol.rulebook.rows import ConditionRule
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.items import item_edges, item_known
from shared.protocol.rules.known import ANY_AGE, metric_edges, union_edges
from shared.protocol.rules.measurements import standing, values
from shared.protocol.words import Certainty

DECEASED = "deceased"
Edges = tuple[set[date], set[datetime]]


def has_come(when: When | None, at: Moment, time: ClinicTime) -> bool:
    """True when a stated time lies at or before the moment; a day has come from its start."""
    return when is not None and time.earliest(when) <= at.instant


def has_begun(when: When | None, at: Moment, time: ClinicTime) -> bool:
    """True when something that began then goes on at the moment; no time: since ever."""
    return when is None or time.earliest(when) <= at.instant


def statements(record: Record, concept: str) -> tuple[Condition, ...]:
    """Return the condition statements on a concept."""
    table = record.shared.get("conditions")
    if table is None:
        made: dict[str, list[Condition]] = {}
        for condition in record.all(Condition):
            made.setdefault(condition.concept, []).append(condition)
        table = record.shared["conditions"] = {name: tuple(made[name]) for name in made}
    return table.get(concept, ())  # type: ignore[attr-defined, no-any-return]  # written only here


def present(record: Record, concept: str, at: Moment) -> tuple[Condition, ...]:
    """Return the statements by which a concept is the case at a moment."""
    time = record.time
    return tuple(
        stated
        for stated in statements(record, concept)
        if stated.certainty is not Certainty.REFUTED
        and has_begun(_begin(stated), at, time)
        and not has_come(stated.resolved, at, time)
        and not is_refuted(record, concept, _said(stated, time), at)
    )


def is_present(record: Record, concept: str, at: Moment) -> bool:
    """True when a concept is the case at a moment."""
    return bool(present(record, concept, at))


def is_refuted(record: Record, concept: str, said: datetime, at: Moment) -> bool:
    """True when the concept was refuted by `at`, after it was said.

    Of two statements of one time the more restrictive counts: the refutation then does not.
    """
    for other in statements(record, concept):
        if other.certainty is Certainty.REFUTED:
            refuted = _said(other, record.time)
            if said < refuted <= at.instant:
                return True
    return False


def _begin(stated: Condition) -> When | None:
    return stated.onset if stated.onset is not None else stated.effective


def _said(stated: Condition, time: ClinicTime) -> datetime:
    for when in (stated.effective, stated.recorded, stated.onset):
        if when is not None:
            return time.earliest(when)
    return BEFORE_ALL


def condition_edges(record: Record, concept: str) -> Edges:
    """Return when the answer about a concept may change."""
    instants: set[datetime] = set()
    for stated in statements(record, concept):
        for when in (stated.onset, stated.effective, stated.resolved, stated.recorded):
            if when is not None:
                instants.add(record.time.earliest(when))
    return set(), instants


def condition_checks(case: Case, rules: Sequence[ConditionRule]) -> Iterator[Check]:
    """Yield a check for each condition rule about which anything is on record."""
    for rule in rules:
        if case.covers(rule.rule) and _has_material(case, rule):
            days, instants = union_edges(list(_edges(case, rule)))
            yield Check(_ConditionCheck(case, rule), days, instants)


def _has_material(case: Case, rule: ConditionRule) -> bool:
    record = case.record
    if statements(record, rule.condition):
        return True
    if rule.condition == DECEASED:
        return any(p.deceased for p in record.all(Patient))
    if any(values(record, metric) for metric in rule.labs):
        return True
    return any(i.type.value in rule.infection_types for i in record.all(Infection))


def _edges(case: Case, rule: ConditionRule) -> Iterator[Edges]:
    record = case.record
    yield condition_edges(record, rule.condition)
    for metric in rule.labs:
        yield metric_edges(record, metric, ANY_AGE)
    for item in rule.require:
        yield item_edges(record, item, ANY_AGE)
    yield set(), set(_other_times(case, rule))


def _other_times(case: Case, rule: ConditionRule) -> Iterator[datetime]:
    time = case.time
    for infection in case.record.all(Infection):
        for when in (
            infection.onset,
            infection.resolved,
            infection.first_positive,
            infection.effective,
        ):
            if when is not None:
                yield time.earliest(when)
    for person in case.record.all(Patient):
        if person.deceased and not isinstance(person.deceased, bool):
            yield time.earliest(person.deceased)
    for collection in case.record.all(Collection):
        if rule.within_hours is not None and collection.day is not None:
            yield time.earliest(collection.day)
    for infusion in case.record.all(Infusion):
        if rule.after_infusion and infusion.day is not None:
            yield time.earliest(infusion.day)
            yield time.earliest(infusion.day) + TICK


@dataclass(frozen=True, slots=True)
class _ConditionCheck:
    case: Case
    rule: ConditionRule

    def __call__(self, at: Moment) -> Sequence[Finding]:
        because = self._because(at)
        if not because:
            return ()
        case, rule = self.case, self.rule
        times = [when for fact in because if (when := _time_of(fact)) is not None]
        since = min(times, default=None, key=case.time.earliest)
        finding = case.finding(
            rule.rule,
            "condition.present",
            episode=rule.condition,
            uses=because,
            since=since,
            condition=case.protocol.sentences.word(rule.condition),
        )
        unmet = self._unmet(at) if rule.unmet is not None else None
        return (finding,) if unmet is None else (finding, unmet)

    def _because(self, at: Moment) -> tuple[Stated, ...]:
        stated: tuple[Stated, ...] = present(self.case.record, self.rule.condition, at)
        if self.rule.after_infusion:
            stated = tuple(s for s in stated if self._is_since_last_infusion(s, at))
        return (*stated, *self._from_results(at), *self._from_infections(at), *self._from_death(at))

    def _is_since_last_infusion(self, stated: Stated, at: Moment) -> bool:
        time = self.case.time
        given = [
            infusion.day
            for infusion in self.case.record.all(Infusion)
            if infusion.day is not None and has_come(infusion.day, at, time)
        ]
        if not given:
            return False
        when = _time_of(stated)
        return when is None or time.day_of(when) >= max(time.day_of(day) for day in given)

    def _from_results(self, at: Moment) -> tuple[Stated, ...]:
        record, concept = self.case.record, self.rule.condition
        return tuple(
            value.fact
            for metric in self.rule.labs
            for value in standing(values(record, metric), at)
            if value.word is True
            and not is_refuted(record, concept, value.latest, at)
            and self._is_within(value.earliest, value.latest, at)
        )

    def _is_within(self, earliest: datetime, latest: datetime, at: Moment) -> bool:
        """True when a result falls into the hours after the last collection (INF-006)."""
        if self.rule.within_hours is None:
            return True
        time, hours = self.case.time, timedelta(hours=self.rule.within_hours)
        days = [c.day for c in self.case.record.all(Collection) if has_come(c.day, at, time)]
        collected = max((day for day in days if day is not None), key=time.earliest, default=None)
        if collected is None:
            return False
        return latest >= time.earliest(collected) and earliest <= time.latest(collected) + hours

    def _from_infections(self, at: Moment) -> tuple[Stated, ...]:
        time = self.case.time
        return tuple(
            infection
            for infection in self.case.record.all(Infection)
            if infection.type.value in self.rule.infection_types
            and has_begun(infection_begin(infection), at, time)
            and not has_come(infection.resolved, at, time)
        )

    def _from_death(self, at: Moment) -> tuple[Stated, ...]:
        if self.rule.condition != DECEASED:
            return ()
        return tuple(
            person
            for person in self.case.record.all(Patient)
            if person.deceased is True
            or (
                not isinstance(person.deceased, bool)
                and has_come(person.deceased, at, self.case.time)
            )
        )

    def _unmet(self, at: Moment) -> Finding | None:
        case, rule = self.case, self.rule
        lacking = [i for i in rule.require if not item_known(case, i, at, ANY_AGE).is_known]
        if not lacking:
            return None
        needs = tuple(Need(i, case.protocol.item(i).owner, data_rule="DATA-008") for i in lacking)
        return case.finding(
            rule.rule,
            "condition.unmet",
            episode=rule.condition,
            effect=rule.unmet or Effect.HOLD,
            kind=FindingKind.MISSING,
            needs=needs,
            condition=case.protocol.sentences.word(rule.condition),
            items=", ".join(case.protocol.sentences.word(item) for item in lacking),
        )


def infection_begin(infection: Infection) -> When | None:
    """Return when an infection began as far as stated; None: not stated."""
    for when in (infection.onset, infection.first_positive, infection.effective):
        if when is not None:
            return when
    return None


def _time_of(fact: Stated) -> When | None:
    match fact:
        case Condition(onset=onset) | Infection(onset=onset) if onset is not None:
            return onset
        case Patient(deceased=died) if died is not None and not isinstance(died, bool):
            return died
        case _:
            return fact.effective
