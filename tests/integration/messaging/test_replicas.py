"""Two replicas of relay and consumer under SIGTERM, SIGKILL, SIGSTOP and rewinds, as processes."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.contracts.vocabulary import Service
from shared.messaging.reactions import lock_case_rows
from shared.messaging.unit_of_work import Cause
from shared.messaging.wakes import PostgresWakes, Waker
from tests.integration.messaging.process import said, started
from tests.integration.messaging.rig import (
    CLEAN,
    Rig,
    consent,
    eventually,
    judge_effects,
    world,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

CASES = 24
EVENTS_MIN = 4_000
WRITERS = 4
PAUSE_SECONDS = 0.05
RECOVERY_SECONDS_MAX = 5.0
SESSION_TIMEOUT_MS = 6_000


class Fleet:
    """Processes by name, started again as a supervisor would."""

    def __init__(self, rig: Rig, stack: AsyncExitStack) -> None:
        self._rig = rig
        self._stack = stack
        self.alive: dict[str, asyncio.subprocess.Process] = {}
        #: how long the last start took until our own code ran: Python's imports, on a busy machine
        self.imported_in_seconds = 0.0

    async def start(self, name: str) -> None:
        role, ordinal = name.split("-")
        store = self._rig.infusion if role == "consumer" else self._rig.intake
        process = await self._stack.enter_async_context(
            started(
                role, dsn=store.dsn, bootstrap=self._rig.infra.kafka_bootstrap,
                prefix=self._rig.prefix, ordinal=int(ordinal),
                session_timeout_ms=SESSION_TIMEOUT_MS, announce=True,
            )
        )  # fmt: skip
        self.alive[name] = process
        began = time.monotonic()
        await said(process, "here")
        self.imported_in_seconds = time.monotonic() - began
        await said(process, "running")

    async def end(self, name: str, how: signal.Signals) -> None:
        process = self.alive.pop(name)
        process.send_signal(how)
        await asyncio.wait_for(process.wait(), 20)

    async def restart(self, name: str, how: signal.Signals) -> None:
        await self.end(name, how)
        await self.start(name)


class Writers:
    """Commit events of all cases until told to stop; remember what was committed."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._cases = [uuid4() for _ in range(CASES)]
        self._stopping = False
        self.emitted: list[UUID] = []

    def stop(self) -> None:
        self._stopping = True

    async def run(self) -> None:
        wakes = PostgresWakes(self._rig.intake.dsn, world().waiter)
        listening = asyncio.create_task(wakes.listen(lambda: None))
        waker = Waker(wakes, world().waiter)
        await asyncio.gather(*(self._write(waker, n) for n in range(WRITERS)))
        await waker.close()
        listening.cancel()

    async def _write(self, waker: Waker, number: int) -> None:
        unit = self._rig.intake.unit_of_work(Service.INTAKE, wake=waker.wake)
        mine = self._cases[number::WRITERS]
        while not self._stopping:
            for case in mine:
                async with unit.begin(Cause("test", uuid4())) as work:
                    await lock_case_rows(work.tx, [case])
                    sent = [work.emit(consent(case)) for _ in range(3)]
                self.emitted += sent
                await asyncio.sleep(PAUSE_SECONDS)  # a busy clinic, not a benchmark


async def test_kills_stops_and_rewinds_lose_double_and_misplace_nothing(
    rig: Rig, record_property: Callable[[str, object], None]
) -> None:
    writers = Writers(rig)
    recoveries: dict[str, float] = {}
    async with AsyncExitStack() as stack:
        fleet = Fleet(rig, stack)
        await asyncio.gather(
            *(fleet.start(n) for n in ("relay-0", "relay-1", "consumer-0", "consumer-1"))
        )
        writing = asyncio.create_task(writers.run())
        await eventually("effects flow", lambda: _effects(rig, 200))

        recoveries["consumer"] = await _recovery(rig, fleet, "consumer-1")
        recoveries["relay"] = await _recovery(rig, fleet, "relay-0", "relay-1")
        await fleet.restart("consumer-0", signal.SIGTERM)
        await _rewind(rig, 300)
        await _zombie(rig, fleet)
        await fleet.restart("relay-0", signal.SIGTERM)
        await eventually("enough is written", lambda: _true(len(writers.emitted) >= EVENTS_MIN))
        writers.stop()
        await writing
        total = len(writers.emitted)
        await eventually("all effects", lambda: _effects(rig, total), within_seconds=40)
        await asyncio.gather(*(fleet.end(name, signal.SIGTERM) for name in list(fleet.alive)))

    effects = await rig.infusion.effects()
    assert judge_effects(effects, writers.emitted) == CLEAN
    assert len(effects) == total >= EVENTS_MIN
    assert await rig.intake.value("SELECT count(*) FROM outbox") == 0
    assert await rig.infusion.value("SELECT count(*) FROM parked_case") == 0
    record_property("events", total)
    record_property("recovery_seconds", recoveries)
    late = {what: f"{s:.1f} s" for what, s in recoveries.items() if s > RECOVERY_SECONDS_MAX}
    assert not late, f"recovery took longer than {RECOVERY_SECONDS_MAX:g} s: {late}"


async def _recovery(rig: Rig, fleet: Fleet, *names: str) -> float:
    """Seconds from SIGKILL (and restart) until every partition is past where the log then stood.

    Without the time that Python took to import the new process's code.
    """
    began = time.monotonic()
    for name in names:
        await fleet.end(name, signal.SIGKILL)
    ends = await _ends(rig)
    starting = asyncio.gather(*(fleet.start(name) for name in names))

    async def caught_up() -> bool:
        places = await _places(rig)
        return all(places[number] > end for number, end in ends.items())

    await eventually("every partition moves on", caught_up, within_seconds=20)
    took = time.monotonic() - began
    await starting
    return took - fleet.imported_in_seconds


async def _zombie(rig: Rig, fleet: Fleet) -> None:
    """A replica sleeps past its session, others take over, it wakes and believes it still owns."""
    process = fleet.alive["consumer-1"]
    process.send_signal(signal.SIGSTOP)
    before = await _places(rig)
    await eventually("others took over", lambda: _all_moved(rig, before), within_seconds=20)
    process.send_signal(signal.SIGCONT)


async def _rewind(rig: Rig, by: int) -> None:
    """Somebody sets the stored offsets back by hand while everything runs."""
    await rig.infusion.run("UPDATE next_offset SET next_offset = greatest(0, next_offset - $1)", by)


async def _places(rig: Rig) -> dict[int, int]:
    rows: list[dict[str, Any]] = await rig.infusion.fetch(
        "SELECT partition, next_offset FROM next_offset"
    )
    return {row["partition"]: row["next_offset"] for row in rows}


async def _ends(rig: Rig) -> dict[int, int]:
    sink = rig.bus.sink()
    await sink.connect()
    ends = await sink.ends("tandem.coordination.v1")
    await sink.close()
    return dict(ends)


async def _all_moved(rig: Rig, before: dict[int, int]) -> bool:
    now = await _places(rig)
    return all(now[p] > before[p] + 50 for p in before)


async def _effects(rig: Rig, count: int) -> bool:
    return bool(await rig.infusion.value("SELECT count(*) FROM effect") >= count)


async def _true(value: bool) -> bool:
    return value
