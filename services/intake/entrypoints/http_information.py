"""Information and consent over HTTP: topics, questions, the signature and its withdrawal."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field

from services.intake.application import inform_and_consent as informing
from services.intake.application.place_hold import HoldAnswer, insisting, tell_holders
from services.intake.application.ports import IntakeRows
from services.intake.domain.consent import Document, Told
from services.intake.domain.reporting import CLINICAL, PHYSICIANS
from services.intake.entrypoints import answers
from services.intake.entrypoints.http_authority import hold_answer
from services.intake.entrypoints.parts import IntakeParts, Key, Parts, Reader, case_or_404
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.messaging.unit_of_work import Work
from shared.web.idempotency import Answer, RequestKey, answer_once
from shared.web.problems import Problem
from shared.web.requests import RequestModel, cause_of
from shared.web.security import Rate, requires

router = APIRouter()
Director = Annotated[Principal, Depends(requires(Role.MEDICAL_DIRECTOR))]
#: who explains, states that nobody asked anything, and takes the signature
Informer = Annotated[Principal, Depends(requires(Role.TREATING_PHYSICIAN, Role.MEDICAL_DIRECTOR))]
Physician = Annotated[Principal, Depends(requires(*sorted(PHYSICIANS)))]
Clinician = Annotated[Principal, Depends(requires(*sorted(CLINICAL)))]
Hearer = Annotated[Principal, Depends(requires(*sorted(CLINICAL), rate=Rate.HOLD))]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\w.-]+$")]
Version = Annotated[int, Field(ge=1, le=10_000)]
Language = Annotated[
    str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", description="BCP 47")
]
Words = Annotated[str, Field(min_length=1, max_length=4_000)]
_INFORMERS: Final = frozenset({Role.TREATING_PHYSICIAN, Role.MEDICAL_DIRECTOR})
_TOPICS_MAX: Final = 50
Topics = Annotated[tuple[Name, ...], Field(min_length=1, max_length=_TOPICS_MAX)]
Act = Callable[[Work[IntakeRows]], Awaitable[Answer]]


class DocumentBody(RequestModel):
    """A version of an information document, and the topics that it explains."""

    document: Name
    version: Version
    topics: Topics


class ExplanationBody(RequestModel):
    """Topics of the protocol that were explained to the patient, from a document."""

    topics: Topics
    document: Name
    version: Version
    language: Language


class QuestionBody(RequestModel):
    """A patient's question; null: the patient has none (stated by a physician)."""

    question: Words | None


class AnswerBody(RequestModel):
    """What was answered."""

    answer: Words


class ConsentBody(RequestModel):
    """A consent as the patient signed it; today unless said."""

    document: Name
    version: Version
    language: Language
    realistic_expectations: bool
    signed_on: date | None = None


class WithdrawalBody(RequestModel):
    """A patient's withdrawal; no reason is asked for."""

    reason: Annotated[str, Field(min_length=1, max_length=2_000)] | None = None


@router.post("/information-documents", status_code=201)
async def post_document(
    request: Request, principal: Director, parts: Parts, key: Key, body: DocumentBody
) -> Response:
    """Publishes a version of a document: explanations from older ones of its topics are stale."""
    document = Document(body.document, body.version, body.topics)
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def once() -> Answer:
            try:
                is_new = await informing.publish_document(
                    work, parts.protocol, document, principal.subject
                )
            except informing.TopicsUnknownError as error:
                raise _unknown(error) from error
            if not is_new:
                raise Problem(409, "document-published", "This version is published already.")
            return Answer(201, body)

        answer = await answer_once(work, key, once)
    return answer.response()


def _unknown(error: informing.TopicsUnknownError) -> Problem:
    return Problem(
        422, "unknown-topic", "The protocol has no such topic.", extra={"topics": error.topics}
    )


@router.post(
    "/cases/{case_id}/information", status_code=201, response_model=answers.TopicsExplained
)
async def post_information(
    request: Request, case_id: UUID, principal: Informer, parts: Parts, key: Key,
    body: ExplanationBody,
) -> Response:  # fmt: skip
    """Marks topics as explained by this person, now; the answer names those that still lack."""
    order = informing.ExplanationOrder(
        case_id, body.topics, body.document, body.version, body.language, principal.subject
    )

    async def act(work: Work[IntakeRows]) -> Answer:
        try:
            left = await informing.explain_topics(work, parts.protocol, order)
        except informing.TopicsUnknownError as error:
            raise _unknown(error) from error
        except informing.DocumentNotCurrentError as error:
            raise Problem(
                409, "document-not-current", "Explain from the document that is current.",
                extra={"current": error.current},
            ) from error  # fmt: skip
        return Answer(201, {"explained": body.topics, "still_to_explain": left})

    return await _once(request, case_id, principal, parts, key, act)


