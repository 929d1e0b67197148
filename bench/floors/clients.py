"""Bare clients over one topic: produce as fast as aiokafka can, and read with and without work.

`fill` writes events of the catalogue, so that floors and the kernel read the very same records.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer
from pydantic_core import from_json

from bench.child import Command, Order
from bench.floors.dual_write import connection_of, consumer_of, producer_of, topic_of
from bench.traffic import case_number, fact, plain
from shared.contracts.coordination import FactRecorded
from shared.messaging.partitioning import partition_of
from shared.messaging.wire import event_headers, event_payload

#: answers that are awaited together, in the usual way of a pipelined producer
_IN_FLIGHT: Final = 2_000
_LINGER_MS: Final = 5
_BATCH_BYTES: Final = 65_536
_RECORDS_MAX: Final = 500
ONE_INBOX: Final = (
    "INSERT INTO bench_inbox (event_id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1"
)
ONE_KEEP: Final = "UPDATE bench_copy SET version = greatest(version, $2) WHERE case_id = $1"

Take = Callable[[Sequence[Any]], None]


@asynccontextmanager
async def producer(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Pipelined, idempotent, acknowledged by all replicas."""
    async with AsyncExitStack() as stack:
        client = await producer_of(stack, order, linger_ms=_LINGER_MS, max_batch_size=_BATCH_BYTES)
        topic = topic_of(order)

        async def produce(count: int) -> float:
            """Events per second."""
            values = [plain(case_number(n), n) for n in range(count)]
            began = time.perf_counter()
            answers = []
            for number, (_, value) in enumerate(values):
                key = str(case_number(number)).encode()
                answers.append(await client.send(topic, value, key=key))
                if len(answers) == _IN_FLIGHT:
                    await asyncio.gather(*answers)
                    answers.clear()
            await asyncio.gather(*answers)
            return count / (time.perf_counter() - began)

        async def fill(count: int) -> None:
            """Writes `count` events as the relay would, each case in sequence from 1."""
            sequences: dict[UUID, int] = {}
            partitions = len(await client.partitions_for(topic))
            answers = []
            for number in range(count):
                case_id = case_number(number)
                sequences[case_id] = sequences.get(case_id, 0) + 1
                event = fact(case_id)
                headers = event_headers(
                    event, event_id=uuid4(), time=datetime.now(UTC),
                    correlation_id=uuid4(), causation_id=None, traceparent=None,
                )  # fmt: skip
                headers |= {"ce_epoch": "0", "ce_sequence": str(sequences[case_id])}
                answers.append(
                    await client.send(
                        topic, event_payload(event), key=str(case_id).encode(),
                        partition=partition_of(case_id, partitions),
                        headers=[(name, value.encode()) for name, value in headers.items()],
                    )
                )  # fmt: skip
            await asyncio.gather(*answers)

        yield {"produce": produce, "fill": fill}


@asynccontextmanager
async def reader(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Reads everything with one of the ways of taking a record."""

    async def read(way: str, count: int) -> float:
        """Events per second from the first record on."""
        async with AsyncExitStack() as stack:
            consumer = await consumer_of(stack, order, f"{way}-{uuid4()}")
            if way == "one by one":
                connection = await connection_of(stack, order["reading"])
                return await _one_by_one(consumer, connection, count)
            return await _all(consumer, _TAKES[way], count)

    yield {"read": read}


async def _all(consumer: AIOKafkaConsumer, take: Take, count: int) -> float:
    done, began = 0, 0.0
    while done < count:
        found = await consumer.getmany(timeout_ms=500, max_records=_RECORDS_MAX)
        began = began or time.perf_counter()
        for records in found.values():
            take(records)
            done += len(records)
        if found:
            await consumer.commit()
    return done / (time.perf_counter() - began)


async def _one_by_one(consumer: AIOKafkaConsumer, connection: Any, count: int) -> float:  # noqa: ANN401
    """Each event in a transaction of its own, with an inbox, and Kafka's offset after it."""
    inbox, keep = await connection.prepare(ONE_INBOX), await connection.prepare(ONE_KEEP)
    done, began = 0, time.perf_counter()
    while done < count:
        found = await consumer.getmany(timeout_ms=500, max_records=_RECORDS_MAX)
        for record in (record for records in found.values() for record in records):
            headers, event = _validated(record)
            async with connection.transaction():
                if await inbox.fetchval(UUID(headers["ce_id"].decode())):
                    await keep.fetch(event.case_id, int(headers["ce_sequence"]))
            await consumer.commit()
            done += 1
            if done == count:
                break
    return done / (time.perf_counter() - began)


def _parse(records: Sequence[Any]) -> None:
    for record in records:
        from_json(record.value)


def _validated(record: Any) -> tuple[dict[str, bytes], FactRecorded]:  # noqa: ANN401
    headers = dict(record.headers)
    return headers, FactRecorded.model_validate_json(record.value)


def _validate(records: Sequence[Any]) -> None:
    for record in records:
        headers, _ = _validated(record)
        UUID(headers["ce_id"].decode())
        UUID(headers["ce_correlationid"].decode())
        datetime.fromisoformat(headers["ce_time"].decode())
        int(headers["ce_sequence"])


_TAKES: Final[Mapping[str, Take]] = {"parse": _parse, "validate": _validate}
