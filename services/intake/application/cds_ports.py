"""What the CDS Hooks use cases ask of their store. Each method is one SQL statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol
from uuid import UUID

Outcome = Literal["accepted", "overridden"]


@dataclass(frozen=True, slots=True)
class PlannedCollection:
    """A collection that is booked and not done."""

    collection_id: UUID
    planned_on: date


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a clinician did with a card, as their system reports it. `reporter` is that system."""

    card_id: UUID
    outcome: Outcome
    outcome_at: datetime
    reporter: str
    service_id: str
    reason_system: str | None
    reason_code: str | None
    user_comment: str | None
    suggestions: Sequence[str]


class CdsRows(Protocol):
    """The tables of CDS Hooks."""

    async def put_planned_collection(
        self, case_id: UUID, collection_id: UUID, planned_on: date
    ) -> None:
        """Adds a booking."""
        ...

    async def drop_planned_collection(self, collection_id: UUID) -> None:
        """The collection is done."""
        ...

    async def drop_planned_collection_for(self, case_id: UUID, day: date, days: int) -> None:
        """The last booking in so many days up to `day` is cancelled."""
        ...

    async def planned_collections(
        self, case_id: UUID, since: date, limit: int
    ) -> Sequence[PlannedCollection]:
        """The case's bookings from a day on, soonest first."""
        ...

    async def insert_feedback(self, feedback: Feedback, recorded_at: datetime) -> bool:
        """Whether it was new."""
        ...
