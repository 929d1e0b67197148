"""The one endpoint that every holder has for the authority: a hold, told directly.

Best effort beside the event: it makes a recorded hold effective sooner and is a no-op when the
event was faster.
"""

from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from shared.auth.principal import Principal
from shared.contracts.vocabulary import Gate, InFlight, OnRunning, Service
from shared.permits.clearance import ClearanceVersion
from shared.permits.holder import Holder
from shared.permits.replicate import apply_hold
from shared.permits.starts import ReplicatedHold, Scope
from shared.web.requests import RequestModel, cause_of
from shared.web.security import Rate, service_only

R = TypeVar("R")


class ToldHold(RequestModel):
    """A hold as the authority tells it: what `hold-recorded` carries."""

    case_id: UUID
    epoch: Annotated[int, Field(ge=0)]
    version: Annotated[int, Field(ge=0)]
    gates: Annotated[frozenset[Gate], Field(min_length=1)]
    dose_ids: frozenset[UUID] | None = None
    on_running: OnRunning

    def replicated(self, hold_id: UUID) -> ReplicatedHold:
        """The hold as the holder applies it."""
        return ReplicatedHold(
            hold_id,
            self.case_id,
            ClearanceVersion(self.epoch, self.version),
            Scope(self.gates, self.dose_ids),
            self.on_running,
        )


class Told(RequestModel):
    """What the holder answers. `in_flight` None: it had the hold already."""

    in_flight: InFlight | None


def holder_router(holder: Holder[R]) -> APIRouter:
    """`PUT /internal/holds/{hold_id}`, for intake alone."""
    router = APIRouter(tags=["internal"])

    @router.put("/internal/holds/{hold_id}")
    async def put_hold(
        hold_id: UUID,
        body: ToldHold,
        request: Request,
        principal: Annotated[Principal, Depends(service_only(Service.INTAKE, rate=Rate.UNLIMITED))],
    ) -> Told:
        """Fences older starts off, orders running ones to stop, and acknowledges by event."""
        cause = cause_of(request, principal)
        async with holder.unit_of_work.begin(cause, urgent=True) as work:
            in_flight = await apply_hold(holder, work, body.replicated(hold_id))
        return Told(in_flight=in_flight)

    return router