@router.get("/cases/{case_id}/information")
async def get_information(
    request: Request, case_id: UUID, principal: Reader, parts: Parts
) -> Response:
    """What was explained, asked, answered and signed, and what still lacks."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        told = await informing.told_to(work.rows, parts.protocol, case_id)
        consents = await work.rows.information.consents(case_id)
        handovers = await work.rows.information.handovers(case_id)
        work.note("information-read", case_id)
    body = {
        "topics": [_topic(told, topic) for topic in told.topics],
        "questions": told.questions,
        "consents": consents,
        "cards": handovers,
    }
    return Answer(200, body).response()


def _topic(told: Told, topic: str) -> dict[str, Any]:
    current, explained = told.current_document(topic), told.explained().get(topic)
    state = "explained" if explained else "stale" if topic in told.stale() else "missing"
    return {
        "topic": topic,
        "state": state,
        "document": None if current is None else current.document,
        "version": None if current is None else current.version,
        "explained_by": None if explained is None else explained.explained_by,
        "explained_at": None if explained is None else explained.explained_at,
        "language": None if explained is None else explained.language,
    }


@router.post("/cases/{case_id}/questions", status_code=201, response_model=answers.QuestionAnswer)
async def post_question(
    request: Request, case_id: UUID, principal: Clinician, parts: Parts, key: Key,
    body: QuestionBody,
) -> Response:  # fmt: skip
    """Puts a patient's question on file, or a physician's statement that there are none."""
    if body.question is None and not principal.roles & _INFORMERS:
        raise Problem(
            403, "not-allowed", "That there are no questions is stated by a physician.",
            extra={"allowed_roles": sorted(_INFORMERS)},
        )  # fmt: skip

    async def act(work: Work[IntakeRows]) -> Answer:
        found = await informing.ask_question(work, case_id, body.question, principal.subject)
        return Answer(201, {"question_id": found.question_id, "open": found.is_open})

    return await _once(request, case_id, principal, parts, key, act)


@router.post(
    "/cases/{case_id}/questions/{question_id}/answer",
    status_code=201,
    response_model=answers.QuestionAnswer,
)
async def post_answer(
    request: Request, case_id: UUID, question_id: UUID, principal: Physician, parts: Parts,
    key: Key, body: AnswerBody,
) -> Response:  # fmt: skip
    """Answers an open question."""

    async def act(work: Work[IntakeRows]) -> Answer:
        if not await informing.answer_question(
            work, case_id, question_id, body.answer, principal.subject
        ):
            raise Problem(409, "no-open-question", "There is no open question with this id.")
        return Answer(201, {"question_id": question_id, "open": False})

    return await _once(request, case_id, principal, parts, key, act)


@router.post("/cases/{case_id}/consent", status_code=201)
async def post_consent(
    request: Request, case_id: UUID, principal: Informer, parts: Parts, key: Key,
    body: ConsentBody,
) -> Response:  # fmt: skip
    """Records a signed consent; refused with all that lacks while anything does."""
    order = informing.ConsentOrder(
        case_id, body.document, body.version, body.language, body.signed_on,
        body.realistic_expectations, principal.subject,
    )  # fmt: skip

    async def act(work: Work[IntakeRows]) -> Answer:
        try:
            return Answer(201, await informing.sign_consent(work, parts.protocol, order))
        except informing.ConsentRefusedError as error:
            found = error.obstacles
            raise Problem(
                409, "consent-not-informed", "The consent cannot be signed yet.",
                extra={
                    "lacking": found.codes,
                    "topics_missing": found.missing,
                    "topics_stale": found.stale,
                    "topics_explained_later": found.late,
                    "questions_open": [str(question) for question in found.questions],
                },
            ) from error  # fmt: skip

    return await _once(request, case_id, principal, parts, key, act)


@router.post("/cases/{case_id}/consent/withdrawal", status_code=201)
async def post_consent_withdrawal(
    request: Request, case_id: UUID, principal: Hearer, parts: Parts, key: Key,
    body: WithdrawalBody,
) -> Response:  # fmt: skip
    """Records that the patient withdraws: every gate is held at once; the answer is that hold."""
    cause = cause_of(request, principal)
    placed: list[HoldAnswer] = []

    async def act(work: Work[IntakeRows]) -> Answer:
        async def once() -> Answer:
            await case_or_404(work, case_id, principal)
            held = await informing.withdraw_consent(
                work, parts.protocol, case_id, reason=body.reason, by=principal.subject
            )
            placed[:] = [held]
            return Answer(201, hold_answer(held).body)

        return await answer_once(work, key, once)

    answer = await insisting(parts.authority, cause, act)
    for held in placed:
        await tell_holders(parts.authority, held)
    return answer.response()


async def _once(
    request: Request, case_id: UUID, principal: Principal, parts: IntakeParts, key: RequestKey,
    act: Act,
) -> Response:  # fmt: skip
    """What `act` answers, once per key, for a case that the caller may see."""
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def once() -> Answer:
            await case_or_404(work, case_id, principal)
            return await act(work)

        answer = await answer_once(work, key, once)
    return answer.response()
