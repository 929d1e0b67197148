"""Defects planted on purpose: the checks that pass on the product must fail on each of these.

Each scenario is one function; it runs on the product and on the defect.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.contracts.vocabulary import Service
from shared.messaging import plan
from shared.messaging.bus import Delivery, Outgoing, Partition
from shared.messaging.consumer import Kernel
from shared.messaging.incoming import StreamPlace
from shared.messaging.kafka import KafkaSink
from shared.messaging.memory import MemoryBroker, MemoryBus, MemorySink
from shared.messaging.partitioning import partition_of
from shared.messaging.plan import Judgement, Todo
from shared.messaging.reactions import lock_case_rows
from shared.messaging.relay import Relay
from shared.messaging.topics import catalogue_topics
from shared.messaging.unit_of_work import Cause
from shared.messaging.wakes import Waker
from shared.persistence.database import Tx
from shared.persistence.statements import Statement
from tests.integration.messaging.rig import (
    CLEAN,
    COORDINATION,
    PARTITIONS,
    Rig,
    Verdict,
    consent,
    eventually,
    judge_effects,
    running,
    world,
)

pytestmark = pytest.mark.integration


class SkipLockedRelay(Relay):
    """Defect: no advisory lock; two relays share the rows by SKIP LOCKED."""

    async def _lead(self) -> bool:
        async with self._database.session() as session:
            await session.run(Statement("begin", "BEGIN"))
            rows = await session.rows(
                Statement(
                    "skip_locked",
                    "SELECT id, topic, case_id, headers, payload FROM outbox "
                    "ORDER BY id LIMIT 5 FOR UPDATE SKIP LOCKED",
                )
            )
            await self._sink.connect()
            await self._start(rows)
            await asyncio.gather(*self._tasks())
            await self._reap(session)
            await session.run(Statement("commit", "COMMIT"))
        return True


class CountedRelay(Relay):
    """The product, with a count of its reads."""

    reads = 0

    async def _start(self, rows: Any) -> bool:
        self.reads += 1
        return await super()._start(rows)


class CursorRelay(CountedRelay):
    """Defect: remembers the last id it saw instead of asking what is there."""

    last = 0

    async def _start(self, rows: Any) -> bool:
        fresh = [row for row in rows if row["id"] > self.last]
        self.last = max([self.last, *(row["id"] for row in fresh)])
        return await super()._start(fresh)


class AllCountRelay(Relay):
    """Defect: rows after a failed one are deleted, because Kafka has them."""

    async def _reap(self, session: Tx) -> None:
        for _, pipeline in self._running.values():
            pipeline.acknowledged = [row["id"] for row in pipeline.rows]
            pipeline.error = None
        await super()._reap(session)


@pytest.fixture
def memory(rig: Rig) -> MemoryBroker:
    counts = {topic: count for topic, (count, _) in catalogue_topics(PARTITIONS).items()}
    ports = world()
    broker = MemoryBroker(counts, clock=ports.machine_clock, waiter=ports.waiter)
    rig.bus = MemoryBus(broker)
    return broker


def log_of(broker: MemoryBroker, case: UUID) -> list[int]:
    """The sequences of a case as they stand in the log, first copies only."""
    found: list[int] = []
    for record in broker.logs[Partition(COORDINATION, partition_of(case, PARTITIONS))]:
        sequence = int(record.header("ce_sequence") or 0)
        if record.key == str(case).encode() and sequence not in found:
            found.append(sequence)
    return found


async def two_relays(rig: Rig, broker: MemoryBroker, kind: type[Relay]) -> list[int]:
    """The first relay is slow to send; what does the second one do meanwhile?"""
    case = uuid4()
    await rig.emit(case, 10)

    sending, go_on = asyncio.Event(), asyncio.Event()

    class Slow(MemorySink):
        async def send(self, record: Outgoing) -> Awaitable[Delivery]:
            sending.set()
            await go_on.wait()
            return await super().send(record)

    first = _relay(kind, rig, Slow(broker))
    second = _relay(kind, rig, MemorySink(broker))
    async with running(first.run(), first.stop):
        await asyncio.wait_for(sending.wait(), 5)
        async with running(second.run(), second.stop):
            asyncio.get_running_loop().call_later(0.3, go_on.set)
            await eventually("all are sent", lambda: _has(len(log_of(broker, case)) == 10))
    return log_of(broker, case)


async def test_skip_locked_reorders_a_case(rig: Rig, memory: MemoryBroker) -> None:
    assert await two_relays(rig, memory, SkipLockedRelay) != list(range(1, 11))
    assert await two_relays(rig, memory, Relay) == list(range(1, 11))


async def out_of_order_commit(rig: Rig, broker: MemoryBroker, kind: type[CountedRelay]) -> int:
    """A lower id becomes visible after a higher one was sent."""
    early, late = uuid4(), uuid4()
    unit = rig.intake.unit_of_work(Service.INTAKE)
    relay = kind(
        database=rig.intake.database, sink=MemorySink(broker), world=world(), name="intake"
    )
    async with running(relay.run(), relay.stop):
        async with unit.begin(Cause("test", uuid4())) as work:
            await lock_case_rows(work.tx, [early])
            work.emit(consent(early))
            await work.flush()  # the id is taken, the commit comes later
            await rig.emit(late, 1, wake=relay.wake)
            await eventually("the later id is sent", lambda: _has(log_of(broker, late) == [1]))
        before = relay.reads

        async def read_again() -> bool:
            relay.wake()
            return relay.reads > before + 3

        await eventually("the relay has read again", read_again)
    return len(log_of(broker, early))


async def test_a_cursor_loses_rows(rig: Rig, memory: MemoryBroker) -> None:
    assert await out_of_order_commit(rig, memory, CursorRelay) == 0
    await rig.intake.run("DELETE FROM outbox")
    assert await out_of_order_commit(rig, memory, CountedRelay) == 1


async def failed_in_the_middle(rig: Rig, broker: MemoryBroker, kind: type[Relay]) -> list[int]:
    """The fourth record of a case is refused."""
    case = uuid4()
    await rig.emit(case, 8)

    class Refusing(MemorySink):
        refused = False

        async def send(self, record: Outgoing) -> Awaitable[Delivery]:
            if int(record.headers["ce_sequence"]) == 4 and not self.refused:
                self.refused = True
                broker.refusals[record.partition] = 1
            return await super().send(record)

    relay = _relay(kind, rig, Refusing(broker))
    async with running(relay.run(), relay.stop):
        await eventually("the outbox is empty", lambda: _sent(rig))
    return log_of(broker, case)


async def test_deleting_behind_a_failed_record_loses_it(rig: Rig, memory: MemoryBroker) -> None:
    assert await failed_in_the_middle(rig, memory, AllCountRelay) != list(range(1, 9))
    assert await failed_in_the_middle(rig, memory, Relay) == list(range(1, 9))


async def delivered_twice(rig: Rig, broker: MemoryBroker) -> Verdict:
    """Every record is in the log twice."""
    await rig.infusion.run("TRUNCATE effect")
    broker.duplicates = 10
    emitted = await rig.emit(uuid4(), 10)
    expected = sum(len(log) for log in broker.logs.values()) + 20
    async with rig.relay(), rig.consuming() as kernel:
        await eventually("all is read", lambda: _has(_place(kernel) >= expected))
    return judge_effects(await rig.infusion.effects(), emitted)


async def test_without_the_inbox_duplicates_take_effect(
    rig: Rig, memory: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(plan.Planner, "_in_stream", _always_apply)
        assert (await delivered_twice(rig, memory)).doubled
    assert await delivered_twice(rig, memory) == CLEAN


async def arriving_out_of_order(rig: Rig, broker: MemoryBroker) -> Verdict:
    """The log holds 2 before 1, as after a resend of a failed record."""
    await rig.infusion.run("TRUNCATE effect")
    emitted = await rig.emit(case := uuid4(), 4)
    async with rig.relay():
        await eventually("the outbox is empty", lambda: _sent(rig))
    partition = Partition(COORDINATION, partition_of(case, PARTITIONS))
    log = broker.logs[partition]
    base = len(log) - 4
    moved = [log[base + 1], log[base + 3], log[base], log[base + 2]]
    log[base:] = [
        type(r)(r.topic, r.partition, base + i, r.key, r.value, r.headers, r.timestamp_ms)
        for i, r in enumerate(moved)
    ]
    async with rig.consuming() as kernel:
        filler = rig.filler(kernel)
        async with running(filler.run(), filler.stop):
            await eventually("all is read", lambda: _is_at(kernel, partition, base + 4))
            await eventually("nothing waits", lambda: _nothing_early(rig))
    return judge_effects(await rig.infusion.effects(), emitted)


async def test_without_the_sequence_check_order_is_lost(
    rig: Rig, memory: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(plan, "judge", _never_gap)
        broken = await arriving_out_of_order(rig, memory)
        assert broken.misplaced
        assert broken.lost
    assert await arriving_out_of_order(rig, memory) == CLEAN


class Channel:
    """Counts notes; the first one finds a second commit arriving during its pause."""

    def __init__(self) -> None:
        self.notes = 0

    async def notify(self) -> None:
        self.notes += 1

    async def listen(self, on_wake: Callable[[], None]) -> None:
        on_wake()


class ForgetfulWaker(Waker):
    """Defect: a debounce without re-arm; commits during the pause are told of by nobody."""

    async def _send(self) -> None:
        await self._channel.notify()
        await self._waiter.sleep(0.05)


async def commit_in_the_pause(kind: type[Waker]) -> int:
    channel = Channel()
    waker = kind(channel, world().waiter)
    waker.wake()
    await asyncio.sleep(0.002)
    waker.wake()
    await asyncio.sleep(0.1)
    await waker.close()
    return channel.notes


async def test_a_debounce_without_rearm_forgets_a_commit() -> None:
    assert await commit_in_the_pause(ForgetfulWaker) == 1
    assert await commit_in_the_pause(Waker) == 2


def _always_apply(_planner: object, _item: object) -> Todo:
    return Todo.APPLY


_real_judge = plan.judge


def _never_gap(place: StreamPlace, head: tuple[int, int] | None) -> Judgement:
    judged = _real_judge(place, head)
    return Judgement.NEXT if judged is Judgement.GAP else judged


def _relay(kind: type[Relay], rig: Rig, sink: KafkaSink | MemorySink) -> Relay:
    return kind(database=rig.intake.database, sink=sink, world=world(), name="intake")


def _place(kernel: Kernel[Tx]) -> int:
    return sum(kernel.positions.values())


async def _is_at(kernel: Kernel[Tx], partition: Partition, offset: int) -> bool:
    return kernel.positions.get(partition) == offset


async def _has(value: bool) -> bool:
    return value


async def _sent(rig: Rig) -> bool:
    return bool(await rig.intake.value("SELECT count(*) FROM outbox") == 0)


async def _nothing_early(rig: Rig) -> bool:
    return bool(await rig.infusion.value("SELECT count(*) FROM early") == 0)
