"""Which collections are booked and still to come, as manufacturing tells it.

A booking is no fact of the record: nothing has happened yet. It is kept for the cards alone, which
say what an order would mean for it. Told twice equals once.
"""

from collections.abc import Mapping
from typing import Any, Final

from services.intake.application.ports import IntakeRows
from shared.contracts.event import Envelope, Event
from shared.contracts.manufacturing import (
    CollectionBooked,
    CollectionDone,
    ManufacturingSlotFreed,
)
from shared.messaging.reactions import Reaction
from shared.messaging.unit_of_work import Work

#: a slot lies at most days after its collection (the start window), and collections a week apart
SLOT_DAYS_MAX: Final = 7


def booking_reactions() -> Mapping[type[Event], Reaction[IntakeRows]]:
    """For intake's REACTIONS table."""
    return {
        CollectionBooked: on_collection_booked,
        CollectionDone: on_collection_done,
        ManufacturingSlotFreed: on_slot_freed,
    }


async def on_collection_booked(work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
    """The collection is planned for a day."""
    event: CollectionBooked = envelope.data
    await work.rows.cds.put_planned_collection(event.case_id, event.collection_id, event.planned_on)


async def on_collection_done(work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
    """The collection is planned no longer."""
    event: CollectionDone = envelope.data
    await work.rows.cds.drop_planned_collection(event.collection_id)


async def on_slot_freed(work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
    """The booking of the slot was cancelled; a slot is freed for no other reason."""
    event: ManufacturingSlotFreed = envelope.data
    await work.rows.cds.drop_planned_collection_for(event.case_id, event.day, SLOT_DAYS_MAX)
