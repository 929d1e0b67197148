"""Our way of an event, as services run it: unit of work, relay, Kafka, kernel."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID

from bench.child import Command, Order
from bench.stage import PARTITIONS
from bench.traffic import Seen, Traffic, fact
from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.coordination import FactRecorded
from shared.contracts.event import Envelope
from shared.contracts.vocabulary import Service
from shared.messaging.kafka import KafkaBus, KafkaSettings
from shared.messaging.reactions import Reactions
from shared.messaging.stack import Messaging
from shared.messaging.unit_of_work import Cause, UnitOfWork, Work
from shared.messaging.wakes import PostgresWakes
from shared.persistence.database import Tx
from shared.persistence.postgres import PostgresDatabase
from shared.persistence.statements import Statement
from shared.runtime.loop import spare_the_collector
from shared.runtime.service import POOL_SIZE
from shared.runtime.world import machine_world
from shared.web.client import HttpxClient

#: the state change of the command; it locks the case's row, as every command does first
CHANGE: Final = Statement(
    "bench_change", "UPDATE bench_case SET version = version + 1 WHERE case_id = $1"
)
KEEP: Final = Statement(
    "bench_keep",
    "UPDATE bench_copy c SET version = greatest(c.version, u.version) "
    "FROM unnest($1::uuid[], $2::bigint[]) AS u (case_id, version) WHERE c.case_id = u.case_id",
)
READY_SECONDS: Final = 30.0


def bus_of(order: Order, name: str) -> KafkaBus:
    """Kafka as the product's services see it."""
    settings = KafkaSettings(bootstrap=order["kafka"], client_id=name, prefix=order["prefix"])
    return KafkaBus(settings)


async def unit_of(stack: AsyncExitStack, dsn: str, source: Service) -> UnitOfWork[Tx]:
    """A unit of work on a pool of a service's size."""
    database = await PostgresDatabase.open(dsn, size_max=POOL_SIZE)
    stack.push_async_callback(database.close)
    http = await stack.enter_async_context(HttpxClient())
    return UnitOfWork(
        database=database, repository=lambda tx: tx, source=source, world=machine_world(http)
    )


async def run_messaging(
    stack: AsyncExitStack, order: Order, dsn: str, unit: UnitOfWork[Tx], reactions: Reactions[Tx]
) -> Messaging[Tx]:
    """All event traffic of one service's process, running and with its partitions."""
    messaging = Messaging(
        reactions=reactions, unit_of_work=unit, bus=bus_of(order, unit.source.value),
        wakes=PostgresWakes(dsn, unit.world.waiter), ordinal=0, partitions=PARTITIONS,
    )  # fmt: skip
    task = asyncio.create_task(messaging.run())

    async def end() -> None:
        messaging.stop()
        await task

    stack.push_async_callback(end)
    await asyncio.wait_for(messaging.kernel.started.wait(), READY_SECONDS)
    spare_the_collector()
    return messaging


@asynccontextmanager
async def writer(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Commands of one service, its relay beside them in the same process."""
    async with AsyncExitStack() as stack:
        unit = await unit_of(stack, order["writing"], Service.INTAKE)
        none: Reactions[Tx] = Reactions(
            Service.INTAKE, frozenset({TOPIC_OF[Service.INFUSION_SCHEDULING]}), {}
        )
        messaging = await run_messaging(stack, order, order["writing"], unit, none)

        async def write(_: int, case_id: UUID) -> UUID:
            async with unit.begin(Cause("bench", unit.world.ids.new())) as work:
                await work.tx.run(CHANGE, case_id)
                return work.emit(fact(case_id))

        async def figures() -> dict[str, int]:
            return {"sent": messaging.relay_figures.sent}

        traffic = Traffic(write)
        yield {"saturate": traffic.saturate, "pace": traffic.pace, "figures": figures}


async def keep(seen: Seen, work: Work[Tx], envelopes: Sequence[Envelope[Any]]) -> None:
    """The effects of events that follow one another, in the batch's transaction."""
    versions = {envelope.case_id: envelope.sequence for envelope in envelopes}
    await work.tx.run(KEEP, list(versions), list(versions.values()))
    work.after_commit.append(partial(seen.mark, [envelope.id for envelope in envelopes]))


def keeping(seen: Seen) -> Reactions[Tx]:
    """A consumer with one effect per event."""
    return Reactions(
        Service.INFUSION_SCHEDULING,
        frozenset({TOPIC_OF[Service.INTAKE]}),
        {},
        bulk={FactRecorded: partial(keep, seen)},
    )


@asynccontextmanager
async def reader(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """A service that consumes."""
    async with AsyncExitStack() as stack:
        unit = await unit_of(stack, order["reading"], Service.INFUSION_SCHEDULING)
        seen = Seen()
        messaging = await run_messaging(stack, order, order["reading"], unit, keeping(seen))

        async def figures() -> dict[str, int]:
            return dict(messaging.consumer_figures.counted)

        yield {"until": seen.until, "take": seen.take, "figures": figures}
