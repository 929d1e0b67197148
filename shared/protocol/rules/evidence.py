"""Evidence ages and required items: what must be on file, in date, and whom to ask for it.

Invariant: an item that is missing or out of date fires its evidence row and every rule that
requires it, as findings that planning ignores and that become `due`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from shared.contracts.vocabulary import Gate
from shared.protocol.clinic_time import Moment
from shared.protocol.facts import Collection, Infusion
from shared.protocol.findings import Effect, Finding, FindingKind, Need
from shared.protocol.rulebook.rows import Age, EvidenceRule, MetricRule, RequireRule
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.conditions import condition_edges, has_come
from shared.protocol.rules.items import ItemKnown, item_edges, item_known
from shared.protocol.rules.known import ANY_AGE, union_edges
from shared.protocol.rules.limits import NOT_CHILDBEARING, applies, birthdays

SAME_DAY = Age(days=0)


def evidence_checks(case: Case) -> Iterator[Check]:
    """Yield a check for each evidence row and each rule that requires items at the gate."""
    for row in case.protocol.evidence:
        if case.gate in row.ages and not _is_left_out(case, row.item):
            age = row.ages[case.gate]
            edges = _edges(case, row.item, age)
            if row.first_infusion_only:
                edges = _with_starts(case, edges)
            members = case.protocol.item(row.item).members
            about = tuple(lab for lab in case.protocol.labs if lab.metric in members)
            yield Check(_EvidenceCheck(case, row, age, about), *edges)
    for rule in case.protocol.patient_rules:
        if isinstance(rule, RequireRule) and case.covers(rule.rule) and not rule.at_permit:
            for item in rule.items:
                age = required_age(case, rule, item)
                edges = _edges(case, item, age)
                if rule.dated:
                    edges = _with_starts(case, edges)
                yield Check(_RequireCheck(case, rule, item, age), *edges)


def _is_left_out(case: Case, item: str) -> bool:
    """True for bedside evidence when a dose is thawed or handed out."""
    return case.gate is Gate.DOSE_ISSUE and item in case.protocol.tables.dose_issue_without


def _edges(case: Case, item: str, age: Age) -> tuple[frozenset[date], frozenset[datetime]]:
    record = case.record
    parts = [item_edges(record, item, age)]
    members = case.protocol.item(item).members
    for lab in case.protocol.labs:
        if lab.applies is not None and lab.metric in members:
            parts += [condition_edges(record, concept) for concept in NOT_CHILDBEARING]
            parts.append((set(birthdays(case, lab)), set()))
    return union_edges(parts)


def _with_starts(
    case: Case, edges: tuple[frozenset[date], frozenset[datetime]]
) -> tuple[frozenset[date], frozenset[datetime]]:
    """Return the edges and when infusions and collections began, for rules that look at them."""
    record = case.record
    starts = {case.time.earliest(i.day) for i in record.all(Infusion) if i.day is not None}
    starts |= {case.time.earliest(c.day) for c in record.all(Collection) if c.day is not None}
    return edges[0], edges[1] | starts


def required_age(case: Case, rule: RequireRule, item: str) -> Age:
    """Return how old a required item may be: as its evidence row says, else as the rule says."""
    if rule.dated.get(case.gate) == "same_day":
        return SAME_DAY
    named = case.protocol.item(item)
    for row in case.protocol.evidence:
        if case.gate in row.ages and case.protocol.item(row.item) is named:
            return row.ages[case.gate]
    return ANY_AGE


@dataclass(frozen=True, slots=True)
class _EvidenceCheck:
    case: Case
    row: EvidenceRule
    age: Age
    about: tuple[MetricRule, ...]
    """The limits of the item's members: one that is not about the patient needs no value."""

    def __call__(self, at: Moment) -> Sequence[Finding]:
        if not self._is_needed(at):
            return ()
        found = item_known(self.case, self.row.item, at, self.age)
        if found.is_known or found.is_withdrawn:
            return ()  # a withdrawal is reported by the rule that requires the item
        item = self.case.protocol.item(self.row.item)
        need = Need(item.name, item.owner, self.age.days, self.age.hours, data_rule=found.reason)
        words = self.case.protocol.sentences
        members = ", ".join(words.word(metric) for metric in found.members)
        if members == words.word(item.name):
            members = ""  # an item with one member of its own name says it once
        return (
            self.case.finding(
                self.row.rule,
                f"evidence.{_how(found)}" + (".members" if members else ""),
                episode=item.name,
                uses=found.about,
                effect=Effect.HOLD,
                kind=found.kind,
                limit=_age_text(self.age),
                needs=(need,),
                item=words.word(item.name),
                members=members,
            ),
        )

    def _is_needed(self, at: Moment) -> bool:
        if self.row.first_infusion_only and has_had_infusion(self.case, at):
            return False
        return not self.about or any(applies(self.case, lab, at) for lab in self.about)


def has_had_infusion(case: Case, at: Moment) -> bool:
    """True when a CIK infusion was given before the moment."""
    return any(
        infusion.day is not None and has_come(infusion.day, at, case.time)
        for infusion in case.record.all(Infusion)
    )


def _how(found: ItemKnown) -> str:
    return "stale" if found.kind is FindingKind.STALE else "missing"


def _age_text(age: Age) -> str | None:
    if age.hours is not None:
        return f"{age.hours} h"
    return None if age.days is None else f"{age.days} d"


@dataclass(frozen=True, slots=True)
class _RequireCheck:
    case: Case
    rule: RequireRule
    item: str
    age: Age

    def __call__(self, at: Moment) -> Sequence[Finding]:
        case, rule = self.case, self.rule
        age = self._age(at)
        found = item_known(case, self.item, at, age)
        if found.is_known:
            return ()
        item = case.protocol.item(self.item)
        named = case.protocol.sentences.word(item.name)
        if found.is_withdrawn:
            return (
                case.finding(
                    rule.rule,
                    "require.withdrawn",
                    episode=item.name,
                    uses=found.about,
                    since=found.about[0].effective,
                    item=named,
                ),
            )
        return (
            case.finding(
                rule.rule,
                f"require.{_how(found)}",
                episode=item.name,
                uses=found.about,
                kind=found.kind,
                limit=_age_text(age),
                needs=(Need(item.name, item.owner, age.days, age.hours, data_rule=found.reason),),
                item=named,
            ),
        )

    def _age(self, at: Moment) -> Age:
        if self.rule.dated.get(self.case.gate) != "since_collection":
            return self.age
        days = [
            self.case.time.day_of(c.day)
            for c in self.case.record.all(Collection)
            if c.day is not None and has_come(c.day, at, self.case.time)
        ]
        return Age(days=(at.day - max(days)).days) if days else ANY_AGE
