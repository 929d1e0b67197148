"""Traps of the Kafka clients, part one: consuming.

Each docstring names the trap; each test shows, on real Kafka, that the kernel does not step in.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from shared.contracts.coordination import ConsentRecorded
from shared.contracts.event import Envelope
from shared.messaging.bus import BusFailedError, Partition, RecordSource
from shared.messaging.kafka import KafkaSource
from shared.messaging.partitioning import partition_of
from shared.messaging.reactions import TransientError
from shared.messaging.seat import SeatTakenError
from shared.messaging.unit_of_work import Work
from shared.messaging.wire import Record
from shared.persistence.database import Tx
from tests.integration.messaging.rig import (
    CLEAN,
    COORDINATION,
    PARTITIONS,
    Rig,
    add_effect,
    eventually,
    judge_effects,
    reactions,
)

pytestmark = pytest.mark.integration


class Failing:
    """Raises for chosen events until told to stop, and counts how often it was asked."""

    def __init__(self, error: Callable[[], Exception], *, sequence: int, case: UUID) -> None:
        self.error: Callable[[], Exception] | None = error
        self.sequence = sequence
        self.case = case
        self.calls: Counter[tuple[UUID, int]] = Counter()

    async def __call__(self, work: Work[Tx], envelope: Envelope[Any]) -> None:
        place = (envelope.case_id, envelope.sequence or 0)
        self.calls[place] += 1
        await add_effect(work, envelope)
        if self.error is not None and place == (self.case, self.sequence):
            raise self.error()


def neighbours(count: int) -> list[UUID]:
    """Cases that share a partition."""
    found: dict[int, list[UUID]] = {}
    while True:
        case = uuid4()
        on = found.setdefault(partition_of(case, PARTITIONS), [])
        on.append(case)
        if len(on) == count:
            return on


@pytest.mark.parametrize("policy", [AckPolicy.ACK_FIRST, AckPolicy.ACK])
async def test_an_event_whose_handler_raised_is_not_lost(rig: Rig, policy: AckPolicy) -> None:
    """FastStream's ACK_FIRST (its default), ACK and REJECT_ON_ERROR (which is ACK): the event of a
    raising handler is committed and gone. Shown on FastStream itself; the kernel applies it later.
    """
    case = uuid4()
    async with rig.relay():
        emitted = await rig.emit(case, 3)
        await eventually("the outbox is empty", lambda: _sent(rig))
    assert await _faststream_delivers(rig, policy) == [1, 3], "the trap is gone: rules may change"

    failing = Failing(lambda: TransientError("not now"), sequence=2, case=case)
    async with rig.consuming(reactions({ConsentRecorded: failing})):
        await eventually("it was tried", lambda: _at_least(failing.calls, (case, 2), 2))
        assert [row["sequence"] for row in await rig.infusion.effects()] == [1]
        failing.error = None
        await eventually("all effects", lambda: _effects(rig, 3))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def _faststream_delivers(rig: Rig, policy: AckPolicy) -> list[int]:
    """Which events a FastStream handler that fails at the second one did, over a restart."""
    done: list[int] = []
    seen: list[int] = []

    async def consume(failing: bool, until: int, within_seconds: float) -> None:
        broker = KafkaBroker(rig.infra.kafka_bootstrap, logger=None)

        @broker.subscriber(
            rig.prefix + COORDINATION, group_id=rig.prefix + "fs", ack_policy=policy,
            auto_offset_reset="earliest", auto_commit_interval_ms=50,
        )  # fmt: skip
        async def handle(_body: Any) -> None:
            sequence = len(seen) + 1
            seen.append(sequence)
            if sequence == 2 and failing:
                raise ValueError("cannot")
            done.append(sequence)

        async with broker:
            await broker.start()
            with contextlib.suppress(AssertionError):
                await eventually(
                    "records", lambda: _is_long(seen, until), within_seconds=within_seconds
                )

    await consume(True, 3, 10)
    await consume(False, 4, 1.5)
    return done


async def test_nothing_is_applied_past_a_failed_event_of_its_partition(rig: Rig) -> None:
    """MANUAL and the handler raises before ack: the next ack() commits past it, silently. Here the
    partition stays at the failed event, also over a restart, whatever Kafka's offsets say."""
    first, second = neighbours(2)
    failing = Failing(lambda: TransientError("not now"), sequence=1, case=first)
    emitted = await rig.emit(first, 2) + await rig.emit(second, 2)
    mine = reactions({ConsentRecorded: failing})
    async with rig.relay():
        async with rig.consuming(mine):
            await eventually("it was tried", lambda: _at_least(failing.calls, (first, 1), 3))
            assert await rig.infusion.effects() == []
        await _commit_to_the_end(rig)
        failing.error = None
        async with rig.consuming(mine):
            await eventually("all effects", lambda: _effects(rig, 4))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_a_failing_event_does_not_spin(rig: Rig) -> None:
    """NACK_ON_ERROR: 438 redeliveries in 0.8 s; a poison event spins for ever. Here a transient
    failure waits with backoff, and an event that always fails parks its case after three tries."""
    held, bad = neighbours(2)
    waiting = Failing(lambda: TransientError("not now"), sequence=1, case=held)
    async with rig.relay(), rig.consuming(reactions({ConsentRecorded: waiting})):
        await rig.emit(held, 1)
        await eventually("it was tried", lambda: _at_least(waiting.calls, (held, 1), 2))
        before = waiting.calls[held, 1]
        await asyncio.sleep(0.8)  # a measured span, not a wait for something
        assert waiting.calls[held, 1] - before <= 2 * 3  # batch and alone, at 0.1 to 0.8 s apart

    poison = Failing(lambda: ValueError("never"), sequence=1, case=bad)
    waiting.error = None

    async def either(work: Work[Tx], envelope: Envelope[Any]) -> None:
        await (poison if envelope.case_id == bad else waiting)(work, envelope)

    async with rig.relay(), rig.consuming(reactions({ConsentRecorded: either})):
        await rig.emit(bad, 1)
        await eventually("it is parked", lambda: _parked(rig, 1))
        assert poison.calls[bad, 1] <= 6


