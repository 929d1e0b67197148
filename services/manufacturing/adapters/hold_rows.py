"""What is on its way to the authority, over one transaction: holds and statements."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.manufacturing.adapters.statements import STATEMENTS
from services.manufacturing.application.row_ports import Report
from services.manufacturing.domain.dose import BlockPurpose, DiscardReason
from services.manufacturing.domain.holds import HoldOrder, RecallReason
from shared.persistence.database import Row, Tx


class HoldRows:
    """The port `Holds`."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(self, order: HoldOrder) -> None:
        """The order is durable."""
        doses = None if order.dose_ids is None else sorted(order.dose_ids)
        await self._tx.run(
            STATEMENTS["add_hold_order"],
            order.hold_id,
            order.case_id,
            order.purpose.value,
            doses,
            None if order.cause is None else order.cause.value,
            order.reporter,
            order.batch_id,
            order.deviation_id,
            order.step,
            order.requested_at,
        )

    async def find(self, hold_id: UUID) -> HoldOrder | None:
        """The order."""
        row = await self._tx.row(STATEMENTS["hold_order_by_id"], hold_id)
        return None if row is None else _order(row)

    async def recall_of(self, batch_id: UUID) -> HoldOrder | None:
        """The recall of a batch."""
        row = await self._tx.row(STATEMENTS["recall_of_batch"], batch_id)
        return None if row is None else _order(row)

    async def put_on_record(self, hold_id: UUID, at: datetime, *, effective: bool) -> bool:
        """Whether the order was still waiting."""
        return await self._tx.run(STATEMENTS["hold_on_record"], hold_id, at, effective) > 0

    async def waiting(self, limit: int) -> Sequence[HoldOrder]:
        """Orders that are not on record."""
        return [_order(row) for row in await self._tx.rows(STATEMENTS["holds_waiting"], limit)]


class ReportRows:
    """The port `Reports`."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(self, report: Report, at: datetime) -> None:
        """The statement is durable."""
        await self._tx.run(
            STATEMENTS["add_report"], report.report_id, report.case_id, dict(report.statement), at
        )

    async def waiting(self, case_id: UUID | None, limit: int) -> Sequence[Report]:
        """Statements that intake has not taken."""
        rows = await self._tx.rows(STATEMENTS["reports_waiting"], case_id, limit)
        return [Report(**row) for row in rows]

    async def sent(self, report_ids: Sequence[UUID]) -> None:
        """Intake has taken these."""
        await self._tx.run(STATEMENTS["reports_sent"], list(report_ids))


def _order(row: Row) -> HoldOrder:
    purpose = BlockPurpose(row["purpose"])
    return HoldOrder(
        hold_id=row["hold_id"],
        case_id=row["case_id"],
        purpose=purpose,
        dose_ids=None if row["dose_ids"] is None else frozenset(row["dose_ids"]),
        cause=_cause(purpose, row["cause"]),
        reporter=row["reporter"],
        requested_at=row["requested_at"],
        batch_id=row["batch_id"],
        deviation_id=row["deviation_id"],
        step=row["step"],
        on_record_at=row["on_record_at"],
        effective=row["effective"],
    )


def _cause(purpose: BlockPurpose, text: str | None) -> RecallReason | DiscardReason | None:
    if text is None:
        return None
    return DiscardReason(text) if purpose is BlockPurpose.DISCARD else RecallReason(text)
