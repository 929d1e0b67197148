"""A bus in memory, for tests and the simulation: partitions, groups, rebalances and faults.

It passes the same suite as Kafka (tests/integration/messaging/test_bus_parity.py). It has no time,
thread or chance of its own: waiting goes through the waiter, and what happens is decided by calls.
Faults are asked for by name. Those of an idempotent producer are kept: after a record of a
partition was refused, every later one of it is, until the producer is replaced.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.messaging.bus import (
    Bounds,
    BusUnavailableError,
    Delivery,
    Outgoing,
    Partition,
    SendError,
)
from shared.messaging.timing import wait_set
from shared.messaging.wire import Record
from shared.ports import Clock, Waiter

#: a real broker refuses records from further ahead
AHEAD_SECONDS_MAX: Final = 3600.0


@dataclass(frozen=True, slots=True)
class _Delivered:
    offset: int


@dataclass(slots=True)
class _Group:
    """Members in the order in which they joined; a static one that left keeps its place."""

    members: list["MemorySource"] = field(default_factory=list)
    away: dict[str, frozenset[Partition]] = field(default_factory=dict)


class MemoryBroker:
    """The records of all topics, and who reads them."""

    def __init__(self, topics: Mapping[str, int], *, clock: Clock, waiter: Waiter) -> None:
        self.clock = clock
        self.waiter = waiter
        self.logs: dict[Partition, list[Record]] = {
            Partition(topic, number): []
            for topic, count in topics.items()
            for number in range(count)
        }
        self.groups: dict[str, _Group] = {}
        self.arrived = asyncio.Event()
        #: nobody is answered
        self.down = False
        #: how many of the next sends to a partition are refused
        self.refusals: Counter[Partition] = Counter()
        #: how many of the next sends are kept although their answer is lost
        self.lost_answers = 0
        #: how many of the next records are kept twice
        self.duplicates = 0

    def append(self, record: Outgoing, *, times: int = 1) -> int:
        """The offset of the record, which readers see from now on."""
        log = self.logs[record.partition]
        offset = len(log)
        for _ in range(times):
            headers = tuple((name, value.encode()) for name, value in record.headers.items())
            log.append(
                Record(*record.partition, len(log), record.key, record.value, headers,
                       record.timestamp_ms)
            )  # fmt: skip
        self.arrived.set()
        return offset

    def times(self) -> int:
        """How often the next record is kept."""
        if self.duplicates == 0:
            return 1
        self.duplicates -= 1
        return 2

    def append_raw(
        self,
        partition: Partition,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> None:
        """A record of a foreign or broken producer."""
        log = self.logs[partition]
        now_ms = int(self.clock.now().timestamp() * 1000)
        log.append(Record(*partition, len(log), key, value, tuple(headers), now_ms))
        self.arrived.set()

    def partitions(self, topics: frozenset[str]) -> list[Partition]:
        """All partitions of these topics, in order."""
        return sorted(partition for partition in self.logs if partition.topic in topics)

    def rebalance(self, group: _Group) -> None:
        """Eager, as aiokafka's: every member loses all places and pauses, then gets a share."""
        reserved = frozenset().union(*group.away.values())
        for member in group.members:
            member.assigned = frozenset()
        for number, member in enumerate(group.members):
            free = [p for p in self.partitions(member.topics) if p not in reserved]
            member.assigned = frozenset(free[number :: len(group.members)])
        for member in group.members:
            member.rebalanced()

    def forget(self, group: str, instance_id: str) -> None:
        """The session of a static member that left is over: its partitions go to the others."""
        self.groups[group].away.pop(instance_id, None)
        self.rebalance(self.groups[group])


class MemorySource:
    """A group member."""

    def __init__(
        self, broker: MemoryBroker, group: str, topics: frozenset[str], instance_id: str | None
    ) -> None:
        self._broker = broker
        self._name = group
        self._instance_id = instance_id
        self._on_rebalance: Callable[[], None] = lambda: None
        self._places: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self.topics = topics
        self.assigned: frozenset[Partition] = frozenset()
        self.reported: dict[Partition, int] = {}

    async def start(self, on_rebalance: Callable[[], None]) -> None:
        """Joins."""
        if self._broker.down:
            raise BusUnavailableError("the broker is down")
        self._on_rebalance = on_rebalance
        group = self._broker.groups.setdefault(self._name, _Group())
        kept = group.away.pop(self._instance_id or "", None)
        group.members.append(self)
        if kept is None:
            self._broker.rebalance(group)
        else:
            self.assigned = kept
            self.rebalanced()

    async def stop(self) -> None:
        """Leaves; a static member's partitions wait for it."""
        group = self._broker.groups.get(self._name)
        if group is None or self not in group.members:
            return
        group.members.remove(self)
        if self._instance_id is not None:
            group.away[self._instance_id] = self.assigned
        else:
            self._broker.rebalance(group)
        self.assigned = frozenset()

    def rebalanced(self) -> None:
        """The broker gave out partitions anew: places and pauses are lost."""
        self._places = dict.fromkeys(self.assigned, 0)
        self._paused.clear()
        self._on_rebalance()

    def assignment(self) -> frozenset[Partition]:
        """The partitions of this member."""
        return self.assigned

    async def fetch(
        self, timeout_seconds: float, records_max: int
    ) -> Mapping[Partition, Sequence[Record]]:
        """The next records, or nothing in time."""
        self._broker.arrived.clear()
        found = self._take(records_max)
        if not found:
            await wait_set(self._broker.waiter, self._broker.arrived, timeout_seconds)
            found = self._take(records_max)
        return found

    def _take(self, records_max: int) -> dict[Partition, list[Record]]:
        found: dict[Partition, list[Record]] = {}
        left = 0 if self._broker.down else records_max
        for partition in sorted(self.assigned - self._paused):
            place = self._places[partition]
            records = self._broker.logs[partition][place : place + left]
            if records:
                found[partition] = records
                self._places[partition] = place + len(records)
                left -= len(records)
        return found

    def seek(self, partition: Partition, offset: int) -> None:
        """Moves the place."""
        if partition in self.assigned:
            self._places[partition] = offset

    def pause(self, partition: Partition) -> None:
        """Leaves the partition out."""
        self._paused.add(partition)

    def resume(self, partition: Partition) -> None:
        """Takes the partition in again."""
        self._paused.discard(partition)
        self._broker.arrived.set()

    async def bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, Bounds]:
        """What the log holds."""
        if self._broker.down:
            raise BusUnavailableError("the broker is down")
        return {p: Bounds(0, len(self._broker.logs[p])) for p in partitions}

    def end(self, partition: Partition) -> int | None:
        """The end of the log."""
        return len(self._broker.logs[partition])

    def report(self, positions: Mapping[Partition, int]) -> None:
        """Kept for tests that look at it."""
        self.reported.update(positions)


