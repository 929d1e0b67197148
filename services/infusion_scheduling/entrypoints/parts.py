"""What infusion scheduling's endpoints work with, put together once in bootstrap."""

from dataclasses import dataclass
from typing import Literal

from fastapi import Request

from services.infusion_scheduling.application.planning import Site
from services.infusion_scheduling.application.ports import ScheduleRows
from shared.auth.authenticator import Authenticator
from shared.messaging.unit_of_work import UnitOfWork
from shared.ports import World


@dataclass(frozen=True, slots=True)
class SchedulingParts:
    """The use cases' surroundings."""

    uow: UnitOfWork[ScheduleRows]
    site: Site
    world: World
    mode: Literal["demo", "shadow", "live"]
    authenticator: Authenticator


def parts_of(request: Request) -> SchedulingParts:
    """A dependency: the parts."""
    parts = request.app.state.parts
    if not isinstance(parts, SchedulingParts):
        raise TypeError("the app was built without its parts")
    return parts
