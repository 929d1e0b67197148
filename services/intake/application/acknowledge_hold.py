"""A holder says that nothing older than a hold starts there any more.

Invariant: an acknowledgement ends only the waits for the service that sent it, as the event's
authenticated source says, and only for the epoch that it answers (start permit, step 7).
"""

from uuid import UUID

from services.intake.application.authority_ports import R
from services.intake.application.holding import settle_waits
from shared.contracts.infusion import InfusionHoldAcknowledged
from shared.contracts.manufacturing import ManufacturingHoldAcknowledged
from shared.contracts.vocabulary import EffectiveBy, Service
from shared.messaging.unit_of_work import Work

Acknowledged = ManufacturingHoldAcknowledged | InfusionHoldAcknowledged


async def acknowledge_hold(
    work: Work[R], holder: Service, case_id: UUID, acknowledged: Acknowledged
) -> bool:
    """Whether the word counted: it is about a hold of this case, in its present epoch.

    Holds that wait for nothing any more become effective. The case is locked.
    """
    rows = work.rows.authority
    hold = await rows.hold(acknowledged.hold_id)
    if hold is None or hold.case_id != case_id or hold.clearance.epoch != acknowledged.epoch:
        return False
    now = work.world.machine_clock.now()
    await rows.acknowledge(
        hold.hold_id, holder, acknowledged.epoch, acknowledged.in_flight.value, now
    )
    await rows.stop_waiting_for_holder(hold.hold_id, holder)
    await settle_waits(work, case_id, EffectiveBy.ACK)
    work.note(
        "hold-acknowledged",
        case_id,
        hold_id=str(hold.hold_id),
        holder=holder.value,
        in_flight=acknowledged.in_flight.value,
    )
    return True
