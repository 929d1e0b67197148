"""Notification on a real PostgreSQL, with a clock that the test sets."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.notification import bootstrap
from services.notification.application.ports import AlertRows, Policy
from services.notification.domain.routing import Person
from shared.contracts.event import Envelope, Event
from shared.contracts.vocabulary import Service
from shared.messaging.reactions import Reactions
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.persistence.migrations import migrate
from shared.persistence.postgres import PostgresDatabase
from shared.persistence.statements import Statement
from shared.ports import World
from shared.runtime.world import BootClock, EventLoopWaiter, SystemChance, TimeOrderedIds
from shared.testing.infra import Infra

START = datetime(2027, 3, 10, 9, 0, tzinfo=UTC)
FALLBACK = Person("desk", "Duty desk", "desk@clinic.example", None)


class SetClock:
    """A clock that stands still until the test moves it."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant


class NoHttp:
    async def call(self, *_: object, **__: object) -> Any:
        raise AssertionError("notification calls no other service")


@dataclass
class Desk:
    """Notification's parts as its process has them, around one database."""

    dsn: str
    database: PostgresDatabase
    world: World
    clock: SetClock
    machine: SetClock
    policy: Policy
    reactions: Reactions[AlertRows]
    units: UnitOfWork[AlertRows]

    async def hear(
        self,
        event: Event,
        *,
        chain: UUID | None = None,
        at: datetime | None = None,
        event_id: UUID | None = None,
    ) -> None:
        """Runs the reaction to an event as the kernel does, but without the inbox."""
        envelope = Envelope(
            id=event_id or uuid4(),
            source=event.owner,
            time=at or self.clock.now(),
            epoch=0,
            sequence=None,
            correlation_id=chain or uuid4(),
            causation_id=None,
            traceparent=None,
            data=event,
        )
        handler = self.reactions.handlers[type(event)]
        async with self.units.begin(Cause.of_event(envelope, Service.NOTIFICATION)) as work:
            await self.reactions.lock_cases(work.tx, [event.case_id])
            await handler(work, envelope)

    async def rows(self, sql: str, *args: object) -> list[dict[str, Any]]:
        async with self.database.transaction() as tx:
            return [dict(r) for r in await tx.rows(Statement("test", sql), *args)]


@pytest.fixture(scope="session")
async def template(infra: Infra) -> str:
    dsn = await infra.create_database("notification")
    await migrate(dsn, bootstrap.migrations())
    return dsn


@pytest.fixture
async def desk(infra: Infra, template: str) -> AsyncIterator[Desk]:
    dsn = await infra.create_database("notification", template=template)
    database = await PostgresDatabase.open(dsn)
    clock, machine = SetClock(START), SetClock(START)
    world = World(
        clock=clock,
        machine_clock=machine,
        lease_clock=BootClock(),
        ids=TimeOrderedIds(),
        chance=SystemChance(),
        waiter=EventLoopWaiter(),
        http=NoHttp(),
    )
    rules = bootstrap.policy(FALLBACK)
    yield Desk(
        dsn,
        database,
        world,
        clock,
        machine,
        rules,
        bootstrap.reactions(rules),
        bootstrap.unit_of_work(database, world),
    )
    await database.close()
    await infra.drop_database(dsn)
