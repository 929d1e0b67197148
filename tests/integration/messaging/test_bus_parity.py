"""One suite over both buses: what the double does, Kafka does."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from uuid import uuid4

import pytest

from shared.contracts.catalogue import HEARTBEATS
from shared.contracts.vocabulary import Service
from shared.messaging.bus import Bounds, Bus, Outgoing, Partition, RecordSink, RecordSource
from shared.messaging.kafka import KafkaBus
from shared.messaging.memory import MemoryBroker, MemoryBus
from shared.messaging.relay import Relay
from shared.messaging.topics import catalogue_topics
from shared.messaging.wire import Record
from tests.integration.messaging.rig import (
    CLEAN,
    COORDINATION,
    PARTITIONS,
    Rig,
    eventually,
    judge_effects,
    running,
    world,
)

pytestmark = pytest.mark.integration

ALL = frozenset(Partition(COORDINATION, number) for number in range(PARTITIONS))


@pytest.fixture(params=["kafka", "memory"])
def bus(request: pytest.FixtureRequest, rig: Rig) -> Bus:
    if request.param == "memory":
        counts = {topic: count for topic, (count, _) in catalogue_topics(PARTITIONS).items()}
        ports = world()
        rig.bus = MemoryBus(MemoryBroker(counts, clock=ports.machine_clock, waiter=ports.waiter))
    else:
        rig.bus = KafkaBus(rig.settings)
    return rig.bus


@pytest.fixture
async def sink(bus: Bus) -> AsyncIterator[RecordSink]:
    made = bus.sink()
    await made.connect()
    yield made
    await made.close()


def outgoing(value: str, *, number: int = 0, topic: str = COORDINATION, ahead_seconds: float = 0.0
             ) -> Outgoing:  # fmt: skip
    return Outgoing(
        partition=Partition(topic, number), key=b"key", value=value.encode(),
        headers={"ce_type": "a", "content-type": "text/plain"},
        timestamp_ms=int((time.time() + ahead_seconds) * 1000),
    )  # fmt: skip


async def send(sink: RecordSink, *values: str, number: int = 0) -> list[int]:
    answers = [await sink.send(outgoing(value, number=number)) for value in values]
    return [(await answer).offset for answer in answers]


async def joined(
    bus: Bus, *, instance_id: str | None = None, on_rebalance: Callable[[], None] = lambda: None
) -> RecordSource:
    source = bus.source(group="g", topics=frozenset({COORDINATION}), instance_id=instance_id)
    await source.start(on_rebalance)
    for partition in source.assignment():
        source.seek(partition, 0)
    return source


async def read(source: RecordSource, count: int) -> list[str]:
    found: list[str] = []

    async def enough() -> bool:
        fetched: Mapping[Partition, Sequence[Record]] = await source.fetch(0.1, 100)
        found.extend((r.value or b"").decode() for rs in fetched.values() for r in rs)
        return len(found) >= count

    await eventually(f"{count} records", enough)
    return found


async def test_a_partition_is_read_in_the_order_of_sending(bus: Bus, sink: RecordSink) -> None:
    offsets = await send(sink, "a", "b", "c")
    source = await joined(bus)

    assert offsets == [0, 1, 2]
    assert await read(source, 3) == ["a", "b", "c"]
    await source.stop()


async def test_headers_key_and_timestamp_arrive_as_sent(bus: Bus, sink: RecordSink) -> None:
    sent = outgoing("a")
    await (await sink.send(sent))
    source = await joined(bus)
    found: list[Record] = []

    async def one() -> bool:
        fetched = await source.fetch(0.1, 10)
        found.extend(r for records in fetched.values() for r in records)
        return bool(found)

    await eventually("the record", one)
    assert found[0].key == b"key"
    assert found[0].header("ce_type") == "a"
    assert found[0].header("content-type") == "text/plain"
    assert found[0].timestamp_ms == sent.timestamp_ms
    assert found[0].where == (COORDINATION, 0, 0)
    await source.stop()


async def test_seek_reads_again_from_there(bus: Bus, sink: RecordSink) -> None:
    await send(sink, "a", "b", "c")
    source = await joined(bus)
    await read(source, 3)

    source.seek(Partition(COORDINATION, 0), 1)

    assert await read(source, 2) == ["b", "c"]
    await source.stop()


async def test_a_paused_partition_waits_and_the_others_go_on(bus: Bus, sink: RecordSink) -> None:
    source = await joined(bus)
    source.pause(Partition(COORDINATION, 0))
    await send(sink, "held", number=0)
    await send(sink, "free", number=1)

    assert await read(source, 1) == ["free"]
    source.resume(Partition(COORDINATION, 0))
    assert await read(source, 1) == ["held"]
    await source.stop()


async def test_every_partition_has_one_reader_and_a_join_takes_all_places(bus: Bus) -> None:
    taken: list[str] = []
    first = await joined(bus, on_rebalance=lambda: taken.append("first"))
    assert first.assignment() == ALL
    taken.clear()

    second = bus.source(group="g", topics=frozenset({COORDINATION}))
    await second.start(lambda: None)

    async def shared() -> bool:
        await first.fetch(0.05, 1)
        one, two = first.assignment(), second.assignment()
        return bool(one) and bool(two) and one | two == ALL and not one & two

    await eventually("the partitions are shared", shared)
    assert "first" in taken
    await second.stop()
    await first.stop()


async def test_a_static_member_that_returns_has_its_partitions_again(bus: Bus) -> None:
    first = await joined(bus, instance_id="g-0")
    before = first.assignment()
    await first.stop()

    again = await joined(bus, instance_id="g-0")

    assert again.assignment() == before
    await again.stop()


async def test_bounds_and_ends_tell_what_the_log_holds(bus: Bus, sink: RecordSink) -> None:
    await send(sink, "a", "b", number=1)
    source = await joined(bus)

    bounds = await source.bounds(sorted(source.assignment()))

    assert bounds[Partition(COORDINATION, 0)] == Bounds(0, 0)
    assert bounds[Partition(COORDINATION, 1)] == Bounds(0, 2)
    assert await sink.ends(COORDINATION) == {0: 0, 1: 2, 2: 0}
    assert await sink.partitions(COORDINATION) == PARTITIONS
    await source.stop()


@pytest.mark.parametrize("from_start", [False, True])
async def test_a_tail_begins_where_it_is_told(bus: Bus, sink: RecordSink, from_start: bool) -> None:
    await (await sink.send(outgoing("old", topic=HEARTBEATS)))
    tail = bus.tail(HEARTBEATS)
    await tail.start(from_start=from_start)
    await (await sink.send(outgoing("new", topic=HEARTBEATS)))
    found: list[str] = []

    async def new() -> bool:
        found.extend((r.value or b"").decode() for r in await tail.fetch(0.1, 10))
        return "new" in found

    await eventually("the new record", new)
    assert found == (["old", "new"] if from_start else ["new"])
    await tail.stop()


async def test_a_refused_record_blocks_its_partition_until_the_producer_is_replaced(
    bus: Bus, sink: RecordSink
) -> None:
    await send(sink, "a")
    refused = await sink.send(outgoing("from the future", ahead_seconds=7200))
    with pytest.raises(Exception, match=r"(?i)timestamp"):
        await refused
    stuck = await sink.send(outgoing("after it"))
    with pytest.raises(Exception, match=r"(?i)order"):
        await stuck

    await sink.replace()

    assert await send(sink, "after it") == [1]


async def test_relay_and_kernel_deliver_on_both(bus: Bus, rig: Rig) -> None:
    cases = [uuid4() for _ in range(6)]
    emitted = [event_id for case in cases for event_id in await rig.emit(case, 10)]
    relay = Relay(
        database=rig.intake.database, sink=bus.sink(), world=world(), name=Service.INTAKE.value
    )

    async with running(relay.run(), relay.stop), rig.consuming():
        await eventually("60 effects", lambda: _effects(rig, 60))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def _effects(rig: Rig, count: int) -> bool:
    return len(await rig.infusion.effects()) == count
