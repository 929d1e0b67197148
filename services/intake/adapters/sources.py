"""The sources' tables behind `SourceRows`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.intake.domain.sources import Configured, SourceSilence, Watermark
from shared.persistence.database import Tx
from shared.persistence.mapping import made, made_or_none
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.intake.adapters", "source_queries.sql")


class PostgresSourceRows:
    """`SourceRows` over one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def put_sources(self, sources: Sequence[Configured], at: datetime) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["put_sources"],
            [source.name for source in sources],
            [source.feed for source in sources],
            [source.site for source in sources],
            at,
        )

    async def remove_other_sources(self, names: Sequence[str], at: datetime) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["remove_other_sources"], list(names), at)

    async def hear(self, name: str, at: datetime) -> datetime | None:
        """See the port."""
        found: datetime | None = await self._tx.value(STATEMENTS["hear"], name, at)
        return found

    async def watermarks(self, case_id: UUID | None) -> Sequence[Watermark]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["watermarks"], case_id)
        return [made(Watermark, row) for row in rows]

    async def begin_silence(self, silence: SourceSilence, at: datetime) -> bool:
        """See the port."""
        added = await self._tx.run(
            STATEMENTS["begin_silence"],
            silence.silence_id,
            silence.name,
            silence.feed,
            silence.site,
            silence.effective,
            silence.heard_at,
            at,
        )
        return added == 1

    async def end_silence(self, silence_id: str, at: datetime) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["end_silence"], silence_id, at)

    async def unsettled_silences(self) -> Sequence[SourceSilence]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["unsettled_silences"])
        return [made(SourceSilence, row) for row in rows]

    async def silence_standing(self, silence_id: str) -> SourceSilence | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["silence_standing"], silence_id)
        return made_or_none(SourceSilence, row)

    async def cases_not_told(self, silence: SourceSilence, limit: int) -> Sequence[UUID]:
        """See the port."""
        if silence.ended_at is None:
            statement = STATEMENTS["cases_not_told_begin"]
            rows = await self._tx.rows(statement, silence.silence_id, silence.site, limit)
        else:
            statement = STATEMENTS["cases_not_told_end"]
            rows = await self._tx.rows(statement, silence.silence_id, limit)
        return [row["case_id"] for row in rows]

    async def settle(self, silence_id: str) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["settle"], silence_id)
