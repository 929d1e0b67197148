"""Processes that delivery tests start, stop and kill: a relay or a consumer of the rig.

Started as `python -m tests.integration.messaging.process` with a JSON document on the command line.
It prints one word when it has reached the state that the test waits for.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Never
from uuid import UUID, uuid4

from shared.contracts.vocabulary import Service
from shared.messaging.bus import Delivery, Outgoing, SendError
from shared.messaging.consumer import Kernel
from shared.messaging.early import Filler
from shared.messaging.kafka import KafkaBus, KafkaSettings, KafkaSink
from shared.messaging.reactions import lock_case_rows
from shared.messaging.relay import Relay
from shared.messaging.unit_of_work import Cause
from shared.messaging.wakes import PostgresWakes
from shared.persistence.postgres import PostgresDatabase
from tests.integration.messaging.rig import Store, consent, reactions, world


class StuckSink(KafkaSink):
    """Reaches the moment of sending (or of the answer) and stays there."""

    def __init__(self, settings: KafkaSettings, *, after_answer: bool) -> None:
        super().__init__(settings)
        self._after_answer = after_answer

    async def send(self, record: Outgoing) -> Awaitable[Delivery]:
        if self._after_answer:
            await (await super().send(record))
        say("stuck")
        return await _for_ever()


async def _for_ever() -> Never:
    await asyncio.Event().wait()
    raise SendError("never")


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


async def commit_and_stick(order: dict[str, Any], store: Store, settings: KafkaSettings) -> None:
    """Commits one event beside a running relay whose send never ends."""
    sink = StuckSink(settings, after_answer=order["after_answer"])
    relay = Relay(database=store.database, sink=sink, world=world(), name="intake")
    unit = store.unit_of_work(Service.INTAKE, wake=relay.wake)
    running = asyncio.create_task(relay.run())
    async with unit.begin(Cause("test", uuid4())) as work:
        case_id = UUID(order["case_id"])
        await lock_case_rows(work.tx, [case_id])
        work.emit(consent(case_id))
    await running


async def run_relay(_order: dict[str, Any], store: Store, settings: KafkaSettings) -> None:
    relay = Relay(
        database=store.database, sink=KafkaBus(settings).sink(), world=world(), name="intake"
    )
    wakes = PostgresWakes(store.dsn, world().waiter)
    listening = asyncio.create_task(wakes.listen(relay.wake))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, relay.stop)
    say("running")
    await relay.run()
    listening.cancel()


async def run_consumer(order: dict[str, Any], store: Store, settings: KafkaSettings) -> None:
    chosen = reactions()
    ordinal = order.get("ordinal")
    instance = f"{chosen.consumer.value}-{ordinal}" if ordinal is not None else None
    bus = KafkaBus(settings)
    kernel = Kernel(
        chosen, store.unit_of_work(chosen.consumer),
        lambda: bus.source(group=chosen.consumer.value, topics=chosen.topics, instance_id=instance),
        ordinal=ordinal,
    )  # fmt: skip
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, kernel.stop)
    filler = Filler(
        chosen, store.unit_of_work(chosen.consumer), figures=kernel.figures, hint=kernel.early_hint
    )
    filling = asyncio.create_task(filler.run())
    running = asyncio.create_task(kernel.run())
    started = asyncio.create_task(kernel.started.wait())
    await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
    say("running" if started.done() else "refused")
    await running
    filler.stop()
    await filling


ROLES = {"commit_and_stick": commit_and_stick, "relay": run_relay, "consumer": run_consumer}


@asynccontextmanager
async def started(role: str, **order: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of this role; killed at the end of the block if it is still there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.messaging.process",
        json.dumps({"role": role, **order}), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(process: asyncio.subprocess.Process, word: str) -> None:
    """Returns when the process has printed the word."""
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 20)
    assert line.decode().strip() == word, f"the process said {line!r}, not {word}"


async def main() -> None:
    order = json.loads(sys.argv[1])
    if order.get("announce"):
        say("here")
    store = Store(order["dsn"], await PostgresDatabase.open(order["dsn"]))
    settings = KafkaSettings(bootstrap=order["bootstrap"], client_id="test", prefix=order["prefix"])
    await ROLES[order["role"]](order, store, settings)
    await store.database.close()


if __name__ == "__main__":
    asyncio.run(main())
