"""The console on a real PostgreSQL, told events as its consumer tells them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.console import bootstrap
from services.console.projections.table import reactions
from shared.contracts.event import Envelope, Event
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import Cause
from shared.persistence.migrations import migrate
from shared.persistence.postgres import PostgresDatabase
from shared.persistence.statements import Statement
from shared.testing.infra import Infra
from tests.unit.console.console_app_rig import Console, made_console
from tests.unit.console.console_events import START, envelope_of

#: the read models; bookkeeping of messaging and sessions are no part of them
READ_MODELS = (
    "event_log", "case_card", "hold", "hold_ack", "gate_timeline", "gate_interval", "permit",
    "infusion", "proposal", "batch", "alert", "parking", "silent_source",
)  # fmt: skip


async def read_models(database: PostgresDatabase) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every read model, in a fixed order."""
    found = {}
    async with database.transaction() as tx:
        for table in READ_MODELS:
            sql = f"SELECT t::text AS line FROM {table} t"  # noqa: S608 - the names are above
            rows = await tx.rows(Statement("dump", sql))
            found[table] = sorted(row["line"] for row in rows)
    return found


@dataclass
class Desk:
    """A console, its database, and events that come in order."""

    database: PostgresDatabase
    dsn: str
    console: Console
    sequences: dict[tuple[Service, UUID], int] = field(default_factory=dict)
    told: list[Envelope[Any]] = field(default_factory=list)

    async def hear(self, *events: Event, at: datetime = START, **more: Any) -> None:
        """Projects events as the next ones of their sources."""
        for event in events:
            key = (event.owner, event.case_id)
            self.sequences[key] = self.sequences.get(key, 0) + 1
            await self.project(
                envelope_of(
                    event, sequence=self.sequences[key], at=at, offset=len(self.told), **more
                )
            )

    async def project(self, envelope: Envelope[Any]) -> None:
        """Runs the reaction to an event as the kernel does, but without the inbox."""
        self.told.append(envelope)
        unit = bootstrap.unit_of_work(self.database, self.console.world)
        table = reactions(self.console.changes.note)
        async with unit.begin(Cause.of_event(envelope, Service.CONSOLE)) as work:
            await table.lock_cases(work.tx, [envelope.case_id])
            kind = type(envelope.data)
            if kind in table.bulk:
                await table.bulk[kind](work, [envelope])
            else:
                await table.handlers[kind](work, envelope)

    async def rows(self, sql: str, *args: object) -> Sequence[dict[str, Any]]:
        async with self.database.transaction() as tx:
            return [dict(row) for row in await tx.rows(Statement("test", sql), *args)]

    async def run(self, sql: str, *args: object) -> None:
        async with self.database.transaction() as tx:
            await tx.run(Statement("test", sql), *args)

    async def sources_heard(self) -> None:
        """Every source has just said that nothing is missing."""
        for source in ("intake", "manufacturing", "infusion_scheduling", "notification"):
            await self.run(
                "INSERT INTO applied_through (consumer, source, partition, beat_at, epoch,"
                " last_offset, oldest_unsent_seconds, catalogue_version)"
                " VALUES ('console', $1, 0, $2, 0, 0, 0, 1)",
                source,
                self.console.clock.now(),
            )


@pytest.fixture(scope="session")
async def template(infra: Infra) -> str:
    dsn = await infra.create_database("console")
    await migrate(dsn, bootstrap.migrations())
    return dsn


@pytest.fixture
async def desk(infra: Infra, template: str, tmp_path: Path) -> AsyncIterator[Desk]:
    dsn = await infra.create_database("console", template=template)
    database = await PostgresDatabase.open(dsn)
    console = made_console(tmp_path, database=database)
    console.clock.instant = START
    yield Desk(database, dsn, console)
    await database.close()
    await infra.drop_database(dsn)


@pytest.fixture
async def other_desk(infra: Infra, template: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """A second console with a database of its own."""
    dsn = await infra.create_database("console", template=template)
    database = await PostgresDatabase.open(dsn)
    yield Desk(database, dsn, made_console(tmp_path / "other", database=database))
    await database.close()
    await infra.drop_database(dsn)
