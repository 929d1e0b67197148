"""One holder of the start permit: a service that acts under permits, and what it acts through."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Generic, Literal, Protocol, TypeVar
from uuid import UUID

from shared.contracts.event import Event
from shared.contracts.infusion import InfusionHoldAcknowledged, InfusionStartAnswered
from shared.contracts.manufacturing import (
    ManufacturingHoldAcknowledged,
    ManufacturingStartAnswered,
)
from shared.contracts.vocabulary import Gate, InFlight, Service
from shared.messaging.unit_of_work import UnitOfWork, Work
from shared.permits.clearance import gates_of
from shared.permits.rows import HolderRows
from shared.permits.starts import ReplicatedHold, Start, StartChange
from shared.permits.times import PermitTimes
from shared.ports import Http, World

R = TypeVar("R")
Mode = Literal["demo", "shadow", "live"]

_ACKNOWLEDGED: Final = MappingProxyType(
    {
        Service.MANUFACTURING: ManufacturingHoldAcknowledged,
        Service.INFUSION_SCHEDULING: InfusionHoldAcknowledged,
    }
)
_OUTCOME: Final = MappingProxyType(
    {
        Service.MANUFACTURING: ManufacturingStartAnswered,
        Service.INFUSION_SCHEDULING: InfusionStartAnswered,
    }
)
Outcome = Literal["consumed", "undone", "unpermitted"]


class DatabaseGuard(Protocol):
    """Knows whether the database is still the one that this process began on."""

    async def may_start(self, rows: HolderRows) -> bool:
        """False after a restore or fail-over, until the service has caught up again."""
        ...


class Unguarded:
    """For stores that cannot be restored under a running process."""

    async def may_start(self, rows: HolderRows) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, slots=True)
class AuthorityAddress:
    """Where intake answers. `http` shows by itself who asks.

    `mode` is this service's own; a permit counts only from an authority in the same mode.
    """

    url: str
    http: Http
    mode: Mode


OnChange = Callable[[Work[R], StartChange], Awaitable[None]]


async def _unheard(work: Work[Any], change: StartChange) -> None:
    """A service that keeps no rows of its own about its starts."""


@dataclass(frozen=True, slots=True)
class Holder(Generic[R]):
    """What the functions of this package work on.

    `on_change` is called inside the transaction of each change of a start, with the fence locked:
    there the service changes its own rows and emits its own events (infusion-started and so on).
    The events of the permit protocol itself are emitted here.
    """

    service: Service
    unit_of_work: UnitOfWork[R]
    world: World
    authority: AuthorityAddress
    times: PermitTimes = field(default_factory=PermitTimes)
    on_change: OnChange[R] = _unheard
    guard: DatabaseGuard = field(default_factory=Unguarded)

    @property
    def gates(self) -> frozenset[Gate]:
        """The gates at which this service acts."""
        return gates_of(self.service)

    def acknowledged(self, hold: ReplicatedHold, in_flight: InFlight) -> Event:
        """The event that tells the authority that nothing older than the hold starts here."""
        return _ACKNOWLEDGED[self.service](
            case_id=hold.case_id,
            hold_id=hold.hold_id,
            epoch=hold.clearance.epoch,
            version=hold.clearance.version,
            in_flight=in_flight,
        )

    def outcome(self, start: Start, outcome: Outcome, at: datetime) -> Event:
        """The event that tells the authority what became of a permit."""
        return _OUTCOME[self.service](
            case_id=start.case_id,
            permit_id=start.permit_id,
            start_id=start.start_id,
            gate=start.gate,
            subject_id=start.subject_id,
            dose_id=start.dose_id,
            attempt=start.attempt,
            outcome=outcome,
            decided_at=at,
        )

    def outcome_kind(self, start_id: UUID, outcome: Outcome) -> str:
        """What makes the outcome's event id the same on a redelivery of its cause."""
        return f"{outcome}:{start_id}"