class MemoryTail:
    """A reader without a group."""

    def __init__(self, broker: MemoryBroker, topic: str) -> None:
        self._broker = broker
        self._topic = topic
        self._places: dict[Partition, int] = {}

    async def start(self, *, from_start: bool = False) -> None:
        """Begins at the end, or at the start."""
        if self._broker.down:
            raise BusUnavailableError("the broker is down")
        for partition in self._broker.partitions(frozenset({self._topic})):
            self._places[partition] = 0 if from_start else len(self._broker.logs[partition])

    async def fetch(self, timeout_seconds: float, records_max: int) -> Sequence[Record]:
        """The next records, or nothing in time."""
        self._broker.arrived.clear()
        found = self._take(records_max)
        if not found:
            await wait_set(self._broker.waiter, self._broker.arrived, timeout_seconds)
            found = self._take(records_max)
        return found

    def _take(self, records_max: int) -> list[Record]:
        found: list[Record] = []
        for partition, place in self._places.items():
            left = 0 if self._broker.down else records_max - len(found)
            records = self._broker.logs[partition][place : place + left]
            self._places[partition] = place + len(records)
            found += records
        return found

    async def stop(self) -> None:
        """Nothing to close."""


class MemorySink:
    """An idempotent producer."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._connected = False
        self._stuck: set[Partition] = set()

    async def connect(self) -> None:
        """Connects, unless the broker is down."""
        if self._broker.down:
            raise BusUnavailableError("the broker is down")
        self._connected = True

    async def partitions(self, topic: str) -> int:
        """The number of partitions."""
        return len(self._broker.partitions(frozenset({topic})))

    async def ends(self, topic: str) -> Mapping[int, int]:
        """The end offsets."""
        found = self._broker.partitions(frozenset({topic}))
        return {p.number: len(self._broker.logs[p]) for p in found}

    async def send(self, record: Outgoing) -> Awaitable[Delivery]:
        """Appends the record, or answers with the fault that was asked for."""
        if not self._connected:
            raise SendError("not connected")
        answer: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        refusal = self._refusal(record)
        if refusal is not None:
            self._stuck.add(record.partition)
            answer.set_exception(SendError(refusal))
            return answer
        offset = self._broker.append(record, times=self._broker.times())
        if self._broker.lost_answers > 0:
            self._broker.lost_answers -= 1
            self._stuck.add(record.partition)
            answer.set_exception(SendError("the answer was lost"))
        else:
            answer.set_result(_Delivered(offset))
        return answer

    def _refusal(self, record: Outgoing) -> str | None:
        if self._broker.down:
            return "the broker is down"
        if record.partition in self._stuck:
            return "out of order sequence"
        if self._broker.refusals[record.partition] > 0:
            self._broker.refusals[record.partition] -= 1
            return "refused"
        ahead = record.timestamp_ms / 1000 - self._broker.clock.now().timestamp()
        return "invalid timestamp" if ahead > AHEAD_SECONDS_MAX else None

    async def replace(self) -> None:
        """A new producer: nothing is stuck any more."""
        self._connected = False
        self._stuck.clear()
        await self.connect()

    async def close(self) -> None:
        """Disconnects."""
        self._connected = False


class MemoryBus:
    """Readers and writers of one broker in memory."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker

    def source(
        self, *, group: str, topics: frozenset[str], instance_id: str | None = None
    ) -> MemorySource:
        """A group member."""
        return MemorySource(self.broker, group, topics, instance_id)

    def tail(self, topic: str) -> MemoryTail:
        """A reader without a group."""
        return MemoryTail(self.broker, topic)

    def sink(self) -> MemorySink:
        """A producer."""
        return MemorySink(self.broker)
