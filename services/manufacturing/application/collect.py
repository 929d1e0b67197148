"""From the chair to the laboratory: the label, the end of the collection, the received material.

Invariant: material is received only from a finished collection whose container was labelled and
scanned; the batch belongs to the collection's case.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.manufacturing.application.lookup import (
    locked_collection,
    material_of,
    wrong_state,
)
from services.manufacturing.application.ports import StartPermits
from services.manufacturing.application.report_facts import COI_LABEL, report_evidence
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.domain.batch import DoneStep, Origin, ReceivedBatch, Step
from services.manufacturing.domain.collection import (
    BookedCollection,
    DoneCollection,
    RunningCollection,
)
from services.manufacturing.domain.custody import Condition, Handover, hand_over
from services.manufacturing.domain.labels import Container, ContainerKind
from services.manufacturing.domain.refusal import ReasonCode, RefusedError
from shared.contracts.manufacturing import CollectionDone, MaterialReceived
from shared.messaging.unit_of_work import Work

STEP_COLLECT = "collect"
STEP_RECEIVE = Step.RECEIVE.value


async def label_material(work: Work[Rows], collection_id: UUID) -> Container:
    """The collection's container with its label; asked again, the same one."""
    collection = await locked_collection(work, collection_id)
    found = await work.rows.containers.of_collection(collection_id)
    if found is not None:
        return found
    if not isinstance(collection, BookedCollection | RunningCollection):
        raise wrong_state(collection)
    case_id = collection.booking.case_id
    container = Container(work.world.ids.new(), case_id, ContainerKind.MATERIAL, collection_id)
    now = work.world.clock.now()
    await work.rows.containers.add(container, now, work.cause.actor)
    await report_evidence(work, case_id, COI_LABEL, container.container_id)
    work.note("container-labelled", case_id, container_id=str(container.container_id))
    return container


async def container_of(work: Work[Rows], collection_id: UUID) -> Container:
    """The labelled container of a collection, for a scan."""
    await locked_collection(work, collection_id)
    return await material_of(work, collection_id)


async def finish_collection(
    permits: StartPermits, work: Work[Rows], collection_id: UUID, *, collected_at: datetime
) -> DoneCollection:
    """The finished collection, its start complete. Its container's label was scanned before."""
    collection = await locked_collection(work, collection_id)
    if not isinstance(collection, RunningCollection):
        raise wrong_state(collection)
    container = await material_of(work, collection_id)
    not_in_future(work, collected_at, "collected_at")
    done = collection.finish(container_id=container.container_id, at=collected_at)
    await work.rows.collections.save(done)
    await permits.complete(work, done.start_id)
    booking = done.booking
    work.emit(
        CollectionDone(
            case_id=booking.case_id,
            collection_id=collection_id,
            method=booking.method.value,
            collected_at=collected_at,
        )
    )
    work.note("collection-done", booking.case_id, collection_id=str(collection_id))
    return done


@dataclass(frozen=True, slots=True)
class ReceiveMaterial:
    """How the material arrived; the receiver is who reports it."""

    collection_id: UUID
    received_at: datetime
    giver: str
    place: str
    condition: Condition


async def receive_material(work: Work[Rows], command: ReceiveMaterial) -> ReceivedBatch:
    """The new batch. Its container's label was scanned before.

    Raises `RefusedError` unless the collection is finished and has no batch yet; material that
    arrives damaged or out of temperature is not made into a batch.
    """
    collection = await locked_collection(work, command.collection_id)
    if not isinstance(collection, DoneCollection):
        raise wrong_state(collection)
    if await work.rows.batches.of_collection(command.collection_id) is not None:
        raise RefusedError.because(ReasonCode.WRONG_STATE, subject="received")
    await _take_over(work, collection, command)
    batch = ReceivedBatch(_origin(work, collection, command.received_at))
    await work.rows.batches.insert(batch)
    step = DoneStep(Step.RECEIVE, command.received_at, work.cause.actor)
    await work.rows.batches.add_step(
        work.world.ids.new(), batch.origin.batch_id, step, work.world.clock.now()
    )
    work.emit(
        MaterialReceived(
            case_id=batch.origin.case_id,
            collection_id=command.collection_id,
            batch_id=batch.origin.batch_id,
            received_at=command.received_at,
        )
    )
    work.note("material-received", batch.origin.case_id, batch_id=str(batch.origin.batch_id))
    return batch


def _origin(work: Work[Rows], collection: DoneCollection, received_at: datetime) -> Origin:
    if received_at < collection.collected_at:
        raise RefusedError.because(ReasonCode.TIME_ORDER, subject="received_at")
    not_in_future(work, received_at, "received_at")
    return Origin(
        batch_id=work.world.ids.new(),
        case_id=collection.booking.case_id,
        collection_id=collection.booking.collection_id,
        collected_at=collection.collected_at,
        received_at=received_at,
    )


async def _take_over(
    work: Work[Rows], collection: DoneCollection, command: ReceiveMaterial
) -> None:
    link = Handover(
        handover_id=work.world.ids.new(),
        container_id=collection.container_id,
        giver=command.giver,
        receiver=work.cause.actor,
        place=command.place,
        condition=command.condition,
        handed_over_at=command.received_at,
    )
    if link.failed:
        raise RefusedError.because(ReasonCode.DEVIATION_OPEN, subject=command.condition.value)
    last = await work.rows.containers.last_handover(collection.container_id)
    await work.rows.containers.add_handover(hand_over(last, link))


def not_in_future(work: Work[Rows], instant: datetime, field: str) -> None:
    """Raises `RefusedError` for something reported as done later than now."""
    if instant > work.world.clock.now():
        raise RefusedError.because(ReasonCode.TIME_ORDER, subject=field)
