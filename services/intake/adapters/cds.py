"""The tables of CDS Hooks behind `CdsRows`."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from services.intake.application.cds_ports import Feedback, PlannedCollection
from shared.persistence.database import Tx
from shared.persistence.mapping import made
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.intake.adapters", "cds_queries.sql")


class PostgresCdsRows:
    """`CdsRows` over one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def put_planned_collection(
        self, case_id: UUID, collection_id: UUID, planned_on: date
    ) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["put_planned_collection"], collection_id, case_id, planned_on)

    async def drop_planned_collection(self, collection_id: UUID) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["drop_planned_collection"], collection_id)

    async def drop_planned_collection_for(self, case_id: UUID, day: date, days: int) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["drop_planned_collection_for"], case_id, day, days)

    async def planned_collections(
        self, case_id: UUID, since: date, limit: int
    ) -> Sequence[PlannedCollection]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["planned_collections"], case_id, since, limit)
        return [made(PlannedCollection, row) for row in rows]

    async def insert_feedback(self, feedback: Feedback, recorded_at: datetime) -> bool:
        """See the port."""
        added = await self._tx.run(
            STATEMENTS["insert_feedback"],
            feedback.card_id,
            feedback.outcome,
            feedback.outcome_at,
            feedback.reporter,
            feedback.service_id,
            feedback.reason_system,
            feedback.reason_code,
            feedback.user_comment,
            list(feedback.suggestions),
            recorded_at,
        )
        return added == 1
