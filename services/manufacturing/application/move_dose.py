"""A dose on its way: hand-out after the thaw, return, destruction, custody.

Invariant: whatever makes a dose unusable is on record at the authority as a hold before it is
answered; a dose that comes back usable undoes its hand-out there.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.manufacturing.application.follow_starts import emit_issued
from services.manufacturing.application.lookup import locked_dose, wrong_state
from services.manufacturing.application.place_hold import order_hold
from services.manufacturing.application.press_start import check_infusion
from services.manufacturing.application.row_ports import NotFoundError, Rows
from services.manufacturing.application.shell import Shell
from services.manufacturing.domain.custody import Condition, Handover, hand_over
from services.manufacturing.domain.dose import (
    AvailableDose,
    BlockPurpose,
    DiscardReason,
    Dose,
    IssuedDose,
    QuarantinedDose,
    RecalledDose,
    ReturnedDose,
    RunningDose,
    ThawedDose,
)
from services.manufacturing.domain.holds import HoldOrder, RecallReason
from services.manufacturing.domain.labels import Container
from services.manufacturing.domain.refusal import Reason, ReasonCode, RefusedError
from shared.contracts.manufacturing import CustodyHandedOver, DoseDiscarded
from shared.contracts.vocabulary import Gate
from shared.messaging.unit_of_work import Work


async def dose_container(work: Work[Rows], dose_id: UUID) -> Container:
    """The dose's labelled container, for a scan."""
    await locked_dose(work, dose_id)
    container = await work.rows.containers.of_dose(dose_id)
    if container is None:
        raise NotFoundError("container")
    return container


async def issue_thawed(
    shell: Shell, work: Work[Rows], dose: ThawedDose, infusion_id: UUID
) -> IssuedDose:
    """The thawed dose handed out under the start of its thaw.

    Raises `RefusedError` when that start was stopped meanwhile or a hold is open: no second permit
    is asked, so a hold known here must refuse it.
    """
    await check_infusion(work, infusion_id, dose.bag.case_id)
    holds = await shell.permits.open_holds(
        work, dose.bag.case_id, Gate.DOSE_ISSUE, dose.bag.dose_id
    )
    reasons = [Reason(ReasonCode.HOLD_OPEN, subject=str(hold_id)) for hold_id in holds]
    if not await shell.permits.under_way(work, dose.start_id):
        reasons.append(Reason(ReasonCode.STOP_ORDERED))
    if reasons:
        raise RefusedError(*reasons)
    issued = dose.issue(infusion_id, at=work.world.clock.now())
    issue = await work.rows.doses.issue_of(dose.bag.dose_id)
    if issue is None:
        raise LookupError("a thawed dose without its hand-out row")
    await work.rows.doses.save(issued)
    await emit_issued(work, issued, issue)
    return issued


async def take_back(shell: Shell, work: Work[Rows], dose_id: UUID) -> None:
    """The dose is usable again and its permit undone (the start's follower changes the dose)."""
    dose = await locked_dose(work, dose_id)
    if not isinstance(dose, IssuedDose):
        raise wrong_state(dose)
    dose.take_back(at=work.world.clock.now())
    await shell.permits.never_began(work, dose.start_id, "returned_usable")


async def return_unusable(shell: Shell, work: Work[Rows], dose_id: UUID) -> HoldOrder:
    """The order of the hold for a dose that came back and must not be used."""
    dose = await locked_dose(work, dose_id)
    if not isinstance(dose, ThawedDose | IssuedDose | RunningDose):
        raise wrong_state(dose)
    await _end_start(shell, work, dose, "returned_unusable")
    order = dose_order(work, dose, BlockPurpose.RETURN, None)
    await order_hold(work, order)
    return order


