"""Signed acts over HTTP: review decisions, overrides with a second signature, eligibility."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, Field

from services.intake.application import sign_decisions as signing
from services.intake.application.ports import IntakeRows
from services.intake.domain.reporting import CLINICAL, PHYSICIANS
from services.intake.entrypoints.parts import IntakeParts, Key, Parts, case_or_404
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Gate
from shared.messaging.unit_of_work import Work
from shared.web.idempotency import Answer, RequestKey, answer_once
from shared.web.problems import Problem
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires

router = APIRouter()
Physician = Annotated[Principal, Depends(requires(*sorted(PHYSICIANS)))]
Signer = Annotated[Principal, Depends(requires(*sorted(CLINICAL)))]


class ReviewBody(RequestModel):
    """A clinician's answer to a review finding."""

    gate: Gate
    rule: str
    decision: Literal["proceed", "wait"]
    reason: Annotated[str, Field(min_length=3, max_length=500)]
    facts: list[str] | None = None
    valid_until: AwareDatetime


class OverrideBody(RequestModel):
    """A soft rule set aside; the second signer proves presence by a token of their own."""

    gate: Gate
    rule: str
    reason: Annotated[str, Field(min_length=3, max_length=500)]
    valid_until: AwareDatetime
    second_signer_token: Annotated[str, Field(max_length=8_000)]


class EligibilityBody(RequestModel):
    """A physician's eligibility decision."""

    outcome: signing.Outcome
    reevaluate_on: date | None = None
    reason: Annotated[str | None, Field(max_length=500)] = None


@router.post("/cases/{case_id}/reviews", status_code=201)
async def post_review(
    request: Request, case_id: UUID, principal: Signer, parts: Parts, key: Key, body: ReviewBody
) -> Response:
    """A clinician's review decision: proceed or wait."""
    order = signing.ReviewOrder(
        case_id, body.gate, body.rule, body.decision, body.reason, body.valid_until,
        None if body.facts is None else tuple(body.facts),
    )  # fmt: skip

    async def sign(work: Work[IntakeRows]) -> UUID:
        return await signing.sign_review(work, parts.protocol, order, principal)

    return await _signed(request, case_id, principal, parts, key, sign)


@router.post("/cases/{case_id}/overrides", status_code=201)
async def post_override(
    request: Request, case_id: UUID, principal: Signer, parts: Parts, key: Key, body: OverrideBody
) -> Response:
    """Sets a soft rule aside, with two signatures, for at most a day."""
    second = await parts.second_person(body.second_signer_token)
    order = signing.OverrideOrder(case_id, body.gate, body.rule, body.reason, body.valid_until)

    async def sign(work: Work[IntakeRows]) -> UUID:
        return await signing.sign_override(work, parts.protocol, order, principal, second)

    return await _signed(request, case_id, principal, parts, key, sign)


@router.post("/cases/{case_id}/eligibility", status_code=201)
async def post_eligibility(
    request: Request, case_id: UUID, principal: Physician, parts: Parts, key: Key,
    body: EligibilityBody,
) -> Response:  # fmt: skip
    """A physician's signed eligibility decision."""

    async def sign(work: Work[IntakeRows]) -> UUID:
        return await signing.sign_eligibility(
            work,
            parts.protocol,
            case_id,
            outcome=body.outcome,
            reevaluate_on=body.reevaluate_on,
            reason=body.reason,
            signer=principal,
        )

    return await _signed(request, case_id, principal, parts, key, sign)


async def _signed(
    request: Request,
    case_id: UUID,
    principal: Principal,
    parts: IntakeParts,
    key: RequestKey,
    sign: Callable[[Work[IntakeRows]], Awaitable[UUID]],
) -> Response:
    """The answer to a signed act, once per key; a refused one is a problem that says who may."""
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            await case_or_404(work, case_id, principal)
            try:
                return Answer(201, {"id": await sign(work)})
            except signing.NotSignableError as error:
                status = 403 if error.code == "not-your-rule" else 409
                raise Problem(status, error.code, error.title, extra={"by": error.by}) from error

        answer = await answer_once(work, key, act)
    return answer.response()
