"""The consumer kernel over a filled topic: whole, and only what it does with a record itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from uuid import uuid4

from bench.child import Command, Order
from bench.ours.pipeline import bus_of, keeping, unit_of
from bench.traffic import Seen
from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.vocabulary import Service
from shared.messaging.consumer import FETCH_RECORDS, FETCH_SECONDS, Kernel
from shared.messaging.incoming import incoming
from shared.messaging.plan import Books, plan_all
from shared.runtime.loop import spare_the_collector

DONE_SECONDS: Final = 120.0


@asynccontextmanager
async def reader(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Reads a topic from its start."""
    async with AsyncExitStack() as stack:
        unit = await unit_of(stack, order["reading"], Service.INFUSION_SCHEDULING)
        spare_the_collector()

        async def consume(count: int) -> float:
            """Events per second through full transactions, from the first effect on."""
            seen = Seen()
            reactions = keeping(seen)
            kernel = Kernel(
                reactions, unit,
                lambda: bus_of(order, "kernel").source(
                    group=f"kernel-{uuid4()}", topics=reactions.topics
                ),
            )  # fmt: skip
            task = asyncio.create_task(kernel.run())
            await asyncio.wait_for(kernel.started.wait(), DONE_SECONDS)
            began = time.perf_counter()
            found = await seen.until(count, DONE_SECONDS)
            rate = found / (time.perf_counter() - began)
            kernel.stop()
            await task
            if found < count:
                raise RuntimeError(f"{found} of {count}: {dict(kernel.figures.counted)}")
            return rate

        async def decide(count: int) -> float:
            """Events per second read, decoded and planned, without a store."""
            source = bus_of(order, "decide").source(
                group=f"decide-{uuid4()}", topics=frozenset({TOPIC_OF[Service.INTAKE]})
            )
            await source.start(lambda: None)
            books, done, began = Books(), 0, 0.0
            while done < count:
                found = await source.fetch(FETCH_SECONDS, FETCH_RECORDS)
                began = began or time.perf_counter()
                for records in found.values():
                    plan_all([incoming(record) for record in records], books)
                    done += len(records)
            rate = done / (time.perf_counter() - began)
            await source.stop()
            return rate

        yield {"consume": consume, "decide": decide}
