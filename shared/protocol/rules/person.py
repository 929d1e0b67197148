"""Eligibility rules about the person: age, and a cancer that the protocol evaluates.

Invariant: an age or a diagnosis that is not on record is unknown, not suitable.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from shared.protocol.clinic_time import Moment, birthday
from shared.protocol.facts import Condition
from shared.protocol.findings import Effect, Finding, FindingKind, Need
from shared.protocol.rulebook.rows import IndicationRule, MetricRule
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.conditions import condition_edges, present, statements
from shared.protocol.rules.known import MISSING, union_edges
from shared.protocol.rules.measurements import age_years, patient, shown


def person_checks(case: Case) -> Iterator[Check]:
    """Yield the checks of age and indication at the gate."""
    for rule in case.protocol.patient_rules:
        if not case.covers(rule.rule):
            continue
        if isinstance(rule, MetricRule) and rule.metric == "age":
            yield Check(_AgeCheck(case, rule), frozenset(_coming_of_age(case, rule)))
        elif isinstance(rule, IndicationRule):
            yield Check(_IndicationCheck(case, rule), *union_edges(_concept_edges(case)))


def _coming_of_age(case: Case, rule: MetricRule) -> Iterator[date]:
    person, minimum = patient(case.record), rule.limits[case.gate].min
    if person is not None and person.birth_date is not None and minimum is not None:
        yield birthday(person.birth_date, int(minimum))


@dataclass(frozen=True, slots=True)
class _AgeCheck:
    case: Case
    rule: MetricRule

    def __call__(self, at: Moment) -> Sequence[Finding]:
        case, rule = self.case, self.rule
        age, minimum = age_years(case.record, at.day), rule.limits[case.gate].min
        if age is None:
            return () if case.record.assume and self._is_unsaid() else (self._unknown(),)
        if minimum is None or age >= minimum:
            return ()
        person = patient(case.record)
        assert person is not None  # noqa: S101  (the age is known)
        assert person.birth_date is not None  # noqa: S101  (the age is known)
        return (
            case.finding(
                rule.rule,
                "person.too_young",
                episode=rule.metric,
                uses=(person,),
                value=f"{age} a",
                limit=f"{shown(minimum)} a",
                clears_at=birthday(person.birth_date, int(minimum)),
            ),
        )

    def _is_unsaid(self) -> bool:
        person = patient(self.case.record)
        return person is None or person.birth_date is None

    def _unknown(self) -> Finding:
        item = self.case.protocol.item("birth_date")
        return self.case.finding(
            self.rule.rule,
            "person.age_unknown",
            episode=self.rule.metric,
            kind=FindingKind.MISSING,
            needs=(Need(item.name, item.owner, data_rule=MISSING),),
        )


def _concept_edges(case: Case) -> list[tuple[set[date], set[datetime]]]:
    return [condition_edges(case.record, concept) for concept in sorted(cancers(case))]


def cancers(case: Case) -> frozenset[str]:
    """Return the concepts of all cancers that the rulebook knows, evaluated or not."""
    return case.protocol.indications | frozenset(case.protocol.tables.other_cancers)


@dataclass(frozen=True, slots=True)
class _IndicationCheck:
    case: Case
    rule: IndicationRule

    def __call__(self, at: Moment) -> Sequence[Finding]:
        record = self.case.record
        if any(present(record, name, at) for name in self.case.protocol.indications):
            return ()
        names = self.case.protocol.tables.other_cancers
        other = tuple(stated for name in names for stated in present(record, name, at))
        if other:
            return (self._not_named(other),)
        if record.assume and not self._is_said():
            return ()
        item = self.case.protocol.item("diagnosis")
        return (
            self.case.finding(
                self.rule.rule,
                "person.no_diagnosis",
                episode="diagnosis",
                effect=Effect.HOLD,
                kind=FindingKind.MISSING,
                needs=(Need(item.name, item.owner, data_rule=MISSING),),
            ),
        )

    def _is_said(self) -> bool:
        return any(statements(self.case.record, name) for name in cancers(self.case))

    def _not_named(self, other: tuple[Condition, ...]) -> Finding:
        return self.case.finding(
            self.rule.rule, "person.other_cancer", episode="diagnosis", uses=other
        )
