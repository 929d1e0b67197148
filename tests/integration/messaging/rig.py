"""A small pair of services for delivery tests: intake emits, infusion_scheduling writes rows.

The consumer writes one row per effect into a table without any constraint, so that a lost, doubled
or misplaced effect is visible in the rows themselves.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.coordination import ConsentRecorded
from shared.contracts.event import Envelope, Event
from shared.contracts.vocabulary import Service
from shared.messaging.bus import Alarm, Bus, RecordSource
from shared.messaging.consumer import Kernel
from shared.messaging.early import Filler
from shared.messaging.kafka import KafkaBus, KafkaSettings
from shared.messaging.reactions import Reaction, Reactions, lock_case_rows
from shared.messaging.relay import Relay
from shared.messaging.topics import catalogue_topics
from shared.messaging.unit_of_work import Cause, UnitOfWork, Work
from shared.persistence.database import Tx
from shared.persistence.migrations import migrate, migrations_in
from shared.persistence.postgres import PostgresDatabase
from shared.persistence.statements import Statement
from shared.ports import HttpAnswer, World
from shared.runtime.world import machine_world
from shared.testing.infra import Infra

PARTITIONS = 3
COORDINATION = TOPIC_OF[Service.INTAKE]
EFFECT_TABLE = """
CREATE TABLE effect (
    id bigserial PRIMARY KEY, case_id uuid NOT NULL, event_id uuid NOT NULL, source text NOT NULL,
    epoch bigint NOT NULL, sequence bigint, type text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""
ADD_EFFECT = Statement(
    "add_effect",
    "INSERT INTO effect (case_id, event_id, source, epoch, sequence, type) "
    "VALUES ($1, $2, $3, $4, $5, $6)",
)


class NoHttp:
    """Messaging calls nobody."""

    async def call(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpAnswer:
        raise AssertionError(f"messaging called {method} {url}")


def world() -> World:
    return machine_world(NoHttp())


async def eventually(
    what: str, condition: Callable[[], Awaitable[object]], *, within_seconds: float = 10.0
) -> Any:
    """The first true answer of `condition`; fails with what was awaited."""
    deadline = time.monotonic() + within_seconds
    seen: object = None
    while time.monotonic() < deadline:
        seen = await condition()
        if seen:
            return seen
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what}: not within {within_seconds:g} s (last seen: {seen!r})")


async def add_effect(work: Work[Tx], envelope: Envelope[Any]) -> None:
    await work.tx.run(
        ADD_EFFECT, envelope.case_id, envelope.id, envelope.source.value, envelope.epoch,
        envelope.sequence, envelope.data.type,
    )  # fmt: skip


def reactions(
    handlers: Mapping[type[Event], Reaction[Tx]] | None = None,
    *,
    consumer: Service = Service.INFUSION_SCHEDULING,
    **more: Any,
) -> Reactions[Tx]:
    return Reactions(
        consumer=consumer,
        topics=frozenset({COORDINATION}),
        handlers=handlers if handlers is not None else {ConsentRecorded: add_effect},
        **more,
    )


@dataclass
class Store:
    """A service's database in a test."""

    dsn: str
    database: PostgresDatabase

    async def fetch(self, sql: str, *args: object) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.dsn, server_settings={"timezone": "UTC"})
        try:
            return [dict(row) for row in await connection.fetch(sql, *args)]
        finally:
            await connection.close()

    async def value(self, sql: str, *args: object) -> Any:
        rows = await self.fetch(sql, *args)
        return next(iter(rows[0].values())) if rows else None

    async def run(self, sql: str, *args: object) -> None:
        await self.fetch(sql, *args)

    def unit_of_work(
        self, source: Service, *, wake: Callable[[], None] = lambda: None
    ) -> UnitOfWork[Tx]:
        return UnitOfWork(
            database=self.database, repository=lambda tx: tx, source=source, world=world(),
            wake=wake,
        )  # fmt: skip

    async def effects(self) -> list[dict[str, Any]]:
        return await self.fetch("SELECT * FROM effect ORDER BY id")


async def make_template(infra: Infra) -> str:
    """A migrated database with the table of effects, to copy for each test."""
    dsn = await infra.create_database("template")
    folders = ("shared.messaging", "shared.audit", "shared.web")
    await migrate(dsn, [found for folder in folders for found in migrations_in(folder)])
    connection = await asyncpg.connect(dsn)
    await connection.execute(EFFECT_TABLE)
    await connection.close()
    return dsn


