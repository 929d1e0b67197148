"""A person says whether two resembling cases are one patient.

`same` moves nothing: it is the report of a merge, with its holds, and two other people decide it.
"""

from typing import Literal
from uuid import UUID

from services.intake.application.identity_ports import IdentityQuestion
from services.intake.application.merge_identity import hold_change, recorded
from services.intake.application.ports import IntakeRows
from services.intake.domain.identity import ChangeKind, IdentityChange, RecordedChange
from shared.messaging.unit_of_work import Work

Answered = Literal["same", "different"]


class AnsweredOtherwiseError(Exception):
    """The question was answered the other way."""


async def answer_identity_question(
    work: Work[IntakeRows], question: IdentityQuestion, answer: Answered
) -> RecordedChange | None:
    """The merge that `same` reported, or None. The question is locked.

    Raises `AnsweredOtherwiseError`.
    """
    if question.answer not in (None, answer):
        raise AnsweredOtherwiseError
    if question.answer is None:
        now = work.world.clock.now()
        actor = work.cause.actor
        await work.rows.identity.answer(question.question_id, answer, actor, now)
        work.note("possible-duplicate-answered", question.case_id, answer=answer)
    return await _reported(work, question) if answer == "same" else None


async def _reported(work: Work[IntakeRows], question: IdentityQuestion) -> RecordedChange:
    cases: list[UUID] = sorted((question.case_id, question.other_case))
    for case_id in cases:
        await work.rows.authority.lock_case(case_id)
    source = f"question:{question.question_id}"
    told = IdentityChange(ChangeKind.MERGE, (), (), source, question.asked_at)
    change = recorded(
        work,
        told,
        ChangeKind.MERGE,
        cases,
        surviving=question.other_case,
        retired=question.case_id,
    )
    return await hold_change(work, change, told)
