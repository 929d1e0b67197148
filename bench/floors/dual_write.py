"""Unsafe dual write: commit, then send; a crash between the two loses the event.

The consumer takes batches with an inbox in one transaction and commits Kafka's offset afterwards.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic_core import from_json

from bench.child import Command, Order
from bench.traffic import WRITERS, Seen, Traffic, plain
from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.vocabulary import Service

CHANGE = "UPDATE bench_case SET version = version + 1 WHERE case_id = $1 RETURNING version"
MARK = "INSERT INTO bench_inbox (event_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING " \
       "RETURNING event_id"  # fmt: skip
KEEP = "UPDATE bench_copy c SET version = greatest(c.version, u.version) " \
       "FROM unnest($1::uuid[], $2::bigint[]) AS u (case_id, version) " \
       "WHERE c.case_id = u.case_id"  # fmt: skip
BATCH_MAX = 500


def topic_of(order: Order, of: Service = Service.INTAKE) -> str:
    """Where the floors write."""
    return str(order["prefix"]) + TOPIC_OF[of]


async def producer_of(stack: AsyncExitStack, order: Order, **more: int) -> AIOKafkaProducer:
    """An idempotent producer, started."""
    producer = AIOKafkaProducer(
        bootstrap_servers=order["kafka"], acks="all", enable_idempotence=True, **more
    )
    await producer.start()
    stack.push_async_callback(producer.stop)
    return producer


async def consumer_of(
    stack: AsyncExitStack, order: Order, group: str, *, of: Service = Service.INTAKE
) -> AIOKafkaConsumer:
    """A group member that has its partitions."""
    consumer = AIOKafkaConsumer(
        topic_of(order, of), bootstrap_servers=order["kafka"], group_id=order["prefix"] + group,
        auto_offset_reset="earliest", enable_auto_commit=False, fetch_max_wait_ms=100,
    )  # fmt: skip
    await consumer.start()
    stack.push_async_callback(consumer.stop)
    return consumer


async def connection_of(stack: AsyncExitStack, dsn: str) -> Any:  # noqa: ANN401 - asyncpg
    """A connection."""
    connection = await asyncpg.connect(dsn)
    stack.push_async_callback(connection.close)
    return connection


@asynccontextmanager
async def writer(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Commits and sends."""
    async with AsyncExitStack() as stack:
        producer = await producer_of(stack, order, linger_ms=0)
        changes = []
        for _ in range(WRITERS):
            connection = await connection_of(stack, order["writing"])
            changes.append(await connection.prepare(CHANGE))
        topic = topic_of(order)

        async def write(number: int, case_id: UUID) -> UUID:
            version = await changes[number].fetchval(case_id)
            event_id, value = plain(case_id, version)
            await producer.send_and_wait(topic, value, key=str(case_id).encode())
            return event_id

        traffic = Traffic(write)
        yield {"saturate": traffic.saturate, "pace": traffic.pace}


@asynccontextmanager
async def reader(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Keeps what it reads, each batch in one transaction."""
    async with AsyncExitStack() as stack:
        consumer = await consumer_of(stack, order, "dual-write")
        connection = await connection_of(stack, order["reading"])
        seen = Seen()
        task = asyncio.create_task(_read(consumer, connection, seen))
        stack.callback(task.cancel)

        async def figures() -> dict[str, int]:
            return {}

        yield {"until": seen.until, "take": seen.take, "figures": figures}


async def _read(consumer: AIOKafkaConsumer, connection: Any, seen: Seen) -> None:  # noqa: ANN401
    mark, keep = await connection.prepare(MARK), await connection.prepare(KEEP)
    while True:
        found = await consumer.getmany(timeout_ms=100, max_records=BATCH_MAX)
        events = [from_json(record.value) for records in found.values() for record in records]
        if not events:
            continue
        ids = [UUID(event["id"]) for event in events]
        async with connection.transaction():
            fresh = {row["event_id"] for row in await mark.fetch(ids)}
            versions: dict[UUID, int] = {}
            for event_id, event in zip(ids, events, strict=True):
                if event_id in fresh:
                    versions[UUID(event["partitionkey"])] = event["sequence"]
            await keep.fetch(list(versions), list(versions.values()))
        seen.mark(ids)
        await consumer.commit()
