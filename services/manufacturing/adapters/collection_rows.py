"""Collections and slots over one transaction."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import assert_never
from uuid import UUID

from services.manufacturing.adapters.statements import STATEMENTS
from services.manufacturing.application.row_ports import Slot
from services.manufacturing.domain.collection import (
    BookedCollection,
    Booking,
    CancelledCollection,
    Collection,
    CollectionMethod,
    DoneCollection,
    RunningCollection,
)
from shared.persistence.database import Row, Tx


class CollectionRows:
    """The port `Collections`."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def insert(self, collection: BookedCollection) -> None:
        """The booking is on record."""
        b = collection.booking
        await self._tx.run(
            STATEMENTS["insert_collection"],
            b.collection_id, b.case_id, b.method.value, b.planned_at, b.slot_id,
        )  # fmt: skip

    async def find(self, collection_id: UUID) -> Collection | None:
        """The collection."""
        row = await self._tx.row(STATEMENTS["collection_by_id"], collection_id)
        return None if row is None else _collection(row)

    async def save(self, collection: Collection) -> None:
        """The collection in its new state."""
        await self._tx.run(
            STATEMENTS["save_collection"], collection.booking.collection_id, *_columns(collection)
        )

    async def version(self, collection_id: UUID) -> int:
        """How often it changed."""
        row = await self._tx.row(STATEMENTS["collection_by_id"], collection_id)
        return 0 if row is None else int(row["version"])

    async def last_collected_at(self, case_id: UUID) -> datetime | None:
        """When material was last collected."""
        found: datetime | None = await self._tx.value(STATEMENTS["last_collected_at"], case_id)
        return found

    async def page(
        self, case_id: UUID | None, after: UUID | None, limit: int
    ) -> Sequence[Collection]:
        """Collections by id."""
        rows = await self._tx.rows(STATEMENTS["page_collections"], case_id, after, limit)
        return [_collection(row) for row in rows]

    async def add_slot(self, slot: Slot) -> bool:
        """Whether the slot is new."""
        added = await self._tx.run(STATEMENTS["add_slot"], slot.slot_id, slot.day, slot.place)
        return added > 0

    async def slot(self, slot_id: UUID) -> Slot | None:
        """The slot."""
        row = await self._tx.row(STATEMENTS["slot_by_id"], slot_id)
        return None if row is None else Slot(**row)

    async def take_slot(self, slot_id: UUID, collection_id: UUID) -> bool:
        """Whether the slot was free."""
        return await self._tx.run(STATEMENTS["take_slot"], slot_id, collection_id) > 0

    async def free_slot(self, collection_id: UUID) -> Slot | None:
        """The slot that the collection held."""
        row = await self._tx.row(STATEMENTS["free_slot"], collection_id)
        return None if row is None else Slot(**row)

    async def slots(self, from_day: date, limit: int, *, free_only: bool) -> Sequence[Slot]:
        """Slots from a day on."""
        rows = await self._tx.rows(STATEMENTS["slots_from"], from_day, limit, free_only)
        return [Slot(**row) for row in rows]


def _collection(row: Row) -> Collection:
    booking = Booking(
        row["collection_id"],
        row["case_id"],
        CollectionMethod(row["method"]),
        row["planned_at"],
        row["slot_id"],
    )
    match row["state"]:
        case "BOOKED":
            return BookedCollection(booking)
        case "RUNNING":
            return RunningCollection(booking, row["start_id"], row["started_at"])
        case "DONE":
            return DoneCollection(
                booking, row["start_id"], row["started_at"], row["collected_at"],
                row["container_id"],
            )  # fmt: skip
        case "CANCELLED":
            return CancelledCollection(booking, row["cancelled_at"])
        case state:
            raise ValueError(f"unknown state of a collection: {state}")


def _columns(collection: Collection) -> tuple[object, ...]:
    """state, start_id, started_at, collected_at, container_id, cancelled_at."""
    match collection:
        case BookedCollection():
            return ("BOOKED", None, None, None, None, None)
        case RunningCollection(_, start_id, started_at):
            return ("RUNNING", start_id, started_at, None, None, None)
        case DoneCollection(_, start_id, started_at, collected_at, container_id):
            return ("DONE", start_id, started_at, collected_at, container_id, None)
        case CancelledCollection(_, cancelled_at):
            return ("CANCELLED", None, None, None, None, cancelled_at)
        case _:
            assert_never(collection)
