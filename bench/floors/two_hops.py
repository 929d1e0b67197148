"""The bare two hops: commit and send, take it and commit and send, take it. Nothing is safe.

The first is the writer of the dual write; here are the one in the middle and the last.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final
from uuid import UUID

from aiokafka import AIOKafkaConsumer
from pydantic_core import from_json

from bench.child import Command, Order
from bench.floors.dual_write import connection_of, consumer_of, producer_of
from bench.traffic import Seen
from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.vocabulary import Service

_KEEP: Final = "UPDATE bench_copy SET version = greatest(version, $2) WHERE case_id = $1"


@asynccontextmanager
async def middle(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Keeps each event in a commit of its own and sends it on."""
    async with AsyncExitStack() as stack:
        consumer = await consumer_of(stack, order, "middle")
        producer = await producer_of(stack, order, linger_ms=0)
        keep = await (await connection_of(stack, order["reading"])).prepare(_KEEP)
        onward = str(order["prefix"]) + TOPIC_OF[Service.INFUSION_SCHEDULING]

        async def take(record: Any) -> None:  # noqa: ANN401 - aiokafka has no types
            event = from_json(record.value)
            await keep.fetch(UUID(event["partitionkey"]), event["sequence"])
            await producer.send_and_wait(onward, record.value, key=record.key)

        task = asyncio.create_task(_for_each(consumer, take))
        stack.callback(task.cancel)
        yield {}


@asynccontextmanager
async def last(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Sees what has come over both hops."""
    async with AsyncExitStack() as stack:
        consumer = await consumer_of(stack, order, "last", of=Service.INFUSION_SCHEDULING)
        seen = Seen()

        async def take(record: Any) -> None:  # noqa: ANN401 - aiokafka has no types
            seen.mark([UUID(from_json(record.value)["id"])])

        task = asyncio.create_task(_for_each(consumer, take))
        stack.callback(task.cancel)
        yield {"until": seen.until, "take": seen.take}


async def _for_each(consumer: AIOKafkaConsumer, take: Any) -> None:  # noqa: ANN401
    while True:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                await take(record)
            await consumer.commit()
