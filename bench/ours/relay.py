"""The product's relay over an outbox that others fill."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from bench.child import Command, Order
from bench.machine import resident_mb
from bench.ours.pipeline import bus_of, unit_of
from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.vocabulary import Service
from shared.messaging.relay import Relay
from shared.messaging.unit_of_work import UnitOfWork
from shared.persistence.database import Tx
from shared.runtime.programs import wait_until

SENT_SECONDS: Final = 240.0


@asynccontextmanager
async def sender(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Sends when told to."""
    async with AsyncExitStack() as stack:
        unit = await unit_of(stack, order["writing"], Service.INTAKE)
        relay = _relay(order, unit)

        async def connected() -> bool:
            return relay.figures.connected

        async def drain(count: int) -> float:
            """Rows per second, from the start of the relay until all are sent and deleted."""
            task = asyncio.create_task(relay.run())
            await wait_until(connected, "the relay connected", within_seconds=SENT_SECONDS)
            began = time.perf_counter()
            await sent(count)
            rate = count / (time.perf_counter() - began)
            relay.stop()
            await task
            return rate

        async def start() -> None:
            running = asyncio.create_task(relay.run())

            async def end() -> None:
                relay.stop()
                await running

            stack.push_async_callback(end)

        async def sent(count: int) -> int:
            """How many rows were sent, once there are `count` of them or the time is over."""
            deadline = time.monotonic() + SENT_SECONDS
            while relay.figures.sent < count and time.monotonic() < deadline:
                relay.wake()
                await asyncio.sleep(0.01)
            return relay.figures.sent

        async def memory() -> float:
            return resident_mb(os.getpid())

        yield {"drain": drain, "start": start, "sent": sent, "memory": memory}


def _relay(order: Order, unit: UnitOfWork[Tx]) -> Relay:
    return Relay(
        database=unit.database, sink=bus_of(order, "relay").sink(), world=unit.world,
        name="intake", topics=frozenset({TOPIC_OF[Service.INTAKE]}),
    )  # fmt: skip
