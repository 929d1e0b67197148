"""A scanned label must be the one of the container that the step is about.

Invariant: a mismatch is refused, a deviation opened and a hold put on record at the authority
before the answer, at every case whose container may be involved. Each scan stays on record.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

from services.manufacturing.application.dossier_ports import DeviationRow
from services.manufacturing.application.place_hold import order_hold, put_on_record
from services.manufacturing.application.ports import AuthorityUnreachableError
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.application.shell import Shell
from services.manufacturing.domain.dose import BlockPurpose
from services.manufacturing.domain.holds import HoldOrder
from services.manufacturing.domain.labels import Container, Mismatch, Unreadable, compare
from services.manufacturing.domain.refusal import ReasonCode, RefusedError
from shared.contracts.manufacturing import DeviationOpened
from shared.messaging.unit_of_work import Cause, Work

#: finds the container that the step is about (raises `NotFoundError` or `RefusedError`)
FindContainer = Callable[[Work[Rows]], Awaitable[Container]]


class IdentityMismatchError(Exception):
    """The step is refused: another container's label was scanned.

    `hold_id` is the hold of the step's case. `on_record` False: the authority could not be
    reached, the hold is on its way, and nobody may rely on it yet.
    """

    def __init__(self, hold_id: UUID, deviation_id: UUID, *, on_record: bool) -> None:
        super().__init__("identity-mismatch")
        self.hold_id = hold_id
        self.deviation_id = deviation_id
        self.on_record = on_record


async def verify_label(
    shell: Shell, find: FindContainer, scanned: str, *, step: str, cause: Cause
) -> None:
    """Returns when the label matches.

    Raises `IdentityMismatchError`, or `RefusedError` for a scan that is no label of ours (nothing
    is known of the container then, and the scan can be repeated).
    """
    async with shell.unit_of_work.begin(cause, urgent=True) as work:
        orders = await _judge(work, await find(work), scanned, step)
    if not orders:
        return
    on_record = True
    for order in orders:
        try:
            await put_on_record(shell, order, cause)
        except AuthorityUnreachableError:
            on_record = False
    first = orders[0]
    assert first.deviation_id is not None  # noqa: S101 - identity orders carry one
    raise IdentityMismatchError(first.hold_id, first.deviation_id, on_record=on_record)


async def _judge(work: Work[Rows], expected: Container, scanned: str, step: str) -> list[HoldOrder]:
    scan = compare(scanned, expected)
    if isinstance(scan, Unreadable):
        raise RefusedError.because(ReasonCode.LABEL_UNREADABLE, lifted_by="scan again")
    other = None
    if isinstance(scan, Mismatch):
        other = await work.rows.containers.find(scan.container_id)
    cases = [expected.case_id]
    if other is not None and other.case_id != expected.case_id:
        cases.append(other.case_id)
    await work.rows.cases.lock(*cases)
    now = work.world.clock.now()
    await work.rows.containers.add_scan(
        work.world.ids.new(), expected, scan, step, now, work.cause.actor
    )
    if not isinstance(scan, Mismatch):
        return []
    return [await _doubt(work, case_id, expected, step) for case_id in cases]


async def _doubt(work: Work[Rows], case_id: UUID, expected: Container, step: str) -> HoldOrder:
    """The deviation and the order of a hold for one of the cases that are in doubt."""
    now, own = work.world.clock.now(), case_id == expected.case_id
    batch_id = await work.rows.batches.of_collection(expected.collection_id) if own else None
    deviation = DeviationRow(
        work.world.ids.new(), case_id, batch_id, "identity", now, work.cause.actor
    )
    await work.rows.batches.add_deviation(deviation)
    if batch_id is not None:
        await work.rows.batches.raise_evidence(batch_id)
    work.emit(
        DeviationOpened(case_id=case_id, deviation_id=deviation.deviation_id, batch_id=batch_id)
    )
    work.note("scan-mismatched", case_id, step=step, deviation_id=str(deviation.deviation_id))
    order = HoldOrder(
        hold_id=work.world.ids.new(),
        case_id=case_id,
        purpose=BlockPurpose.IDENTITY,
        dose_ids=None,
        cause=None,
        reporter=work.cause.actor,
        requested_at=now,
        batch_id=batch_id,
        deviation_id=deviation.deviation_id,
        step=step,
    )
    await order_hold(work, order)
    return order