class Rig:
    """Topics and databases of its own on the shared servers, and tasks in place of processes."""

    def __init__(self, infra: Infra, template: str) -> None:
        self.infra = infra
        self._template = template
        self.prefix = f"t{secrets.token_hex(4)}."
        self.settings = KafkaSettings(
            bootstrap=infra.kafka_bootstrap,
            client_id="test",
            prefix=self.prefix,
            heartbeat_interval_ms=300,
        )
        self.bus: Bus = KafkaBus(self.settings)
        self.alarms: list[Alarm] = []
        self.intake: Store
        self.infusion: Store

    async def prepare(self, partitions: int = PARTITIONS) -> None:
        topics = catalogue_topics(partitions, prefix=self.prefix)
        await self.infra.create_topics(topics)
        self.intake = await self.store("intake")
        self.infusion = await self.store("infusion")

    async def store(self, name: str) -> Store:
        dsn = await self.infra.create_database(name, template=self._template)
        return Store(dsn, await PostgresDatabase.open(dsn))

    async def back_up_infusion(self) -> str:
        """A copy of the consumer's database as it is now."""
        await self.infusion.database.close()
        copy = await self.infra.create_database("backup", template=self.infusion.dsn)
        self.infusion.database = await PostgresDatabase.open(self.infusion.dsn)
        return copy

    async def restore_infusion(self, backup: str) -> None:
        """The consumer's database is the copy from now on; what came after it is gone."""
        await self.infusion.database.close()
        await self.infra.drop_database(self.infusion.dsn)
        self.infusion = Store(backup, await PostgresDatabase.open(backup))

    async def close(self) -> None:
        for store in (self.intake, self.infusion):
            await store.database.close()
            await self.infra.drop_database(store.dsn)

    @asynccontextmanager
    async def relay(self, store: Store | None = None, **more: Any) -> AsyncIterator[Relay]:
        """A running relay."""
        store = store or self.intake
        relay = Relay(
            database=store.database, sink=more.pop("sink", None) or self.bus.sink(),
            world=world(), name="intake", **more,
        )  # fmt: skip
        async with running(relay.run(), relay.stop):
            yield relay

    def kernel(
        self,
        its_reactions: Reactions[Tx] | None = None,
        *,
        store: Store | None = None,
        source: Callable[[], RecordSource] | None = None,
        ordinal: int | None = None,
        **more: Any,
    ) -> Kernel[Tx]:
        store = store or self.infusion
        chosen = its_reactions or reactions()
        instance = f"{chosen.consumer.value}-{ordinal}" if ordinal is not None else None

        def make() -> RecordSource:
            return self.bus.source(
                group=chosen.consumer.value, topics=chosen.topics, instance_id=instance
            )

        return Kernel(
            chosen, store.unit_of_work(chosen.consumer), source or make, ordinal=ordinal,
            alarm=self.alarms.append, **more,
        )  # fmt: skip

    def filler(self, kernel: Kernel[Tx], its_reactions: Reactions[Tx] | None = None, **more: Any
               ) -> Filler[Tx]:  # fmt: skip
        """A filler beside a kernel of the infusion service."""
        chosen = its_reactions or reactions()
        return Filler(
            chosen, self.infusion.unit_of_work(chosen.consumer), figures=kernel.figures,
            hint=kernel.early_hint, alarm=self.alarms.append, **more,
        )  # fmt: skip

    @asynccontextmanager
    async def consuming(self, *args: Any, **more: Any) -> AsyncIterator[Kernel[Tx]]:
        """A running kernel."""
        kernel = self.kernel(*args, **more)
        async with running(kernel.run(), kernel.stop):
            yield kernel

    async def emit(self, case_id: UUID, count: int = 1, *, wake: Callable[[], None] | None = None,
                   event: Callable[[UUID], Event] | None = None) -> list[UUID]:  # fmt: skip
        """Commits events of a case at intake, one transaction each; returns their ids."""
        unit = self.intake.unit_of_work(Service.INTAKE, wake=wake or (lambda: None))
        ids = []
        for _ in range(count):
            async with unit.begin(Cause("test", uuid4())) as work:
                await lock_case_rows(work.tx, [case_id])
                ids.append(work.emit(event(case_id) if event else consent(case_id)))
        return ids


@asynccontextmanager
async def running(work: Awaitable[None], stop: Callable[[], None]) -> AsyncIterator[None]:
    """Runs `work` beside the block; a failure of it fails the block at its end."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        stop()
        await asyncio.wait_for(task, 20)


def consent(case_id: UUID) -> ConsentRecorded:
    """Any sequenced event will do."""
    return ConsentRecorded(case_id=case_id, document_version="1", signed_on=date(2026, 1, 1))


@dataclass(frozen=True)
class Verdict:
    """What the effect rows say."""

    lost: set[UUID] = field(default_factory=set)
    doubled: set[UUID] = field(default_factory=set)
    misplaced: list[tuple[UUID, int, int]] = field(default_factory=list)


def judge_effects(effects: Sequence[Mapping[str, Any]], emitted: Sequence[UUID]) -> Verdict:
    """Lost, doubled and misplaced effects, from the rows alone."""
    ids = [row["event_id"] for row in effects]
    misplaced = []
    last: dict[tuple[UUID, str, int], int] = {}
    for row in effects:
        key = (row["case_id"], row["source"], row["epoch"])
        if row["sequence"] != last.get(key, 0) + 1:
            misplaced.append((row["case_id"], last.get(key, 0), row["sequence"]))
        last[key] = row["sequence"]
    return Verdict(
        lost=set(emitted) - set(ids),
        doubled={i for i in set(ids) if ids.count(i) > 1},
        misplaced=misplaced,
    )


CLEAN = Verdict()
