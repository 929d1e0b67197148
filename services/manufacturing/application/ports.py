"""What manufacturing's use cases need of the other services, as narrow ports.

`StartPermits` is the start-permit protocol (`shared.permits`), `Authority` the few calls to intake
that must be on record there before we answer. The repository's ports are in `row_ports.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.manufacturing.application.row_ports import Report, Rows
from services.manufacturing.domain.holds import HoldOrder
from shared.contracts.vocabulary import Gate
from shared.messaging.unit_of_work import Cause, Work


@dataclass(frozen=True, slots=True)
class Press:
    """What a person asks when pressing start; `seen` is the clearance that the person saw."""

    case_id: UUID
    gate: Gate
    subject_id: UUID
    dose_id: UUID | None
    attempt: int
    permit_id: UUID
    seen: tuple[int, int]
    second_checker: str | None = None
    scanned_band: str | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """GO: the step may begin now; our own rows have followed in the same transaction.

    The screen may show it for `show_ms` and not longer.
    """

    start_id: UUID
    permit_id: UUID
    go_at: datetime
    show_ms: int


@dataclass(frozen=True, slots=True)
class DoNotStart:
    """Do not start, with all reasons. `status` and `code` are those of the problem answer."""

    status: int
    code: str
    title: str
    extra: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class StartView:
    """A start as it stands now; never shown as a fresh GO."""

    start_id: UUID
    permit_id: UUID
    state: str
    go_at: datetime | None


class StartPermits(Protocol):
    """The holder's side of the start permit."""

    async def press(self, press: Press, cause: Cause) -> Go | DoNotStart:
        """Asks once, starts if granted; opens its own transactions."""
        ...

    async def asked(self, work: Work[Rows], permit_id: UUID) -> StartView | None:
        """What became of a press, or None when nothing was started on that permit."""
        ...

    async def next_attempt(self, work: Work[Rows], subject_id: UUID) -> int:
        """The attempt that the next press for this subject is."""
        ...

    async def never_began(self, work: Work[Rows], start_id: UUID, reason: str) -> None:
        """The step never began although GO was shown: the permit is undone."""
        ...

    async def complete(self, work: Work[Rows], start_id: UUID) -> None:
        """The step is over."""
        ...

    async def stop(self, work: Work[Rows], start_id: UUID, reason: str) -> None:
        """The step ended before it was complete."""
        ...

    async def under_way(self, work: Work[Rows], start_id: UUID) -> bool:
        """Whether the start runs, with no stop ordered."""
        ...

    async def open_holds(
        self, work: Work[Rows], case_id: UUID, gate: Gate, dose_id: UUID | None
    ) -> Sequence[UUID]:
        """The open holds that are known here and cover this gate and dose."""
        ...


class AuthorityUnreachableError(Exception):
    """Intake did not take the request; it is not on record there as far as we know."""


@dataclass(frozen=True, slots=True)
class HoldOnRecord:
    """The authority has committed the hold."""

    effective: bool


class Authority(Protocol):
    """Intake, as far as manufacturing must write there or ask before it answers."""

    async def place_hold(self, order: HoldOrder) -> HoldOnRecord:
        """Returns when the hold is committed there. Raises `AuthorityUnreachableError`."""
        ...

    async def blocking_rules(self, case_id: UUID, gate: Gate) -> Sequence[str]:
        """The rules that shut a gate now. Raises `AuthorityUnreachableError`."""
        ...

    async def record_facts(self, case_id: UUID, reports: Sequence[Report]) -> None:
        """The statements are on the record. Raises `AuthorityUnreachableError`."""
        ...
