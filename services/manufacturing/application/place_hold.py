"""A hold that must be on record at the authority before we answer.

Three steps: the order is committed here (with whatever it blocks), it is put on record at intake,
and only then the consequence is written and told. Invariant: an order survives every crash and is
sent until intake has it; nothing claims to be done before that. Sending it twice is harmless: the
hold's id is ours and intake's `POST /cases/{id}/holds` is idempotent.
"""

from dataclasses import replace
from typing import Final, assert_never
from uuid import UUID

from services.manufacturing.application.ports import AuthorityUnreachableError
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.application.shell import Shell
from services.manufacturing.domain.batch import ConditionallyReleasedBatch, ReleasedBatch
from services.manufacturing.domain.dose import (
    AvailableDose,
    BlockedDose,
    BlockPurpose,
    DiscardReason,
    IssuedDose,
    RunningDose,
    ThawedDose,
)
from services.manufacturing.domain.holds import HoldOrder, RecallReason
from shared.contracts.manufacturing import (
    DoseDiscarded,
    DoseReturned,
    IdentityMismatch,
    RecallOrdered,
)
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import Cause, Work

#: one run of the retry timer; the rest follows in the next
RETRIED_PER_RUN_MAX: Final = 20


async def order_hold(work: Work[Rows], order: HoldOrder) -> None:
    """The order is durable, and its doses can neither be handed out nor given from here."""
    await work.rows.holds.add(order)
    for dose_id in sorted(order.dose_ids or ()):
        dose = await work.rows.doses.find(dose_id)
        if isinstance(dose, AvailableDose | ThawedDose | IssuedDose | RunningDose):
            await work.rows.doses.save(dose.block(order.hold_id, order.purpose))
    work.note(
        "hold-ordered",
        order.case_id,
        hold_id=str(order.hold_id),
        purpose=order.purpose.value,
        cause=None if order.cause is None else order.cause.value,
    )


async def put_on_record(shell: Shell, order: HoldOrder, cause: Cause) -> HoldOrder:
    """The order as the authority has it, its consequence written and told.

    Raises `AuthorityUnreachableError`; then the order waits and is sent again.
    """
    if order.on_record_at is not None:
        return order
    answer = await shell.authority.place_hold(order)
    async with shell.unit_of_work.begin(cause, urgent=True) as work:
        await work.rows.cases.lock(order.case_id)
        now = work.world.clock.now()
        fresh = await work.rows.holds.put_on_record(order.hold_id, now, effective=answer.effective)
        if fresh:
            await _settle(work, order)
    return replace(order, on_record_at=now, effective=answer.effective)


async def find_order(shell: Shell, hold_id: UUID, cause: Cause) -> HoldOrder:
    """The order as it stands now."""
    async with shell.unit_of_work.begin(cause) as work:
        order = await work.rows.holds.find(hold_id)
    if order is None:
        raise LookupError(f"hold order {hold_id} is gone")
    return order


async def send_waiting_holds(shell: Shell) -> int:
    """The number of orders put on record now. For a timer.

    One that the authority does not take waits for the next run and keeps no other waiting.
    """
    async with shell.unit_of_work.begin(_retry_cause(shell, None)) as work:
        waiting = await work.rows.holds.waiting(RETRIED_PER_RUN_MAX)
    return sum([await _sent(shell, order) for order in waiting])


async def _sent(shell: Shell, order: HoldOrder) -> bool:
    try:
        await put_on_record(shell, order, _retry_cause(shell, order))
    except AuthorityUnreachableError:
        return False
    return True


def _retry_cause(shell: Shell, order: HoldOrder | None) -> Cause:
    correlation = order.hold_id if order else shell.unit_of_work.world.ids.new()
    return Cause(actor=f"service:{Service.MANUFACTURING.value}", correlation_id=correlation)


async def _settle(work: Work[Rows], order: HoldOrder) -> None:
    match order.purpose:
        case BlockPurpose.RECALL:
            await _recall(work, order)
        case BlockPurpose.REVOKE:
            await _revoke(work, order)
        case BlockPurpose.CUSTODY:
            await _recall_doses(work, order)
        case BlockPurpose.DISCARD:
            await _discard(work, order)
        case BlockPurpose.RETURN:
            await _return(work, order)
        case BlockPurpose.IDENTITY:
            _tell_mismatch(work, order)
        case _:
            assert_never(order.purpose)
    work.note("hold-on-record", order.case_id, hold_id=str(order.hold_id))


async def _recall(work: Work[Rows], order: HoldOrder) -> None:
    batch = await work.rows.batches.find(_known(order.batch_id))
    if isinstance(batch, ReleasedBatch | ConditionallyReleasedBatch):
        await work.rows.batches.save(batch.recall(at=work.world.clock.now()))
        work.note("batch-recalled", order.case_id, batch_id=str(order.batch_id))
    await _recall_doses(work, order)


async def _revoke(work: Work[Rows], order: HoldOrder) -> None:
    """The release is taken back: batch and doses are in quarantine, earlier signatures void."""
    batch_id = _known(order.batch_id)
    batch = await work.rows.batches.find(batch_id)
    if isinstance(batch, ReleasedBatch | ConditionallyReleasedBatch):
        await work.rows.batches.save(batch.revoke())
        await work.rows.batches.raise_evidence(batch_id)
    for dose in await _blocked(work, order):
        await work.rows.doses.save(dose.requarantined())
    work.note("release-revoked", order.case_id, batch_id=str(batch_id))


async def _recall_doses(work: Work[Rows], order: HoldOrder) -> None:
    for dose in await _blocked(work, order):
        await work.rows.doses.save(dose.recalled())
    reason = order.cause if isinstance(order.cause, RecallReason) else RecallReason.OTHER
    work.emit(
        RecallOrdered(
            case_id=order.case_id,
            batch_id=_known(order.batch_id),
            dose_ids=tuple(sorted(order.dose_ids or ())),
            hold_id=order.hold_id,
            reason=reason.value,
        )
    )


async def _discard(work: Work[Rows], order: HoldOrder) -> None:
    reason = order.cause if isinstance(order.cause, DiscardReason) else DiscardReason.FAILED
    for dose in await _blocked(work, order):
        await work.rows.doses.save(dose.discarded(reason))
        work.emit(
            DoseDiscarded(
                case_id=order.case_id,
                dose_id=dose.bag.dose_id,
                batch_id=dose.bag.batch_id,
                reason=reason.value,
            )
        )


async def _return(work: Work[Rows], order: HoldOrder) -> None:
    for dose in await _blocked(work, order):
        issue = await work.rows.doses.issue_of(dose.bag.dose_id)
        await work.rows.doses.save(dose.returned())
        work.emit(
            DoseReturned(
                case_id=order.case_id,
                dose_id=dose.bag.dose_id,
                batch_id=dose.bag.batch_id,
                permit_id=None if issue is None else issue.permit_id,
                usable=False,
            )
        )


def _tell_mismatch(work: Work[Rows], order: HoldOrder) -> None:
    work.emit(
        IdentityMismatch(
            case_id=order.case_id,
            hold_id=order.hold_id,
            step=order.step or "",
            deviation_id=_known(order.deviation_id),
        )
    )


async def _blocked(work: Work[Rows], order: HoldOrder) -> list[BlockedDose]:
    found = [await work.rows.doses.find(dose_id) for dose_id in sorted(order.dose_ids or ())]
    return [d for d in found if isinstance(d, BlockedDose) and d.hold_id == order.hold_id]


def _known(value: UUID | None) -> UUID:
    if value is None:
        raise LookupError("the order names neither batch nor deviation")
    return value
