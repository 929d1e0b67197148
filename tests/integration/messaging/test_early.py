"""Records that come before their time, or find their case busy: the partition never waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.contracts.vocabulary import Service
from shared.messaging.bus import Partition
from shared.messaging.heartbeats import has_early
from shared.messaging.memory import MemoryBroker, MemoryBus
from shared.messaging.partitioning import partition_of
from shared.messaging.reactions import lock_case_rows
from shared.messaging.redrive import Outcome, Redrive, SecondPersonNeededError, Signature
from shared.messaging.topics import catalogue_topics
from shared.messaging.wire import Record
from tests.integration.messaging.rig import (
    CLEAN,
    COORDINATION,
    PARTITIONS,
    Rig,
    eventually,
    judge_effects,
    reactions,
    running,
    world,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def memory(rig: Rig) -> MemoryBroker:
    """A log that a test can rearrange, as a resend after a failure does."""
    counts = {topic: count for topic, (count, _) in catalogue_topics(PARTITIONS).items()}
    ports = world()
    broker = MemoryBroker(counts, clock=ports.machine_clock, waiter=ports.waiter)
    rig.bus = MemoryBus(broker)
    return broker


@asynccontextmanager
async def consuming(rig: Rig, **filler: Any) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:
        kernel = await stack.enter_async_context(rig.consuming())
        fills = rig.filler(kernel, **filler)
        await stack.enter_async_context(running(fills.run(), fills.stop))
        yield kernel


async def sent(rig: Rig, broker: MemoryBroker, case: UUID, count: int) -> list[Record]:
    """Emits events and takes them out of the log again, to be put back as the test likes."""
    async with rig.relay():
        await rig.emit(case, count)
        await eventually("the outbox is empty", lambda: _sent(rig))
    log = broker.logs[_partition(case)]
    taken = log[-count:]
    del log[-count:]
    return taken


def put(broker: MemoryBroker, *records: Record) -> None:
    """Appends records at the end of the log, in this order."""
    for record in records:
        log = broker.logs[Partition(record.topic, record.partition)]
        log.append(
            Record(record.topic, record.partition, len(log), record.key, record.value,
                   record.headers, record.timestamp_ms)
        )  # fmt: skip
    broker.arrived.set()


async def test_events_that_overtook_wait_and_are_applied_in_order(
    rig: Rig, memory: MemoryBroker
) -> None:
    case, other = uuid4(), uuid4()
    records = await sent(rig, memory, case, 6)
    others = await sent(rig, memory, other, 3)

    async with consuming(rig):
        put(memory, records[2], records[4], records[1], records[5], *others)
        await eventually("the other case goes on", lambda: _effects_of(rig, other, 3))
        await eventually("four wait", lambda: _early(rig, 4))
        async with rig.infusion.database.transaction() as tx:
            assert await has_early(tx, Service.INFUSION_SCHEDULING, case)
        put(memory, records[0], records[3])
        await eventually("all effects", lambda: _effects_of(rig, case, 6))
        await eventually("none waits", lambda: _early(rig, 0))

    emitted = [_id(record) for record in (*records, *others)]
    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_a_gap_that_stays_parks_its_case_and_two_people_may_accept_it(
    rig: Rig, memory: MemoryBroker
) -> None:
    case = uuid4()
    records = await sent(rig, memory, case, 4)
    async with consuming(rig, gap_seconds_max=0.3):
        put(memory, records[0], records[2], records[3])
        await eventually("the case is parked", lambda: _parked(rig, 1))
        await eventually("both wait in order", lambda: _waiting(rig, [3, 4]))
    assert await rig.infusion.value("SELECT reason FROM parked_case") == "gap"

    redrive = Redrive(reactions(), rig.infusion.unit_of_work(Service.INFUSION_SCHEDULING))
    by = Signature("ops-1", "event 2 was lost with the broker")
    refused = await redrive.case(case, by)
    assert [settled.outcome for settled in refused.records] == [Outcome.GAP]
    with pytest.raises(SecondPersonNeededError):
        await redrive.accept_gap(case, by)
    both = Signature("ops-1", "event 2 was lost with the broker", second="coordinator-1")
    report = await redrive.accept_gap(case, both)

    assert report.unparked
    assert [row["sequence"] for row in await rig.infusion.effects()] == [1, 3, 4]


async def test_a_missing_event_that_comes_after_all_is_redriven_first(
    rig: Rig, memory: MemoryBroker
) -> None:
    case = uuid4()
    records = await sent(rig, memory, case, 4)
    async with consuming(rig, gap_seconds_max=0.3):
        put(memory, records[0], records[2])
        await eventually("the case is parked", lambda: _parked(rig, 1))
        put(memory, records[3], records[1])
        await eventually("all wait", lambda: _waiting(rig, [3, 4, 2]))

    redrive = Redrive(reactions(), rig.infusion.unit_of_work(Service.INFUSION_SCHEDULING))
    report = await redrive.case(case, Signature("ops-1", "event 2 came late"))

    assert report.unparked
    assert [row["sequence"] for row in await rig.infusion.effects()] == [1, 2, 3, 4]


async def test_a_new_epoch_begins_at_one_and_ends_the_old(rig: Rig, memory: MemoryBroker) -> None:
    case = uuid4()
    old = await sent(rig, memory, case, 3)
    await rig.intake.run("UPDATE stream_epoch SET epoch = 1")
    new = await sent(rig, memory, case, 2)

    async with consuming(rig):
        put(memory, old[0], old[1], new[1], new[0], old[2])
        await eventually("four effects", lambda: _effects_of(rig, case, 4))
        await eventually("none waits", lambda: _early(rig, 0))

    places = [(row["epoch"], row["sequence"]) for row in await rig.infusion.effects()]
    assert places == [(0, 1), (0, 2), (1, 1), (1, 2)]


async def test_a_busy_case_steps_aside_and_its_partition_goes_on(rig: Rig) -> None:
    """A hung COMMIT keeps the lock of one case; the events of the others must not wait for it."""
    busy = uuid4()
    free = _neighbour_of(busy)
    await rig.infusion.run("INSERT INTO case_row VALUES ($1), ($2)", busy, free)
    emitted = await rig.emit(busy, 3) + await rig.emit(free, 3)

    async with rig.relay() as relay, consuming(rig) as kernel:
        async with rig.infusion.database.transaction() as tx:
            await lock_case_rows(tx, [busy])
            await eventually("the free case is done", lambda: _effects_of(rig, free, 3))
            emitted += await rig.emit(free, 3, wake=relay.wake)
            began = asyncio.get_running_loop().time()
            await eventually("later events too", lambda: _effects_of(rig, free, 6))
            took = asyncio.get_running_loop().time() - began
            assert await _effects_of(rig, busy, 0)
        await eventually("the busy case follows", lambda: _effects_of(rig, busy, 3))

    assert kernel.figures.counted["deferred"] >= 1
    assert took < 1.0, f"{took:.2f} s: the partition waited for one case's lock"
    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_waiting_records_survive_a_restart(rig: Rig, memory: MemoryBroker) -> None:
    case = uuid4()
    records = await sent(rig, memory, case, 3)
    async with rig.consuming():
        put(memory, records[1], records[2])
        await eventually("two wait", lambda: _early(rig, 2))

    async with consuming(rig):
        put(memory, records[0])
        await eventually("all effects", lambda: _effects_of(rig, case, 3))

    assert judge_effects(await rig.infusion.effects(), [_id(r) for r in records]) == CLEAN


async def test_a_duplicate_of_any_age_has_no_effect(rig: Rig, memory: MemoryBroker) -> None:
    case = uuid4()
    records = await sent(rig, memory, case, 3)
    async with consuming(rig) as kernel:
        put(memory, *records, *records, records[0], records[2])
        await eventually("all is read", lambda: _counted(kernel, "duplicates", 5))

    assert judge_effects(await rig.infusion.effects(), [_id(r) for r in records]) == CLEAN
    assert kernel.figures.duplicates_dropped == 5


def _partition(case: UUID) -> Partition:
    return Partition(COORDINATION, partition_of(case, PARTITIONS))


def _neighbour_of(case: UUID) -> UUID:
    return next(c for c in iter(uuid4, None) if _partition(c) == _partition(case))


def _id(record: Record) -> UUID:
    return UUID(record.header("ce_id") or "")


async def _sent(rig: Rig) -> bool:
    return bool(await rig.intake.value("SELECT count(*) FROM outbox") == 0)


async def _effects_of(rig: Rig, case: UUID, count: int) -> bool:
    return len([row for row in await rig.infusion.effects() if row["case_id"] == case]) == count


async def _early(rig: Rig, count: int) -> bool:
    return bool(await rig.infusion.value("SELECT count(*) FROM early") == count)


async def _parked(rig: Rig, count: int) -> bool:
    return bool(await rig.infusion.value("SELECT count(*) FROM parked_case") == count)


async def _waiting(rig: Rig, sequences: list[int]) -> bool:
    rows = await rig.infusion.fetch("SELECT sequence FROM parked_record ORDER BY id")
    return [row["sequence"] for row in rows] == sequences


async def _counted(kernel: Any, name: str, count: int) -> bool:
    return bool(kernel.figures.counted[name] == count)
