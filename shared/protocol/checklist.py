"""The evaluation checklist and the advice on eligibility.

Invariant: both are read from the same checks as the eligibility gate. Advice is never a decision:
a physician signs that, and the two are kept apart.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from shared.contracts.vocabulary import Gate, Verdict
from shared.protocol.clinic_time import Moment
from shared.protocol.engine import decide
from shared.protocol.facts import Fact, Stated, When
from shared.protocol.findings import Effect, Finding, FindingKind, when_json
from shared.protocol.loader import Protocol
from shared.protocol.record import Record
from shared.protocol.rulebook.plans import ChecklistRow
from shared.protocol.rulebook.rows import Age
from shared.protocol.rules.check import Case
from shared.protocol.rules.conditions import present, statements
from shared.protocol.rules.items import ItemKnown, item_known, item_statements
from shared.protocol.rules.known import ANY_AGE, metric_known
from shared.protocol.rules.person import cancers


class ItemState(StrEnum):
    """What is on file for an item of the evaluation."""

    PRESENT = "present"
    MISSING = "missing"
    TOO_OLD = "too old"
    CONTRADICTORY = "contradictory"


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """One of the ten items; `facts` are the ids it rests on, `sources` where they come from.

    `questions` are coded conditions that a person must confirm or refute.
    """

    item: str
    title: str
    state: ItemState
    message: str
    facts: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    dated: When | None = None
    questions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the item as `tandem checklist --json` shows it; times in UTC."""
        return {
            "item": self.item,
            "title": self.title,
            "state": self.state.value,
            "message": self.message,
            "facts": list(self.facts),
            "sources": list(self.sources),
            "dated": when_json(self.dated, UTC),
            "questions": list(self.questions),
        }


class EligibilityOutcome(StrEnum):
    """The engine's advice; a physician decides."""

    SUITABLE = "suitable"
    POSTPONED = "postponed"
    STANDARD_TREATMENT_FIRST = "standard_treatment_first"
    NOT_SUITABLE = "not_suitable"


@dataclass(frozen=True, slots=True)
class EligibilityAdvice:
    """Advice with its blocking findings; `reevaluate_on` is set exactly when postponed."""

    outcome: EligibilityOutcome
    reevaluate_on: date | None
    findings: tuple[Finding, ...]


def checklist(
    protocol: Protocol, facts: Iterable[Fact] | Record, at: date | datetime
) -> tuple[ChecklistItem, ...]:
    """Return the ten items in the rulebook's order."""
    record = Record.of(protocol, facts)
    case, moment = Case(record, Gate.ELIGIBILITY), record.time.moment(at)
    return tuple(_item(case, row, moment) for row in protocol.tables.checklist)


def _item(case: Case, row: ChecklistRow, at: Moment) -> ChecklistItem:
    state, message, about = (
        _diagnosis(case, row, at) if row.indications else _evidence(case, row, at)
    )
    times = [fact.effective for fact in about if fact.effective is not None]
    return ChecklistItem(
        item=row.item,
        title=row.title,
        state=state,
        message=message,
        facts=tuple(dict.fromkeys(fact.id for fact in about)),
        sources=tuple(dict.fromkeys(fact.source for fact in about if fact.source)),
        dated=max(times, default=None, key=case.time.earliest),
        questions=tuple(_questions(case, row, at)),
    )


_Found = tuple[ItemState, str, tuple[Stated, ...]]


def _diagnosis(case: Case, row: ChecklistRow, at: Moment) -> _Found:
    record, words = case.record, case.protocol.sentences
    names = sorted(cancers(case))
    found = [stated for name in names for stated in present(record, name, at)]
    refuted = [s for name in names for s in statements(record, name) if s.certainty == "refuted"]
    if found and any(r.concept == f.concept for r in refuted for f in found):
        text = words.say("checklist.contradictory", item=row.title, values="confirmed / refuted")
        return ItemState.CONTRADICTORY, text, (*found, *refuted)
    if not found:
        return ItemState.MISSING, words.say("checklist.missing", item=row.title), ()
    return ItemState.PRESENT, words.say("checklist.present", item=row.title), tuple(found)


