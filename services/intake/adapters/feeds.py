"""The tables of feeds behind `FeedRows`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.intake.application.feed_ports import Answered, WaitingMessage
from services.intake.application.incoming_messages import IncomingMessage
from shared.persistence.database import Tx
from shared.persistence.mapping import made, made_or_none
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.intake.adapters", "feed_queries.sql")


class PostgresFeedRows:
    """`FeedRows` over one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def message_answered(self, feed: str, message: IncomingMessage) -> Answered | None:
        """See the port."""
        row = await self._tx.row(
            STATEMENTS["message_answered"], feed, message.header.control_id, message.digest
        )
        return made_or_none(Answered, row)

    async def put_message(
        self, feed: str, message: IncomingMessage, answered: Answered, received_at: datetime
    ) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["put_message"], feed, message.header.control_id, message.digest,
            received_at, answered.case_id, answered.answer, answered.outcome,
        )  # fmt: skip

    async def heard(self, feed: str, at: datetime, unknown_patients: int) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["heard"], feed, at, unknown_patients)

    async def park_message(self, waiting: WaitingMessage, raw: bytes) -> bool:
        """See the port."""
        added = await self._tx.run(
            STATEMENTS["park_message"], waiting.quarantine_id, waiting.feed, waiting.control_id,
            waiting.digest, waiting.case_id, waiting.message_kind, waiting.code, waiting.place,
            waiting.received_at, raw,
        )  # fmt: skip
        return added == 1

    async def waiting_messages(self, after: UUID | None, limit: int) -> Sequence[WaitingMessage]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["waiting_messages"], after, limit)
        return [made(WaitingMessage, row) for row in rows]

    async def waiting_message(self, quarantine_id: UUID) -> WaitingMessage | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["waiting_message"], quarantine_id)
        return made_or_none(WaitingMessage, row)

    async def waiting_bytes(self, quarantine_id: UUID) -> bytes | None:
        """See the port."""
        found = await self._tx.value(STATEMENTS["waiting_bytes"], quarantine_id)
        return None if found is None else bytes(found)

    async def settle_message(
        self, quarantine_id: UUID, state: str, *, at: datetime, by: str, reason: str | None
    ) -> bool:
        """See the port."""
        settled = await self._tx.run(
            STATEMENTS["settle_message"], quarantine_id, state, at, by, reason
        )
        return settled == 1
