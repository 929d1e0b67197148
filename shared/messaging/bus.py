"""The bus as ports: reading partitions in order, sending with an acknowledgement, reading a tail.

Kafka stands behind them in the product (`kafka.py`), a deterministic bus in tests and in the
simulation (`memory.py`); both pass the same suite. The ports keep what the guarantees rest on: a
partition is read in order from an offset of the caller's choice, and a record counts as sent only
when its acknowledgement was awaited.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from shared.messaging.wire import Record


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int


class Bounds(NamedTuple):
    """The offsets that a partition holds: `[start, end)`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to send. `timestamp_ms` is machine time: a broker refuses one from the future."""

    partition: Partition
    key: bytes
    value: bytes
    headers: Mapping[str, str]
    timestamp_ms: int


class BusError(Exception):
    """The base of what a bus raises."""


class BusUnavailableError(BusError):
    """No broker answered; try again later."""


class SendError(BusError):
    """The record was not accepted, or whether it was is unknown: send it again."""


class BusFailedError(BusError):
    """This client cannot go on; its process must end and be started anew."""


class Delivery(Protocol):
    """What the broker said of an acknowledged record."""

    @property
    def offset(self) -> int:
        """The record's place in its partition."""
        ...


class RecordSource(Protocol):
    """A member of a consumer group. It never commits anything that reading depends on."""

    async def start(self, on_rebalance: Callable[[], None]) -> None:
        """Joins the group. `on_rebalance` runs at each change of the assignment, without awaiting.

        After a change every partition has lost its place and its pause. Raises
        `BusUnavailableError`; may wait long for the first assignment, so race it against a stop.
        """
        ...

    async def stop(self) -> None:
        """Leaves without waiting for anything that a dead broker owes."""
        ...

    def assignment(self) -> frozenset[Partition]:
        """The partitions of this member, at this moment."""
        ...

    async def fetch(
        self, timeout_seconds: float, records_max: int
    ) -> Mapping[Partition, Sequence[Record]]:
        """The next records of partitions that are not paused, in offset order, or nothing in time.

        Raises `BusFailedError`.
        """
        ...

    def seek(self, partition: Partition, offset: int) -> None:
        """The next fetch of an assigned partition begins at `offset`."""
        ...

    def pause(self, partition: Partition) -> None:
        """Fetches leave this partition out."""
        ...

    def resume(self, partition: Partition) -> None:
        """Fetches include this partition again."""
        ...

    async def bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, Bounds]:
        """What the log holds now. Raises `BusUnavailableError`."""
        ...

    def end(self, partition: Partition) -> int | None:
        """The end of the log as the last fetch saw it, for the display of lag."""
        ...

    def report(self, positions: Mapping[Partition, int]) -> None:
        """Shows positions to the broker's tools, in the background; failures are only counted."""
        ...


class RecordTail(Protocol):
    """A reader without a group: all partitions of a topic from where it is told to begin."""

    async def start(self, *, from_start: bool = False) -> None:
        """Begins at the end of the log, or at its start. Raises `BusUnavailableError`."""
        ...

    async def fetch(self, timeout_seconds: float, records_max: int) -> Sequence[Record]:
        """The next records, in order within each partition. Raises `BusFailedError`."""
        ...

    async def stop(self) -> None:
        """Closes the reader."""
        ...


class RecordSink(Protocol):
    """An idempotent producer with `acks=all`. One user at a time: the active relay."""

    async def connect(self) -> None:
        """Returns when records can be sent. Raises `BusUnavailableError`; try again."""
        ...

    async def partitions(self, topic: str) -> int:
        """The number of partitions. Raises `BusUnavailableError`."""
        ...

    async def ends(self, topic: str) -> Mapping[int, int]:
        """The end offset of each partition. Raises `BusUnavailableError`."""
        ...

    async def send(self, record: Outgoing) -> Awaitable[Delivery]:
        """Hands the record over; the answer resolves when all in-sync replicas have it.

        Records of one partition keep the order of the calls. Raises `SendError`, and so does the
        answer (as any exception of the client).
        """
        ...

    async def replace(self) -> None:
        """A new producer takes over; what the old one has in flight resolves by itself.

        An idempotent producer that lost a record refuses all later ones of that partition. Raises
        `BusUnavailableError`.
        """
        ...

    async def close(self) -> None:
        """Flushes within a deadline and closes."""
        ...


class Bus(Protocol):
    """Makes the readers and writers of one process."""

    def source(
        self, *, group: str, topics: frozenset[str], instance_id: str | None = None
    ) -> RecordSource:
        """A group member; with `instance_id` a static one, whose partitions wait for its return."""
        ...

    def tail(self, topic: str) -> RecordTail:
        """A reader without a group."""
        ...

    def sink(self) -> RecordSink:
        """A producer."""
        ...


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person of operations must see at once.

    `kind` is a stable snake_case word; `detail` holds ids, topics and numbers, never a payload.
    """

    kind: str
    detail: Mapping[str, str | int] = field(default_factory=dict)


AlarmHook = Callable[[Alarm], None]


def no_alarm(_alarm: Alarm) -> None:
    """For tests that look at figures alone."""
