"""The table of filled-in forms behind `EntryRows`."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.intake.application.entry_ports import StoredEntry
from shared.persistence.database import Tx
from shared.persistence.mapping import made, made_or_none
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.intake.adapters", "entry_queries.sql")


class PostgresEntryRows:
    """`EntryRows` over one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def insert_entry(self, entry: StoredEntry) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_entry"],
            entry.entry_id,
            entry.version,
            entry.case_id,
            entry.form,
            dict(entry.body),
            list(entry.sources),
            entry.withdrawn,
            entry.entered_by,
            entry.entered_at,
        )

    async def entry(self, case_id: UUID, entry_id: UUID) -> StoredEntry | None:
        """See the port."""
        return made_or_none(StoredEntry, await self._tx.row(STATEMENTS["entry"], case_id, entry_id))

    async def entries_of_case(self, case_id: UUID) -> Sequence[StoredEntry]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["entries_of_case"], case_id)
        return [made(StoredEntry, row) for row in rows]
