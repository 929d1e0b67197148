"""The live tail of all four topics, resumable at any event.

A viewer reads the bus with a consumer of its own that joins no group, so viewers never disturb the
services. The name of a place in the stream is a vector: for each partition the next offset to read.
Invariant: reading on from the vector of the last event seen yields every later event exactly once,
whichever process answers.
"""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from shared.contracts.catalogue import OWNER_OF, TOPIC_OF
from shared.contracts.vocabulary import Service
from shared.messaging.bus import BusError, BusFailedError, BusUnavailableError, Partition
from shared.messaging.kafka import KafkaSettings
from shared.messaging.wire import Record

_LOG = logging.getLogger(__name__)

#: the letter of each topic in a vector
LETTERS: Final = {
    TOPIC_OF[Service.INTAKE]: "c",
    TOPIC_OF[Service.MANUFACTURING]: "m",
    TOPIC_OF[Service.INFUSION_SCHEDULING]: "i",
    TOPIC_OF[Service.NOTIFICATION]: "n",
}
_TOPICS: Final = {letter: topic for topic, letter in LETTERS.items()}
_PART: Final = re.compile(r"(?P<letter>[cmin])(?P<number>\d{1,4}):(?P<offset>\d{1,18})")
#: 4 topics of 1,000 partitions, which no installation has
VECTOR_LENGTH_MAX: Final = 8_000

#: readers of their own on Kafka; more viewers are told to come back
VIEWERS_MAX: Final = 64
FETCH_SECONDS: Final = 0.5
RECORDS_MAX: Final = 500
#: an idle stream says where it is, so that a proxy keeps it and a reconnect is cheap
IDLE_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 3.0
REQUEST_TIMEOUT_MS: Final = 15_000

Vector = Mapping[Partition, int]


def write_vector(places: Vector) -> str:
    """The vector as text, `c0:12,i3:4`: letter of the topic, partition, next offset.

    A partition that is left out is read from its start.
    """
    return ",".join(
        f"{LETTERS[place.topic]}{place.number}:{offset}"
        for place, offset in sorted(places.items())
        if offset > 0
    )


def read_vector(text: str) -> Vector | None:
    """The places in a vector's text, None for what is no vector (an empty one is the start)."""
    if len(text) > VECTOR_LENGTH_MAX:
        return None
    found: dict[Partition, int] = {}
    for part in filter(None, text.split(",")):
        match = _PART.fullmatch(part)
        if match is None:
            return None
        place = Partition(_TOPICS[match["letter"]], int(match["number"]))
        found[place] = int(match["offset"])
    return found


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a reader begins, and how many events it was asked for that the log holds no more."""

    places: Vector
    missing: int


class LogReader(Protocol):
    """Reads all four topics from given places, in order within each partition."""

    async def start(self, after: Vector | None) -> Begun:
        """Begins at the places, or at the end for None. Raises `BusUnavailableError`."""
        ...

    async def fetch(self, timeout_seconds: float, records_max: int) -> Sequence[Record]:
        """The next records, or none in time. Raises `BusFailedError`."""
        ...

    async def stop(self) -> None:
        """Closes the reader."""
        ...


class KafkaLogReader:
    """The reader on aiokafka: `assign` without a group, and it commits nothing."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._prefix = settings.prefix
        self._consumer = AIOKafkaConsumer(
            **settings.connection(), enable_auto_commit=False, auto_offset_reset="earliest",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )  # fmt: skip

    async def start(self, after: Vector | None) -> Begun:
        """Begins; an offset that the log holds no more (or not yet) is moved to its nearest end."""
        try:
            await self._consumer.start()
            wanted = await self._partitions()
            self._consumer.assign(wanted)
            starts = await self._consumer.beginning_offsets(wanted)
            ends = await self._consumer.end_offsets(wanted)
        except (KafkaError, OSError) as error:
            raise BusUnavailableError(str(error)) from error
        places: dict[Partition, int] = {}
        missing = 0
        for where in wanted:
            asked = ends[where] if after is None else after.get(self._place(where), 0)
            places[self._place(where)] = begin = min(max(asked, starts[where]), ends[where])
            missing += max(0, starts[where] - asked)
            self._consumer.seek(where, begin)
        return Begun(places, missing)

    async def _partitions(self) -> list[TopicPartition]:
        found: list[TopicPartition] = []
        for topic in OWNER_OF:
            name = self._prefix + topic
            numbers = await self._consumer._client._wait_on_metadata(name)
            found += [TopicPartition(name, number) for number in numbers]
        return found

    def _place(self, where: TopicPartition) -> Partition:
        return Partition(where.topic.removeprefix(self._prefix), where.partition)

    async def fetch(self, timeout_seconds: float, records_max: int) -> Sequence[Record]:
        """The next records; those fetched together in the order in which they were sent."""
        try:
            found = await self._consumer.getmany(
                timeout_ms=int(timeout_seconds * 1000), max_records=records_max
            )
        except (KafkaError, ConsumerStoppedError) as error:
            raise BusFailedError(type(error).__name__) from error
        records = [
            Record(
                raw.topic.removeprefix(self._prefix), raw.partition, raw.offset, raw.key, raw.value,
                raw.headers, raw.timestamp,
            )
            for raws in found.values()
            for raw in raws
        ]  # fmt: skip
        return sorted(records, key=lambda record: record.timestamp_ms)

    async def stop(self) -> None:
        """Closes within a deadline."""
        with suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(self._consumer.stop(), CLOSE_SECONDS)