def _evidence(case: Case, row: ChecklistRow, at: Moment) -> _Found:
    words, (name,) = case.protocol.sentences, row.items
    age = _age(case, name)
    differing = _differing(case, name, at, age)
    if differing:
        shown = " / ".join(sorted({text for text, _ in differing}))
        text = words.say("checklist.contradictory", item=row.title, values=shown)
        return ItemState.CONTRADICTORY, text, tuple(fact for _, fact in differing)
    found = item_known(case, name, at, age)
    if found.is_known:
        about = tuple(_resting_on(case, name, at, age))
        return ItemState.PRESENT, words.say("checklist.present", item=row.title), about
    if found.kind is FindingKind.STALE:
        text = words.say("checklist.too_old", item=row.title, limit=f"{age.days} d")
        return ItemState.TOO_OLD, text, found.about
    return ItemState.MISSING, _missing(case, row, found), found.about


def _missing(case: Case, row: ChecklistRow, found: ItemKnown) -> str:
    words = case.protocol.sentences
    if not found.members:
        return words.say("checklist.missing", item=row.title)
    members = ", ".join(words.word(metric) for metric in found.members)
    return words.say("checklist.missing.members", item=row.title, members=members)


def _age(case: Case, name: str) -> Age:
    item = case.protocol.item(name)
    for row in case.protocol.evidence:
        if Gate.ELIGIBILITY in row.ages and case.protocol.item(row.item) is item:
            return row.ages[Gate.ELIGIBILITY]
    return ANY_AGE


def _metrics(case: Case, name: str) -> Iterator[str]:
    item = case.protocol.item(name)
    yield from item.members
    for group in item.groups:
        yield from group


def _differing(case: Case, name: str, at: Moment, age: Age) -> list[tuple[str, Stated]]:
    """Return the values of one metric and time that contradict each other."""
    for metric in _metrics(case, name):
        known = metric_known(case.record, metric, at, age).in_date
        finals = [value for value in known if value.may_clear]
        if len({(v.low, v.high, v.word) for v in finals}) > 1:
            return [(value.shown, value.fact) for value in finals]
    return []


def _resting_on(case: Case, name: str, at: Moment, age: Age) -> Iterator[Stated]:
    for metric in _metrics(case, name):
        for value in metric_known(case.record, metric, at, age).in_date:
            yield value.fact
    for stated in item_statements(case.record, case.protocol.item(name)):
        if stated.effective is None or case.time.earliest(stated.effective) <= at.instant:
            yield stated


def _questions(case: Case, row: ChecklistRow, at: Moment) -> Iterator[str]:
    """Yield what a coded condition makes one ask, unless a person has answered it."""
    record, words = case.record, case.protocol.sentences
    for coded, asked in case.protocol.tables.questions.items():
        if asked in row.asks and present(record, coded, at) and not statements(record, asked):
            yield words.say(
                "checklist.question", coded=words.word(coded), condition=words.word(asked)
            )


def eligibility_advice(
    protocol: Protocol, facts: Iterable[Fact] | Record, at: date | datetime
) -> EligibilityAdvice:
    """Return suitable, postponed, standard treatment first or not suitable, with reasons.

    Postponed carries the day on which to look again: the earliest clear day where the findings have
    one, else the rulebook's interval from now.
    """
    record = Record.of(protocol, facts)
    decision = decide(protocol, record, Gate.ELIGIBILITY, at)
    first = protocol.tables.standard_treatment_first
    if decision.verdict is Verdict.GO:
        return EligibilityAdvice(EligibilityOutcome.SUITABLE, None, ())
    if decision.verdict is Verdict.CONTRAINDICATED:
        return EligibilityAdvice(EligibilityOutcome.NOT_SUITABLE, None, decision.blocking)
    if any(f.rule in first and f.effect is Effect.HOLD for f in decision.blocking):
        outcome = EligibilityOutcome.STANDARD_TREATMENT_FIRST
        return EligibilityAdvice(outcome, None, decision.blocking)
    day = _reevaluation(record, decision.earliest, record.time.moment(at).day)
    return EligibilityAdvice(EligibilityOutcome.POSTPONED, day, decision.blocking)


def _reevaluation(record: Record, earliest: When | None, today: date) -> date:
    if earliest is not None:
        return record.time.day_of(earliest)
    return today + timedelta(days=record.protocol.tables.reevaluate_after_days)