async def test_an_error_of_the_client_ends_the_process(rig: Rig) -> None:
    """FastStream logs an error of the consume loop, sleeps and restarts its consumer for ever. Here
    an error out of the fetch ends `run`, and with it the process."""

    class Broken(KafkaSource):
        async def fetch(
            self, timeout_seconds: float, records_max: int
        ) -> Mapping[Partition, Sequence[Record]]:
            raise BusFailedError("UnknownError: ")

    def broken() -> RecordSource:
        return Broken(
            rig.settings, group="g", topics=frozenset({COORDINATION}), instance_id=None
        )  # fmt: skip

    with pytest.raises(BusFailedError):
        await asyncio.wait_for(rig.kernel(source=broken).run(), 10)


async def test_an_error_in_a_reaction_is_counted_and_not_swallowed(rig: Rig) -> None:
    """FastStream's middlewares do not see errors of a custom parser or filter, and errors in ack or
    nack are only logged. Here every failure is counted, and what cannot be read is an alarm."""
    case = uuid4()
    failing = Failing(lambda: ValueError("never"), sequence=1, case=case)
    async with rig.relay(), rig.consuming(reactions({ConsentRecorded: failing})) as kernel:
        await rig.emit(case, 1)
        await eventually("it is parked", lambda: _parked(rig, 1))

    assert kernel.figures.counted["isolated"] >= 1
    assert kernel.figures.counted["held"] >= 1
    assert kernel.figures.counted["parked"] == 1
    assert [alarm.kind for alarm in rig.alarms] == ["case_parked"]


