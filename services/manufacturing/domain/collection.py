"""A collection of starting material, one type per state.

Invariant: only a booked collection can be started, only a running one can be finished, and it is
finished only with the container whose label was scanned and matched.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.manufacturing.domain.refusal import ReasonCode, RefusedError


class CollectionMethod(StrEnum):
    """How the starting material is taken."""

    APHERESIS = "apheresis"
    BLOOD_DRAW = "blood_draw"


@dataclass(frozen=True, slots=True)
class Booking:
    """What was booked: one collection of one case, on one manufacturing slot."""

    collection_id: UUID
    case_id: UUID
    method: CollectionMethod
    planned_at: datetime
    slot_id: UUID


@dataclass(frozen=True, slots=True)
class BookedCollection:
    """A collection that has not begun."""

    booking: Booking

    def start(self, *, start_id: UUID, at: datetime) -> "RunningCollection":
        """The collection under way, once its permit was consumed (`start_id`)."""
        return RunningCollection(self.booking, start_id, at)

    def cancel(self, *, at: datetime) -> "CancelledCollection":
        """The collection cancelled; its slot is free again."""
        return CancelledCollection(self.booking, at)


@dataclass(frozen=True, slots=True)
class RunningCollection:
    """A collection under way."""

    booking: Booking
    start_id: UUID
    started_at: datetime

    def finish(self, *, container_id: UUID, at: datetime) -> "DoneCollection":
        """The collection with its material in the labelled container.

        Raises `RefusedError` when `at` lies before the start.
        """
        if at < self.started_at:
            raise RefusedError.because(ReasonCode.TIME_ORDER, subject="collected_at")
        return DoneCollection(self.booking, self.start_id, self.started_at, at, container_id)

    def not_started(self) -> BookedCollection:
        """The collection booked again: it never began although GO was shown."""
        return BookedCollection(self.booking)


@dataclass(frozen=True, slots=True)
class DoneCollection:
    """Material was collected."""

    booking: Booking
    start_id: UUID
    started_at: datetime
    collected_at: datetime
    container_id: UUID


@dataclass(frozen=True, slots=True)
class CancelledCollection:
    """A collection that will not take place."""

    booking: Booking
    cancelled_at: datetime


Collection = BookedCollection | RunningCollection | DoneCollection | CancelledCollection
