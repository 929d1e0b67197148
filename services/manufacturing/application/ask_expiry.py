"""MFG-006: a fresh product expires before its infusion can be given; somebody must decide.

The question is asked when the infusion's timeline moves, stays open until quality assurance or
the medical director answers or the batch is frozen, and is withdrawn when the timeline allows an
infusion before the expiry again. At most one is open per batch.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.manufacturing.application.dossier_ports import ExpiryQuestion
from services.manufacturing.application.lookup import locked_batch
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.domain.batch import (
    Batch,
    ConditionallyReleasedBatch,
    FormulatedBatch,
    ReleasedBatch,
)
from services.manufacturing.domain.planning import Timeline
from services.manufacturing.domain.product import Form
from services.manufacturing.domain.refusal import ReasonCode, RefusedError
from services.manufacturing.domain.rules import ManufacturingRules
from shared.contracts.manufacturing import ExpiryQuestionAnswered, ExpiryQuestionAsked
from shared.contracts.vocabulary import Gate
from shared.messaging.unit_of_work import Work


class ExpiryAnswer(StrEnum):
    """What was decided."""

    FREEZE = "freeze"
    KEEP = "keep"
    WITHDRAWN = "withdrawn"


async def review_expiries(work: Work[Rows], rules: ManufacturingRules, case_id: UUID) -> None:
    """Asks, or withdraws, the question for each fresh batch of a case that is locked."""
    timeline = await work.rows.cases.timeline(case_id, Gate.INFUSION)
    if timeline is None:
        return
    for batch in await work.rows.batches.of_case(case_id):
        expires_at = _fresh_expiry(batch)
        if expires_at is not None:
            await _review(work, rules, batch, expires_at, timeline)


def _fresh_expiry(batch: Batch) -> datetime | None:
    match batch:
        case FormulatedBatch():
            made = batch.formulation
        case ReleasedBatch() | ConditionallyReleasedBatch():
            made = batch.product.formulation
        case _:
            return None
    return made.expires_at if made.form is Form.FRESH else None


async def _review(
    work: Work[Rows],
    rules: ManufacturingRules,
    batch: Batch,
    expires_at: datetime,
    timeline: Timeline,
) -> None:
    now, origin = work.world.clock.now(), batch.origin
    if now >= expires_at:
        return
    possible = timeline.plannable_between(now, expires_at) is not None
    known = await work.rows.batches.open_question(origin.batch_id)
    if possible and known is not None:
        await _answer(work, known, ExpiryAnswer.WITHDRAWN)
    if possible or known is not None:
        return
    question = ExpiryQuestion(
        work.world.ids.new(), origin.case_id, origin.batch_id, expires_at,
        timeline.plannable_after(expires_at), now,
    )  # fmt: skip
    await work.rows.batches.ask(question)
    work.emit(
        ExpiryQuestionAsked(
            case_id=origin.case_id,
            question_id=question.question_id,
            batch_id=origin.batch_id,
            rule=rules.freeze_question_rule,
            expires_at=expires_at,
            feasible_from=question.feasible_from,
        ),
        kind=str(origin.batch_id),
    )
    work.note("expiry-question-asked", origin.case_id, batch_id=str(origin.batch_id))


async def answer_question(work: Work[Rows], batch_id: UUID, answer: ExpiryAnswer) -> None:
    """The batch's open question is answered. Freezing itself is a step of its own."""
    await locked_batch(work, batch_id)
    if not await answer_if_open(work, batch_id, answer):
        raise RefusedError.because(ReasonCode.WRONG_STATE, subject="no_question")


async def answer_if_open(work: Work[Rows], batch_id: UUID, answer: ExpiryAnswer) -> bool:
    """Whether a question was open; it is answered. The case is locked."""
    known = await work.rows.batches.open_question(batch_id)
    if known is not None:
        await _answer(work, known, answer)
    return known is not None


async def _answer(work: Work[Rows], question: ExpiryQuestion, answer: ExpiryAnswer) -> None:
    now = work.world.clock.now()
    await work.rows.batches.answer(question.question_id, answer.value, work.cause.actor, now)
    work.emit(
        ExpiryQuestionAnswered(
            case_id=question.case_id,
            question_id=question.question_id,
            batch_id=question.batch_id,
            answer=answer.value,
        ),
        kind=str(question.question_id),
    )
    work.note("expiry-question-answered", question.case_id,
              question_id=str(question.question_id), answer=answer.value)  # fmt: skip