async def test_partitions_in_one_fetch_do_not_share_a_fate(rig: Rig) -> None:
    """A batch may mix partitions although the documents say one: a failure then takes all of them.
    Here each partition has its own transaction and its own place."""
    cases = _one_case_per_partition()
    failing = Failing(lambda: TransientError("not now"), sequence=1, case=cases[0])
    emitted = [i for case in cases for i in await rig.emit(case, 5)]
    async with rig.relay(), rig.consuming(reactions({ConsentRecorded: failing})):
        await eventually("the other partitions are done", lambda: _effects(rig, 10))
        assert {row["case_id"] for row in await rig.infusion.effects()} == set(cases[1:])
        failing.error = None
        await eventually("all effects", lambda: _effects(rig, 15))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_a_slow_handler_does_not_change_the_order_of_its_case(rig: Rig) -> None:
    """`max_workers` loses the order within a case, or starts several consumers. Here one worker
    takes each partition, whatever its handlers wait for."""
    case = uuid4()

    async def slow_at_first(work: Work[Tx], envelope: Envelope[Any]) -> None:
        await asyncio.sleep(0.1 if envelope.sequence == 1 else 0)
        await add_effect(work, envelope)

    async with rig.relay(), rig.consuming(reactions({ConsentRecorded: slow_at_first})):
        emitted = await rig.emit(case, 20)
        await eventually("all effects", lambda: _effects(rig, 20))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_a_cancelled_handler_commits_nothing(rig: Rig) -> None:
    """A graceful time-out once committed a message whose handler was cancelled (FastStream #3010).
    Here the offset is in the handler's transaction: both are there or neither is."""
    case = uuid4()
    entered = asyncio.Event()

    async def hangs(work: Work[Tx], envelope: Envelope[Any]) -> None:
        await add_effect(work, envelope)
        entered.set()
        await asyncio.Event().wait()

    emitted = await rig.emit(case, 3)
    async with rig.relay():
        task = asyncio.create_task(rig.kernel(reactions({ConsentRecorded: hangs})).run())
        await asyncio.wait_for(entered.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await rig.infusion.effects() == []
        assert await rig.infusion.value("SELECT max(next_offset) FROM next_offset") == 0
        async with rig.consuming():
            await eventually("all effects", lambda: _effects(rig, 3))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_a_new_consumer_reads_from_the_beginning(rig: Rig) -> None:
    """`auto_offset_reset=latest` is the default: what was sent before the first start is lost."""
    case = uuid4()
    async with rig.relay():
        emitted = await rig.emit(case, 4)
        await eventually("the outbox is empty", lambda: _sent(rig))

    async with rig.consuming():
        await eventually("all effects", lambda: _effects(rig, 4))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_reading_begins_where_the_database_says(rig: Rig) -> None:
    """Awaiting in `on_partitions_assigned` leaks records from Kafka's committed offset: with 15
    committed, a listener that awaits and seeks to 3 gets 15 to 19, then 3. Here the listener only
    forgets places, and the loop seeks before it reads."""
    case = uuid4()
    emitted = await rig.emit(case, 20)
    async with rig.relay(), rig.consuming():
        await eventually("all effects", lambda: _effects(rig, 20))
    await rig.infusion.run("DELETE FROM effect")
    await rig.infusion.run("UPDATE inbox_head SET sequence = 3")
    await rig.infusion.run("DELETE FROM inbox")
    await rig.infusion.run("UPDATE next_offset SET next_offset = 3 WHERE next_offset > 0")
    await _commit_to_the_end(rig, offset=15)

    async with rig.consuming() as kernel:
        await eventually("the rest again", lambda: _effects(rig, 17))

    assert [row["sequence"] for row in await rig.infusion.effects()] == list(range(4, 21))
    assert [row["event_id"] for row in await rig.infusion.effects()] == emitted[3:]
    assert kernel.figures.counted["early"] == 0


async def test_a_restored_consumer_heals_itself(rig: Rig) -> None:
    """Kafka's committed offsets do not come back with a restored database: a consumer that trusts
    them has a hole that nobody sees. The next offset is restored with everything else."""
    case = uuid4()
    async with rig.relay():
        emitted = await rig.emit(case, 5)
        async with rig.consuming():
            await eventually("five effects", lambda: _effects(rig, 5))
        backup = await rig.back_up_infusion()
        emitted += await rig.emit(case, 5)
        async with rig.consuming():
            await eventually("ten effects", lambda: _effects(rig, 10))
        await _commit_to_the_end(rig)

        await rig.restore_infusion(backup)
        assert len(await rig.infusion.effects()) == 5
        async with rig.consuming():
            await eventually("ten effects again", lambda: _effects(rig, 10))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_a_rebalance_keeps_places_and_waits(rig: Rig) -> None:
    """Every rebalance is eager: also partitions that stay lose position and pause. Here they are
    sought again from the database, and one that waits after a failure goes on waiting."""
    cases = _one_case_per_partition()
    failing = Failing(lambda: TransientError("not now"), sequence=1, case=cases[0])
    mine = reactions({ConsentRecorded: failing})
    emitted = [i for case in cases for i in await rig.emit(case, 5)]
    async with rig.relay(), rig.consuming(mine):
        await eventually("the others are done", lambda: _effects(rig, 10))
        async with rig.consuming(mine) as second:
            await eventually("it joined", lambda: _true(second.started.is_set()))
            failing.error = None
            emitted += [i for case in cases for i in await rig.emit(case, 5)]
            await eventually("all effects", lambda: _effects(rig, 30))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_records_fetched_before_the_failure_are_read_again(rig: Rig) -> None:
    """After `pause()` the position has moved past what was fetched: without a seek the failed
    record and its followers of that fetch are skipped."""
    first, second = neighbours(2)
    failing = Failing(lambda: TransientError("not now"), sequence=3, case=first)
    emitted = await rig.emit(first, 5) + await rig.emit(second, 5)
    async with rig.relay():
        await eventually("all is in one fetch", lambda: _sent(rig))
        async with rig.consuming(reactions({ConsentRecorded: failing})):
            await eventually("it was tried", lambda: _at_least(failing.calls, (first, 3), 3))
            failing.error = None
            await eventually("all effects", lambda: _effects(rig, 10))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_a_twin_with_the_same_ordinal_ends(rig: Rig) -> None:
    """aiokafka reports no fencing of static members: two with one id both report all partitions, or
    evict each other in turn. The seat is an advisory lock in the consumer's own database."""
    case = uuid4()
    async with rig.relay(), rig.consuming(ordinal=0) as first:
        await eventually("the first consumes", lambda: _true(first.started.is_set()))

        with pytest.raises(SeatTakenError):
            await asyncio.wait_for(rig.kernel(ordinal=0).run(), 10)

        emitted = await rig.emit(case, 3)
        await eventually("the first goes on", lambda: _effects(rig, 3))
    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_reporting_lag_never_delays_the_loop(rig: Rig) -> None:
    """A commit for the display of lag, awaited in the loop, stalled it 2 s per try while the broker
    was down. Here it runs beside the loop, one at a time, and failures are only counted."""
    failures: list[int] = []
    source = KafkaSource(
        rig.settings, group="g", topics=frozenset({COORDINATION}), instance_id=None,
        on_report_failure=lambda: failures.append(1),
    )  # fmt: skip
    await source.start(lambda: None)
    began = asyncio.get_running_loop().time()

    for _ in range(100):
        source.report({Partition("no-such-topic", 0): 5})

    took = asyncio.get_running_loop().time() - began
    await eventually("the failure is counted", lambda: _is_long(failures, 1))
    await source.stop()
    assert took < 0.1
    assert len(failures) == 1


async def test_a_lone_event_is_applied_at_once(rig: Rig) -> None:
    """FastStream's batch subscriber sleeps another batch time-out after an empty poll. Here an
    event after a quiet time takes effect without waiting for a time-out."""
    case = uuid4()
    async with rig.relay() as relay, rig.consuming() as kernel:
        await eventually("it consumes", lambda: _true(kernel.started.is_set()))
        times = []
        for count in range(1, 16):
            began = asyncio.get_running_loop().time()
            await rig.emit(case, 1, wake=relay.wake)
            await eventually("its effect", lambda n=count: _effects(rig, n))  # type: ignore[misc]
            times.append(asyncio.get_running_loop().time() - began)

    median = sorted(times)[len(times) // 2]
    assert median < 0.15, f"median {median * 1000:.0f} ms"


async def test_a_failed_batch_repeats_no_effect_of_its_good_events(rig: Rig) -> None:
    """A failed batch runs again one by one, so a handler may run twice for one event: it must have
    no effect outside its transaction, and what it wrote inside is there once."""
    good, bad = neighbours(2)
    failing = Failing(lambda: ValueError("never"), sequence=1, case=bad)
    emitted = await rig.emit(good, 5)
    await rig.emit(bad, 1)
    emitted += await rig.emit(good, 5)
    async with rig.relay():
        await eventually("all is in one fetch", lambda: _sent(rig))
        async with rig.consuming(reactions({ConsentRecorded: failing})):
            await eventually("the good case is done", lambda: _effects(rig, 10))

    assert max(failing.calls[good, n] for n in range(1, 6)) >= 2, "the batch ran before"
    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_a_log_that_lost_records_is_an_alarm_and_no_loop(rig: Rig) -> None:
    """A log that begins after, or ends before, the place where we are (retention, restored broker):
    seeking again would loop, reading on would skip events in silence."""
    case = uuid4()
    await rig.emit(case, 3)
    number = partition_of(case, PARTITIONS)
    async with rig.relay():
        await eventually("the outbox is empty", lambda: _sent(rig))
    await rig.infusion.run(
        "INSERT INTO next_offset (consumer, topic, partition, next_offset) "
        "VALUES ('infusion_scheduling', $1, $2, 7)", COORDINATION, number,
    )  # fmt: skip

    async with rig.consuming() as kernel:
        await eventually("the alarm", lambda: _true(bool(rig.alarms)))
        await eventually("the others go on", lambda: _true(len(kernel.positions) == PARTITIONS - 1))

    assert [(a.kind, a.detail["next"], a.detail["end"]) for a in rig.alarms] == [
        ("log_ends_early", 7, 3)
    ]
    assert kernel.broken == {Partition(COORDINATION, number)}


def _one_case_per_partition() -> list[UUID]:
    found: dict[int, UUID] = {}
    while len(found) < PARTITIONS:
        case = uuid4()
        found.setdefault(partition_of(case, PARTITIONS), case)
    return [found[number] for number in range(PARTITIONS)]


async def _commit_to_the_end(rig: Rig, offset: int | None = None) -> None:
    """What a tool or an older version may have done to Kafka's own offsets."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=rig.infra.kafka_bootstrap,
        group_id=rig.prefix + "infusion_scheduling", enable_auto_commit=False,
    )  # fmt: skip
    await consumer.start()
    places = [TopicPartition(rig.prefix + COORDINATION, n) for n in range(PARTITIONS)]
    consumer.assign(places)
    ends = await consumer.end_offsets(places)
    await consumer.commit(
        {p: OffsetAndMetadata(min(ends[p], offset or ends[p]), "") for p in places}
    )
    await consumer.stop()


async def _sent(rig: Rig) -> bool:
    return bool(await rig.intake.value("SELECT count(*) FROM outbox") == 0)


async def _effects(rig: Rig, count: int) -> bool:
    return len(await rig.infusion.effects()) == count


async def _parked(rig: Rig, count: int) -> bool:
    return bool(await rig.infusion.value("SELECT count(*) FROM parked_case") == count)


async def _at_least(calls: Counter[tuple[UUID, int]], place: tuple[UUID, int], count: int) -> bool:
    return calls[place] >= count


async def _is_long(items: Sequence[object], count: int) -> bool:
    return len(items) >= count


async def _true(value: bool) -> bool:
    return value