@dataclass(frozen=True, slots=True)
class Seen:
    """One step of a viewer's stream: where it stands, and the record seen there, if any.

    `places` None: the bus was lost before the stream stood anywhere.
    """

    places: str | None
    record: Record | None = None
    missing: int = 0
    trouble: bool = False


class Live:
    """All viewers' streams of one process."""

    def __init__(self, reader: Callable[[], LogReader], *, viewers_max: int = VIEWERS_MAX) -> None:
        self._reader = reader
        self._viewers_max = viewers_max
        self._viewers = 0
        self._ending = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether one more viewer must be told to come back."""
        return self._viewers >= self._viewers_max

    def end(self) -> None:
        """Ends all streams soon; browsers then come back to wherever the console runs next."""
        self._ending.set()

    async def watch(self, after: Vector | None, *, seconds: float) -> AsyncIterator[Seen]:
        """Every event after the vector, each with the vector behind it, for some time."""
        reader = self._reader()
        reached = None if after is None else write_vector(after)
        self._viewers += 1
        try:
            async for step in self._steps(reader, after, seconds):
                reached = step.places
                yield step
        except BusError as error:
            _LOG.warning("stream_interrupted", extra={"error": type(error).__name__})
            yield Seen(reached, trouble=True)
        finally:
            self._viewers -= 1
            await reader.stop()

    async def _steps(
        self, reader: LogReader, after: Vector | None, seconds: float
    ) -> AsyncIterator[Seen]:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        begun = await reader.start(after)
        places = dict(begun.places)
        yield Seen(write_vector(places), missing=begun.missing)
        told_at = loop.time()
        while not self._ending.is_set() and loop.time() < until:
            records = await reader.fetch(FETCH_SECONDS, RECORDS_MAX)
            for record in _in_place_order(records):
                places[Partition(record.topic, record.partition)] = record.offset + 1
                yield Seen(write_vector(places), record)
                told_at = loop.time()
            if loop.time() - told_at > IDLE_SECONDS:
                yield Seen(write_vector(places))
                told_at = loop.time()


def _in_place_order(records: Sequence[Record]) -> Iterable[Record]:
    """The records in an order that keeps each partition's: the vector behind each is then true.

    Timestamps of one partition may go back when two relays follow each other, and a vector that
    names a later offset would skip the earlier one after a reconnect.
    """
    queues: dict[Partition, list[Record]] = {}
    for record in records:
        queues.setdefault(Partition(record.topic, record.partition), []).append(record)
    for queue in queues.values():
        queue.sort(key=lambda record: record.offset)
    taken: Counter[Partition] = Counter()
    for record in records:
        place = Partition(record.topic, record.partition)
        yield queues[place][taken[place]]
        taken[place] += 1
