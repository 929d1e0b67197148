"""After a restore or fail-over, over HTTP: two people begin a new epoch in which grants go on.

Invariant: nobody recovers alone, and nobody without saying that the old primary is stopped: one
that goes on granting is outside the claim of the start permit (step 11).
"""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field

from services.intake.application.place_hold import insisting
from services.intake.application.ports import IntakeRows
from services.intake.application.recover import TRIES_MAX, recover_in
from services.intake.entrypoints.parts import IntakeParts, Key, Parts
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.messaging.unit_of_work import Work
from shared.web.idempotency import Answer, answer_once
from shared.web.problems import Problem
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires

#: who may sign with the person of operations who runs it
SECOND_SIGNERS: Final = (Role.OPS, Role.COORDINATOR, Role.MEDICAL_DIRECTOR)

router = APIRouter(prefix="/ops", tags=["operations"])
Operator = Annotated[Principal, Depends(requires(Role.OPS))]


class RecoverBody(RequestModel):
    """Why, that the old primary is stopped, and who else signs.

    `epoch_min`: one more than the highest epoch that anybody remembers, after a second restore.
    """

    reason: Annotated[str, Field(min_length=3, max_length=500)]
    old_primary_is_stopped: bool
    second_signer_token: Annotated[str, Field(max_length=8_000)]
    epoch_min: Annotated[int, Field(ge=0, le=1_000_000)] = 0


@router.post("/recover")
async def post_recover(
    request: Request, principal: Operator, parts: Parts, key: Key, body: RecoverBody
) -> Response:
    """Raises the epoch: permits are void, and each case waits for its re-verification."""
    if not body.old_primary_is_stopped:
        raise Problem(409, "old-primary", "Stop the old primary and confirm that it is stopped.")
    second = await _second(parts, principal, body.second_signer_token)

    async def once(work: Work[IntakeRows]) -> Answer:
        async def act() -> Answer:
            done = await recover_in(
                work, reason=body.reason, epoch_min=body.epoch_min, second=second
            )
            return Answer(
                200,
                {
                    "epoch": done.epoch,
                    "cases": done.cases,
                    "permits_voided": done.permits_voided,
                },
            )

        return await answer_once(work, key, act)

    cause = cause_of(request, principal)
    answer = await insisting(parts.authority, cause, once, tries_max=TRIES_MAX)
    return answer.response()


async def _second(parts: IntakeParts, first: Principal, token: str) -> str:
    second = await parts.second_person(token)
    if not second.has_any(*SECOND_SIGNERS):
        raise Problem(422, "second-signature", "The second signer's roles do not sign this.")
    if second.subject == first.subject:
        raise Problem(409, "second-person", "Two different people recover the authority.")
    return second.subject
