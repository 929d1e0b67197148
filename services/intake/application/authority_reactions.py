"""What the authority does with the holders' events, for intake's table of reactions."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from services.intake.application.acknowledge_hold import acknowledge_hold
from services.intake.application.authority_ports import MayBeRunning, R
from services.intake.application.consume_permit import (
    UNPERMITTED,
    OutcomeReport,
    record_outcome,
    record_unpermitted,
)
from services.intake.application.place_hold import place_unprocessed_hold
from services.intake.application.release_hold import release_unprocessed_hold
from services.intake.domain.holds import unprocessed_hold_id
from services.intake.domain.permits import Outcome
from shared.contracts.event import Envelope, Event
from shared.contracts.infusion import (
    InfusionCaseParked,
    InfusionCaseUnparked,
    InfusionCompleted,
    InfusionHoldAcknowledged,
    InfusionStartAnswered,
    InfusionStopped,
)
from shared.contracts.manufacturing import (
    BatchStarted,
    CollectionDone,
    DoseIssued,
    ManufacturingCaseParked,
    ManufacturingCaseUnparked,
    ManufacturingHoldAcknowledged,
    ManufacturingStartAnswered,
)
from shared.contracts.notification import NotificationCaseParked, NotificationCaseUnparked
from shared.contracts.vocabulary import Gate, Service
from shared.messaging.reactions import Reaction
from shared.messaging.unit_of_work import Work


def authority_reactions() -> Mapping[type[Event], Reaction[R]]:
    """The handlers by event; the case is locked by the consumer (`adapters.authority.lock_cases`).

    Where another part of intake reacts to the same event, run both.
    """
    return {
        ManufacturingHoldAcknowledged: on_hold_acknowledged,
        InfusionHoldAcknowledged: on_hold_acknowledged,
        ManufacturingStartAnswered: on_permit_outcome,
        InfusionStartAnswered: on_permit_outcome,
        InfusionStopped: on_infusion_stopped,
        InfusionCompleted: on_infusion_completed,
        CollectionDone: on_collection_done,
        BatchStarted: on_batch_started,
        DoseIssued: on_dose_issued,
        ManufacturingCaseParked: on_case_parked,
        InfusionCaseParked: on_case_parked,
        NotificationCaseParked: on_case_parked,
        ManufacturingCaseUnparked: on_case_unparked,
        InfusionCaseUnparked: on_case_unparked,
        NotificationCaseUnparked: on_case_unparked,
    }


async def on_hold_acknowledged(work: Work[R], envelope: Envelope[Any]) -> None:
    """`hold-acknowledged` of either holder. The source is the topic's owner, never the body."""
    await acknowledge_hold(work, envelope.source, envelope.case_id, envelope.data)


async def on_permit_outcome(work: Work[R], envelope: Envelope[Any]) -> None:
    """`permit-outcome` of either holder: a permit was used or undone, or none was asked for."""
    event: ManufacturingStartAnswered | InfusionStartAnswered = envelope.data
    if event.outcome == "unpermitted" or event.permit_id is None:
        await record_unpermitted(
            work, _unpermitted(work, envelope.source, event), event.case_id, event.attempt
        )
        return
    report = OutcomeReport(
        case_id=event.case_id,
        permit_id=event.permit_id,
        start_id=event.start_id,
        gate=event.gate,
        holder=envelope.source,
        subject_id=event.subject_id,
        dose_id=event.dose_id,
        attempt=event.attempt,
        outcome=Outcome(event.outcome),
    )
    await record_outcome(work, report)


def _unpermitted(
    work: Work[R], holder: Service, event: ManufacturingStartAnswered | InfusionStartAnswered
) -> MayBeRunning:
    return MayBeRunning(
        permit_id=None,
        start_id=event.start_id,
        gate=event.gate,
        holder=holder,
        subject_id=event.subject_id,
        dose_id=event.dose_id,
        place=None,
        state=UNPERMITTED,
        since=work.world.machine_clock.now(),
        until=None,
    )


async def on_infusion_stopped(work: Work[R], envelope: Envelope[Any]) -> None:
    """Stopped, paused or never opened: under this permit nothing runs any more."""
    event: InfusionStopped = envelope.data
    rows, now = work.rows.authority, work.world.machine_clock.now()
    await rows.end_start(event.start_id, now)
    if event.permit_id is not None:
        await rows.end_permit(event.permit_id, now)


async def on_infusion_completed(work: Work[R], envelope: Envelope[Any]) -> None:
    """The dose was given in full: no attempt of this infusion runs any more."""
    event: InfusionCompleted = envelope.data
    now = work.world.machine_clock.now()
    await work.rows.authority.end_start(event.start_id, now)
    await _end(work, event.infusion_id, Gate.INFUSION)


async def on_collection_done(work: Work[R], envelope: Envelope[Any]) -> None:
    """The collection is over."""
    await _end(work, envelope.data.collection_id, Gate.COLLECTION)


async def on_batch_started(work: Work[R], envelope: Envelope[Any]) -> None:
    """The culture stands: what needed the permit has been done."""
    await _end(work, envelope.data.batch_id, Gate.MANUFACTURING_START)


async def on_dose_issued(work: Work[R], envelope: Envelope[Any]) -> None:
    """The dose is out of manufacturing's hands."""
    now = work.world.machine_clock.now()
    await work.rows.authority.end_permit(envelope.data.permit_id, now)


async def _end(work: Work[R], subject_id: UUID, gate: Gate) -> None:
    now = work.world.machine_clock.now()
    await work.rows.authority.end_subject(subject_id, gate, now)


async def on_case_parked(work: Work[R], envelope: Envelope[Any]) -> None:
    """A consumer elsewhere waits with an event of this case: what it would say is unknown."""
    hold_id = unprocessed_hold_id(envelope.case_id, envelope.source, envelope.id)
    await place_unprocessed_hold(work, envelope.case_id, envelope.source, hold_id)


async def on_case_unparked(work: Work[R], envelope: Envelope[Any]) -> None:
    """That consumer has caught up."""
    await release_unprocessed_hold(work, envelope.case_id, envelope.source)
