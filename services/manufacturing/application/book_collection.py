"""A collection is booked against the published timelines and a culture place, or not at all.

Invariant: a booking stands only where its gate may be planned, a culture place is free in time
after it, and an infusion can be planned at some time after the earliest harvest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.manufacturing.application.lookup import locked_case, locked_collection, wrong_state
from services.manufacturing.application.row_ports import KnownCase, NotFoundError, Rows, Slot
from services.manufacturing.domain.collection import (
    BookedCollection,
    Booking,
    CollectionMethod,
)
from services.manufacturing.domain.planning import Timeline
from services.manufacturing.domain.refusal import Reason, ReasonCode, RefusedError
from services.manufacturing.domain.rules import ManufacturingRules
from shared.contracts.manufacturing import CollectionBooked, ManufacturingSlotFreed
from shared.contracts.vocabulary import Gate
from shared.messaging.unit_of_work import Work


@dataclass(frozen=True, slots=True)
class BookCollection:
    """What a coordinator books."""

    case_id: UUID
    method: CollectionMethod
    planned_at: datetime
    slot_id: UUID


async def book_collection(
    work: Work[Rows], rules: ManufacturingRules, command: BookCollection
) -> BookedCollection:
    """The booking. Raises `NotFoundError` and `RefusedError` with all reasons."""
    case = await locked_case(work, command.case_id)
    slot = await work.rows.collections.slot(command.slot_id)
    if slot is None:
        raise NotFoundError("slot")
    reasons = [
        *_against_case(case),
        *await _against_timeline(work, rules, command),
        *await _against_interval(work, rules, command),
        *_against_slot(slot, rules, command),
    ]
    if reasons:
        raise RefusedError(*reasons)
    return await _book(work, rules, command)


async def _book(
    work: Work[Rows], rules: ManufacturingRules, command: BookCollection
) -> BookedCollection:
    collection_id = work.world.ids.new()
    if not await work.rows.collections.take_slot(command.slot_id, collection_id):
        raise RefusedError.because(ReasonCode.SLOT_TAKEN, lifted_by="another slot")
    booking = Booking(
        collection_id, command.case_id, command.method, command.planned_at, command.slot_id
    )
    booked = BookedCollection(booking)
    await work.rows.collections.insert(booked)
    work.emit(
        CollectionBooked(
            case_id=command.case_id,
            collection_id=collection_id,
            method=command.method.value,
            planned_on=rules.clocks.local_day(command.planned_at),
        )
    )
    work.note("collection-booked", command.case_id, collection_id=str(collection_id))
    return booked


def _against_case(case: KnownCase) -> Iterable[Reason]:
    if case.consent_withdrawn_on is not None:
        yield Reason(ReasonCode.CONSENT_WITHDRAWN)
    if case.closed:
        yield Reason(ReasonCode.CASE_CLOSED)


async def _against_timeline(
    work: Work[Rows], rules: ManufacturingRules, command: BookCollection
) -> list[Reason]:
    collecting = await work.rows.cases.timeline(command.case_id, Gate.COLLECTION)
    giving = await work.rows.cases.timeline(command.case_id, Gate.INFUSION)
    harvest = command.planned_at + timedelta(days=rules.harvest.day_min)
    return [
        *_unplannable(collecting, command.planned_at),
        *_no_infusion(giving, harvest),
    ]


def _unplannable(timeline: Timeline | None, at: datetime) -> Iterable[Reason]:
    interval = None if timeline is None else timeline.at(at)
    if timeline is None or interval is None:
        yield Reason(ReasonCode.TIMELINE_UNKNOWN, subject=Gate.COLLECTION.value)
    elif timeline.plannable_between(at, at + timedelta.resolution) is None:
        for rule in interval.rules or (None,):
            yield Reason(ReasonCode.NOT_PLANNABLE, rule=rule, subject=Gate.COLLECTION.value)


def _no_infusion(timeline: Timeline | None, harvest: datetime) -> Iterable[Reason]:
    if timeline is None:
        yield Reason(ReasonCode.TIMELINE_UNKNOWN, subject=Gate.INFUSION.value)
    elif timeline.plannable_after(harvest) is None:
        yield Reason(ReasonCode.NOT_PLANNABLE, subject=Gate.INFUSION.value)


async def _against_interval(
    work: Work[Rows], rules: ManufacturingRules, command: BookCollection
) -> list[Reason]:
    last = await work.rows.collections.last_collected_at(command.case_id)
    if last is None:
        return []
    days = rules.clocks.local_day(command.planned_at) - rules.clocks.local_day(last)
    if days.days >= rules.days_between_collections_min:
        return []
    return [Reason(ReasonCode.COLLECTION_TOO_SOON, rule=rules.days_between_collections_rule)]


def _against_slot(
    slot: Slot, rules: ManufacturingRules, command: BookCollection
) -> Iterable[Reason]:
    planned_on = rules.clocks.local_day(command.planned_at)
    latest = rules.clocks.local_day(command.planned_at + rules.start_after_collection_max)
    if slot.day < planned_on:
        yield Reason(ReasonCode.SLOT_TOO_EARLY, subject=slot.day.isoformat())
    if slot.day > latest:
        yield Reason(ReasonCode.START_TOO_LATE, rule=rules.start_after_collection_rule)
    if slot.collection_id is not None:
        yield Reason(ReasonCode.SLOT_TAKEN, lifted_by="another slot")


async def cancel_collection(work: Work[Rows], collection_id: UUID) -> None:
    """The booking is cancelled and its slot free. Raises `RefusedError` once it has begun."""
    collection = await locked_collection(work, collection_id)
    if not isinstance(collection, BookedCollection):
        raise wrong_state(collection)
    case_id = collection.booking.case_id
    await work.rows.collections.save(collection.cancel(at=work.world.clock.now()))
    slot = await work.rows.collections.free_slot(collection_id)
    if slot is not None:
        work.emit(ManufacturingSlotFreed(case_id=case_id, slot_id=slot.slot_id, day=slot.day))
    work.note("collection-cancelled", case_id, collection_id=str(collection_id))