async def discard(
    shell: Shell, work: Work[Rows], dose_id: UUID, reason: DiscardReason
) -> HoldOrder | None:
    """The order of the hold for a dose being destroyed, or None when none is needed.

    None is needed for a dose that was never usable or whose hold is on record already.
    """
    dose = await locked_dose(work, dose_id)
    if isinstance(dose, QuarantinedDose | RecalledDose | ReturnedDose):
        await work.rows.doses.save(dose.discard(reason))
        _tell_discarded(work, dose, reason)
        return None
    if not isinstance(dose, AvailableDose | ThawedDose | IssuedDose | RunningDose):
        raise wrong_state(dose)
    await _end_start(shell, work, dose, "discarded")
    order = dose_order(work, dose, BlockPurpose.DISCARD, reason)
    await order_hold(work, order)
    return order


@dataclass(frozen=True, slots=True)
class HandOver:
    """A hand-over as its receiver reports it."""

    dose_id: UUID
    giver: str
    place: str
    condition: Condition
    handed_over_at: datetime


async def record_handover(
    shell: Shell, work: Work[Rows], command: HandOver
) -> tuple[Handover, HoldOrder | None]:
    """The link of the chain, and for a damaged or warm container the order of its hold."""
    dose = await locked_dose(work, command.dose_id)
    container = await dose_container(work, command.dose_id)
    link = Handover(
        handover_id=work.world.ids.new(),
        container_id=container.container_id,
        giver=command.giver,
        receiver=work.cause.actor,
        place=command.place,
        condition=command.condition,
        handed_over_at=command.handed_over_at,
    )
    last = await work.rows.containers.last_handover(container.container_id)
    await work.rows.containers.add_handover(hand_over(last, link))
    work.emit(
        CustodyHandedOver(
            case_id=dose.bag.case_id,
            container_id=container.container_id,
            place=command.place,
            handed_over_at=command.handed_over_at,
        )
    )
    work.note("custody-handed-over", dose.bag.case_id, dose_id=str(command.dose_id),
              condition=command.condition.value)  # fmt: skip
    return link, await _after(shell, work, dose, link)


async def _after(shell: Shell, work: Work[Rows], dose: Dose, link: Handover) -> HoldOrder | None:
    in_use = isinstance(dose, AvailableDose | ThawedDose | IssuedDose | RunningDose)
    if not link.failed or not in_use:
        return None
    await _end_start(shell, work, dose, "custody")
    order = dose_order(work, dose, BlockPurpose.CUSTODY, RecallReason.CUSTODY)
    await order_hold(work, order)
    return order


def dose_order(
    work: Work[Rows],
    dose: Dose,
    purpose: BlockPurpose,
    cause: RecallReason | DiscardReason | None,
) -> HoldOrder:
    """An order that covers this dose alone."""
    return HoldOrder(
        hold_id=work.world.ids.new(),
        case_id=dose.bag.case_id,
        purpose=purpose,
        dose_ids=frozenset({dose.bag.dose_id}),
        cause=cause,
        reporter=work.cause.actor,
        requested_at=work.world.clock.now(),
        batch_id=dose.bag.batch_id,
    )


async def _end_start(shell: Shell, work: Work[Rows], dose: Dose, reason: str) -> None:
    """The hand-out is over, so that another dose may be handed out for the infusion."""
    match dose:
        case ThawedDose() | IssuedDose():
            await shell.permits.stop(work, dose.start_id, reason)
        case RunningDose() if dose.issued is not None:
            await shell.permits.stop(work, dose.issued.start_id, reason)
        case _:
            return


def _tell_discarded(
    work: Work[Rows],
    dose: QuarantinedDose | RecalledDose | ReturnedDose,
    reason: DiscardReason,
) -> None:
    work.emit(
        DoseDiscarded(
            case_id=dose.bag.case_id,
            dose_id=dose.bag.dose_id,
            batch_id=dose.bag.batch_id,
            reason=reason.value,
        )
    )
    work.note("dose-discarded", dose.bag.case_id, dose_id=str(dose.bag.dose_id),
              reason=reason.value)  # fmt: skip
