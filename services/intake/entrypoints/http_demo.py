"""The demo's clock: it jumps, so that a wash-out of two weeks can end while one watches.

Exists in demo mode alone. A jump is refused while a permit is out, since permits live by the
machine's clock and a person is about to act on one.
"""

from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import AwareDatetime

from services.intake.entrypoints.parts import IntakeParts, Key, parts_of
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.web.idempotency import Answer, answer_once
from shared.web.problems import Problem
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires, signed_in


class JumpingClock(Protocol):
    """A clock that can be moved forwards."""

    def jump_to(self, instant: AwareDatetime, *, may_go_back: bool = False) -> None:
        """Raises ValueError for a jump backwards that is not allowed."""
        ...


class ClockBody(RequestModel):
    """Where the clinic's time goes on from."""

    now: AwareDatetime


def demo_router(clock: JumpingClock) -> APIRouter:
    """The demo's endpoints."""
    router = APIRouter(tags=["demo"])

    @router.get("/demo/clock")
    async def get_clock(
        principal: Annotated[Principal, Depends(signed_in())],
        parts: Annotated[IntakeParts, Depends(parts_of)],
    ) -> Response:
        """The clinic's time as the services see it."""
        return Answer(200, {"now": parts.world.clock.now()}).response()

    @router.put("/demo/clock")
    async def put_clock(
        request: Request,
        principal: Annotated[Principal, Depends(requires(Role.OPS, Role.COORDINATOR))],
        parts: Annotated[IntakeParts, Depends(parts_of)],
        key: Key,
        body: ClockBody,
    ) -> Response:
        """Jumps forwards; to any time while no case is on record, so that a story can begin."""
        async with parts.uow.begin(cause_of(request, principal)) as work:

            async def act() -> Answer:
                if await work.rows.record.permits_out():
                    raise Problem(409, "permit-out", "A permit is out; the clock stays.")
                is_empty = not await work.rows.record.cases_page(None, None, 1)
                try:
                    clock.jump_to(body.now, may_go_back=is_empty)
                except ValueError as error:
                    title = "The demo clock only goes forwards."
                    raise Problem(409, "backwards", title) from error
                work.note("demo-clock-jumped", None)
                return Answer(200, {"now": parts.world.clock.now()})

            answer = await answer_once(work, key, act)
        return answer.response()

    return router
