"""The two sides of a start permit as they are, asked by a press of the benchmark's own.

`python -m bench.ours.permitting <service>`: intake grants as if the record were in order (what the
rules cost is R1), and manufacturing has an endpoint that presses start for a collection that nobody
has booked. All of the permit's protocol is the product's.
"""

import sys
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from services.intake.application.rulebooks import Rulebooks
from services.intake.domain.permits import DecisionSeen
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Gate, Role, Service, Verdict
from shared.permits.ask import Press
from shared.permits.clearance import ClearanceVersion
from shared.permits.holder import Holder
from shared.permits.press_start import Go, press_start
from shared.permits.starts import StartChange
from shared.persistence.database import Tx
from shared.ports import World
from shared.runtime.service import ServiceParts, ServiceProgram, Surroundings, main
from shared.web.problems import Problem
from shared.web.requests import RequestModel, cause_of
from shared.web.security import Rate, requires


class PressBody(RequestModel):
    """A case and its clearance as it was seen."""

    case_id: UUID
    epoch: int
    version: int


@dataclass(frozen=True, slots=True)
class AlwaysGo:
    """In the place of the protocol over the facts on record."""

    rulebooks: Rulebooks
    world: World
    has_sources: bool = False

    async def __call__(
        self, tx: Tx, case_id: UUID, gate: Gate, at: datetime, dose_id: UUID | None
    ) -> DecisionSeen:
        """Go."""
        return DecisionSeen(Verdict.GO, (), None, self.rulebooks.protocol.version)


async def _nothing(work: object, change: StartChange) -> None:
    """The subject has no course to change."""


def _authority() -> ServiceProgram[Any]:
    bootstrap: Any = import_module("services.intake.bootstrap")
    bootstrap.DecideOnRecord = AlwaysGo
    program: ServiceProgram[Any] = bootstrap.PROGRAM
    return program


def _holder() -> ServiceProgram[Any]:
    bootstrap: Any = import_module("services.manufacturing.bootstrap")
    program: ServiceProgram[Any] = bootstrap.PROGRAM
    make = bootstrap.holder
    made: list[Holder[Any]] = []

    def holder(*parts: object) -> Holder[Any]:
        made.append(make(*parts))
        return made[0]

    bootstrap.holder = holder

    async def build(around: Surroundings[Any]) -> ServiceParts[Any]:
        parts = await program.build(around)
        parts.app.include_router(_presses(replace(made[0], on_change=_nothing)))
        return parts

    return replace(program, build=build)


def _presses(holder: Holder[Any]) -> APIRouter:
    router = APIRouter()
    anybody = requires(*Role, rate=Rate.UNLIMITED)

    @router.post("/bench/presses")
    async def post_press(
        body: PressBody, request: Request, principal: Annotated[Principal, Depends(anybody)]
    ) -> dict[str, UUID]:
        ids = holder.world.ids
        press = Press(
            case_id=body.case_id, permit_id=ids.new(), gate=Gate.COLLECTION, subject_id=ids.new(),
            attempt=1, dose_id=None, seen=ClearanceVersion(body.epoch, body.version),
            requested_by=principal.subject,
        )  # fmt: skip
        answer = await press_start(holder, press, cause_of(request, principal))
        if not isinstance(answer, Go):
            raise Problem(409, "not-started", str(answer))
        return {"start_id": answer.start.start_id}

    return router


def _program(name: str) -> ServiceProgram[Any]:
    if name == Service.INTAKE.value:
        return _authority()
    if name == Service.MANUFACTURING.value:
        return _holder()
    program: ServiceProgram[Any] = import_module(f"services.{name}.bootstrap").PROGRAM
    return program


if __name__ == "__main__":
    main(_program(sys.argv[1]))
