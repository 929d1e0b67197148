"""What an order would mean for the planned CIK steps: read, compare, word. Nothing is stored.

The order's statements live as long as the answer. No event leaves; only the audit says that the
record was read for these cards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.intake.application.open_case import IdentityConflictError, find_case
from services.intake.application.ports import IntakeRows
from services.intake.application.reassess_case import facts_on_record
from services.intake.domain.cards import About, Card, NotCompared, ambiguous, cards_for
from services.intake.domain.collisions import (
    STEPS_MAX,
    PlannedStep,
    collisions,
    planned_infusions,
)
from shared.contracts.vocabulary import Gate
from shared.messaging.unit_of_work import Work
from shared.protocol import Fact, Protocol, Record


@dataclass(frozen=True, slots=True)
class OrderQuestion:
    """An order as hypothetical facts. `site` limits whose cases the caller may know of."""

    identifiers: Sequence[tuple[str, str]]
    facts: Sequence[Fact]
    not_compared: Sequence[NotCompared]
    about: About
    at: datetime
    site: str | None


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """The cards, and the case that was read for them, if one was."""

    cards: tuple[Card, ...] = ()
    case_id: UUID | None = None


async def check_orders(
    work: Work[IntakeRows], protocol: Protocol, question: OrderQuestion
) -> OrderAnswer:
    """The cards for an order; none for a patient without a case that the caller may see."""
    try:
        case_id = await find_case(work, question.identifiers)
    except IdentityConflictError as error:
        # Told even where only one of them is the caller's: which record is meant is not known.
        seen = [await _may_see(work, case_id, question) for case_id in sorted(error.case_ids)]
        return OrderAnswer((ambiguous(question.about),) if any(seen) else ())
    if case_id is None or not await _may_see(work, case_id, question):
        return OrderAnswer()
    return OrderAnswer(await _cards(work.rows, protocol, case_id, question), case_id)


async def _may_see(work: Work[IntakeRows], case_id: UUID, question: OrderQuestion) -> bool:
    case = await work.rows.record.case_summary(case_id)
    is_ours = case is not None and (
        question.site is None or case.site is None or case.site == question.site
    )
    return is_ours and case is not None and case.status == "open"


async def _cards(
    rows: IntakeRows, protocol: Protocol, case_id: UUID, question: OrderQuestion
) -> tuple[Card, ...]:
    if not question.facts and not question.not_compared:
        return ()
    facts = await facts_on_record(rows, case_id)
    known = Record.of(protocol, facts)
    steps = await _steps(rows, known, case_id, question.at)
    if not steps:
        return ()
    # An order that is on record already and is edited here stands in for its own older version.
    ordered = frozenset(fact.id for fact in question.facts)
    kept = [fact for fact in facts if fact.id not in ordered]
    supposed = Record.of(protocol, (*kept, *question.facts))
    hit = collisions(protocol, known, supposed, steps, ordered)
    return cards_for(hit, question.not_compared, question.about, protocol.zone)


async def _steps(
    rows: IntakeRows, known: Record, case_id: UUID, at: datetime
) -> Sequence[PlannedStep]:
    today = known.time.day_of(at)
    booked = await rows.cds.planned_collections(case_id, today, STEPS_MAX)
    steps = [
        *(PlannedStep(Gate.COLLECTION, collection.planned_on) for collection in booked),
        *planned_infusions(known, today),
    ]
    return sorted(steps, key=lambda step: step.day)[:STEPS_MAX]
