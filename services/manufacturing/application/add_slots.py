"""Capacity: culture places by day. Invariant: a place is offered once per day and taken once."""

from datetime import date

from services.manufacturing.application.row_ports import Rows, Slot
from services.manufacturing.domain.refusal import ReasonCode, RefusedError
from shared.messaging.unit_of_work import Work


async def add_slot(work: Work[Rows], day: date, place: str) -> Slot:
    """The new slot. Raises `RefusedError` when the place is offered on that day already."""
    slot = Slot(work.world.ids.new(), day, place, None)
    if not await work.rows.collections.add_slot(slot):
        raise RefusedError.because(ReasonCode.SLOT_TAKEN, subject="day_and_place")
    work.note("slot-added", None, slot_id=str(slot.slot_id), day=day.isoformat())
    return slot
