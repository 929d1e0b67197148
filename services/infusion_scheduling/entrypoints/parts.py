"""What infusion scheduling's endpoints work with, put together once in bootstrap."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from fastapi import Request

from services.infusion_scheduling.application.planning import Site
from services.infusion_scheduling.application.ports import ScheduleRows
from services.infusion_scheduling.application.record_vitals import Vitals
from services.infusion_scheduling.domain.monitoring import Trigger
from shared.auth.authenticator import Authenticator
from shared.auth.principal import Principal
from shared.messaging.unit_of_work import UnitOfWork
from shared.permits.holder import Holder
from shared.ports import World
from shared.web.second_signature import second_person


class PatientRecord(Protocol):
    """Intake's record, where bedside values become facts."""

    async def put_vitals(self, case_id: UUID, vitals: Vitals) -> bool:
        """Whether they are on record; when not, the next start is refused for want of them."""
        ...


@dataclass(frozen=True, slots=True)
class ReactionRow:
    """A row of the rulebook's reaction tables."""

    rule: str
    action: str | None


@dataclass(frozen=True, slots=True)
class SchedulingParts:
    """The use cases' surroundings.

    `reactions` is keyed by (scale, grade); `drip_minutes`: how long a dose runs at the least.
    """

    uow: UnitOfWork[ScheduleRows]
    holder: Holder[ScheduleRows]
    site: Site
    triggers: tuple[Trigger, ...]
    reactions: Mapping[tuple[str, int], ReactionRow]
    record: PatientRecord
    drip_minutes: int
    world: World
    mode: Literal["demo", "shadow", "live"]
    authenticator: Authenticator

    async def second_person(self, token: str) -> Principal:
        """Who checks second, by a token of their own. Raises `Problem` 422."""
        return await second_person(self.authenticator, token)


def parts_of(request: Request) -> SchedulingParts:
    """A dependency: the parts."""
    parts = request.app.state.parts
    if not isinstance(parts, SchedulingParts):
        raise TypeError("the app was built without its parts")
    return parts
