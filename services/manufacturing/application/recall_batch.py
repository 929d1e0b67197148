"""A batch leaves use: recalled when it was released, rejected before that, or taken back to freeze.

A recall is a hold through the authority: the order is durable and blocks the doses here at once,
it is put on record at intake before anybody is told that it is done, then `recall-ordered` leaves.
"""

from uuid import UUID

from services.manufacturing.application.lookup import locked_batch, wrong_state
from services.manufacturing.application.place_hold import order_hold
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.domain.batch import (
    ConditionallyReleasedBatch,
    FormulatedBatch,
    ReleasedBatch,
    UnfinishedBatch,
    UsableBatch,
    reject,
)
from services.manufacturing.domain.dose import (
    AvailableDose,
    BlockPurpose,
    DiscardedDose,
    DiscardReason,
    QuarantinedDose,
)
from services.manufacturing.domain.holds import HoldOrder, RecallReason
from services.manufacturing.domain.refusal import ReasonCode, RefusedError
from shared.contracts.manufacturing import BatchRejected, DoseDiscarded
from shared.messaging.unit_of_work import Work


async def request_recall(work: Work[Rows], batch_id: UUID, reason: RecallReason) -> HoldOrder:
    """The order of the recall; asked again, the first one. Not done until it is on record."""
    batch = await locked_batch(work, batch_id)
    known = await work.rows.holds.recall_of(batch_id)
    if known is not None:
        return known
    if not isinstance(batch, ReleasedBatch | ConditionallyReleasedBatch):
        raise RefusedError.because(
            ReasonCode.NOT_RELEASED, subject=type(batch).__name__, lifted_by="reject the batch"
        )
    return await order_recall(work, batch, reason)


async def order_recall(work: Work[Rows], batch: UsableBatch, reason: RecallReason) -> HoldOrder:
    """The order of a recall of all doses of a released batch whose case is locked.

    Doses that were given stay in its scope: who looks after the patient must know.
    """
    batch_id = batch.origin.batch_id
    known = await work.rows.holds.recall_of(batch_id)
    if known is not None:
        return known
    doses = await work.rows.doses.of_batch(batch_id)
    order = HoldOrder(
        hold_id=work.world.ids.new(),
        case_id=batch.origin.case_id,
        purpose=BlockPurpose.RECALL,
        dose_ids=frozenset(d.bag.dose_id for d in doses if not isinstance(d, DiscardedDose))
        or frozenset(d.bag.dose_id for d in doses),
        cause=reason,
        reporter=work.cause.actor,
        requested_at=work.world.clock.now(),
        batch_id=batch_id,
    )
    await order_hold(work, order)
    return order


async def revoke_release(work: Work[Rows], batch_id: UUID) -> HoldOrder | None:
    """The order that takes a fresh batch's release back, so that it can be frozen in time.

    It covers the doses that are still in stock; None when the batch is in quarantine anyway. The
    frozen batch is tested and signed anew, and a person releases the hold at the authority.
    """
    batch = await locked_batch(work, batch_id)
    if isinstance(batch, FormulatedBatch):
        return None
    if not isinstance(batch, ReleasedBatch | ConditionallyReleasedBatch):
        raise wrong_state(batch)
    doses = await work.rows.doses.of_batch(batch_id)
    in_stock = frozenset(d.bag.dose_id for d in doses if isinstance(d, AvailableDose))
    if len(in_stock) < len(doses):
        raise RefusedError.because(ReasonCode.ISSUED_ALREADY, lifted_by="discard what is left")
    order = HoldOrder(
        hold_id=work.world.ids.new(),
        case_id=batch.origin.case_id,
        purpose=BlockPurpose.REVOKE,
        dose_ids=in_stock,
        cause=None,
        reporter=work.cause.actor,
        requested_at=work.world.clock.now(),
        batch_id=batch_id,
    )
    await order_hold(work, order)
    return order


async def reject_batch(work: Work[Rows], batch_id: UUID, rules: tuple[str, ...]) -> None:
    """The batch is rejected and its doses are destroyed. A released one must be recalled."""
    batch = await locked_batch(work, batch_id)
    if not isinstance(batch, UnfinishedBatch):
        raise wrong_state(batch)
    await work.rows.batches.save(reject(batch, at=work.world.clock.now()))
    case_id = batch.origin.case_id
    for dose in await work.rows.doses.of_batch(batch_id):
        if isinstance(dose, QuarantinedDose):
            await work.rows.doses.save(dose.discard(DiscardReason.FAILED))
            work.emit(
                DoseDiscarded(
                    case_id=case_id,
                    dose_id=dose.bag.dose_id,
                    batch_id=batch_id,
                    reason=DiscardReason.FAILED.value,
                )
            )
    work.emit(BatchRejected(case_id=case_id, batch_id=batch_id, rules=rules))
    work.note("batch-rejected", case_id, batch_id=str(batch_id))
