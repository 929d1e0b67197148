"""Kafka behind the bus ports: aiokafka reads, FastStream's broker publishes.

Kept here, because each default loses or reorders events (docs/architecture/messaging.md, traps):
idempotence and `acks=all`; reading from where the caller says and never from Kafka's committed
offset; a rebalance listener that does no I/O; no subscriber is ever started.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faststream.kafka import KafkaBroker
from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity

from shared.messaging.bus import (
    Bounds,
    BusFailedError,
    BusUnavailableError,
    Delivery,
    Outgoing,
    Partition,
    SendError,
)
from shared.messaging.wire import Record

_LOG = logging.getLogger(__name__)

#: a static member that was killed gets its partitions back when it returns within this time
SESSION_TIMEOUT_MS: Final = 10_000
GROUP_HEARTBEAT_MS: Final = 3_000
#: above the session time-out, or a join that waits for a dead peer looks like a dead broker
CONSUMER_REQUEST_TIMEOUT_MS: Final = 15_000
PRODUCER_REQUEST_TIMEOUT_MS: Final = 5_000
PRODUCER_BATCH_BYTES: Final = 131_072
#: the display of lag needs no more; a commit per batch cost the loop its time
REPORT_EVERY_SECONDS: Final = 1.0
#: stop() can hang when all brokers are down; the process then ends without it
CLOSE_WITHIN_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Where Kafka is, and who we say we are.

    `prefix` goes before the names of topics and groups, for installations (and tests) that share
    one Kafka; the rest of the code never sees it.
    """

    bootstrap: str
    client_id: str
    prefix: str = ""
    security: BaseSecurity | None = None
    session_timeout_ms: int = SESSION_TIMEOUT_MS
    heartbeat_interval_ms: int = GROUP_HEARTBEAT_MS

    def connection(self) -> dict[str, Any]:
        """What every aiokafka client is told."""
        return {
            "bootstrap_servers": self.bootstrap,
            "client_id": self.client_id,
            **parse_security(self.security),
        }


class DeclaredOnly(KafkaBroker):
    """A FastStream broker that connects and publishes; its subscribers are documents only.

    FastStream's own consumers lose events when a handler raises, commit past failed ones and
    cannot be fenced by our offsets. They serve the AsyncAPI document and wiring tests.
    """

    async def _connect(self) -> Any:  # noqa: ANN401 - FastStream's type says nothing more
        producer = AIOKafkaProducer(**self._connection_kwargs)
        try:
            await self.config.broker_config.producer.connect(producer, serializer=None)
        except BaseException:
            # otherwise a failed attempt leaks its sockets and warns when it is collected
            await producer.stop()
            raise
        self.client = producer
        return self.config.broker_config.builder

    async def start(self) -> None:
        """Connects and readies the publishers; starts no subscriber."""
        await self.connect()
        for publisher in self.publishers:
            await publisher.start()
        self.running = True


def declared_broker(settings: KafkaSettings) -> DeclaredOnly:
    """A broker with the settings that the guarantees need; nothing is connected yet."""
    return DeclaredOnly(
        settings.bootstrap,
        client_id=settings.client_id,
        security=settings.security,
        acks="all",
        enable_idempotence=True,
        request_timeout_ms=PRODUCER_REQUEST_TIMEOUT_MS,
        max_batch_size=PRODUCER_BATCH_BYTES,
        allow_auto_create_topics=False,
        logger=None,
    )


class KafkaSink:
    """The relay's producer: FastStream's broker, replaced as a whole when it is stuck."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._prefix = settings.prefix
        self._broker: DeclaredOnly | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Connects; see the port."""
        if self._broker is not None:
            return
        broker = declared_broker(self._settings)
        try:
            await broker.start()
        except (KafkaError, OSError) as error:
            raise BusUnavailableError(str(error)) from error
        self._broker = broker

    def _connected(self) -> DeclaredOnly:
        if self._broker is None:
            raise BusUnavailableError("not connected")
        return self._broker

    async def partitions(self, topic: str) -> int:
        """The number of partitions."""
        try:
            found: set[int] = await self._connected().client.partitions_for(self._prefix + topic)
        except KafkaError as error:
            raise BusUnavailableError(f"{topic}: {error}") from error
        return len(found)

    async def ends(self, topic: str) -> Mapping[int, int]:
        """The end offsets, asked by a reader of its own."""
        numbers = range(await self.partitions(topic))
        consumer = AIOKafkaConsumer(**self._settings.connection(), enable_auto_commit=False)
        try:
            await consumer.start()
            found = await consumer.end_offsets(
                [TopicPartition(self._prefix + topic, n) for n in numbers]
            )
        except (KafkaError, OSError) as error:
            raise BusUnavailableError(str(error)) from error
        finally:
            await consumer.stop()
        return {where.partition: offset for where, offset in found.items()}

    async def send(self, record: Outgoing) -> Awaitable[Delivery]:
        """Hands the record to the producer, which answers later."""
        try:
            answer: Awaitable[Delivery] = await self._connected().publish(
                record.value,
                self._prefix + record.partition.topic,
                key=record.key,
                partition=record.partition.number,
                timestamp_ms=record.timestamp_ms,
                headers=dict(record.headers),
                correlation_id=record.headers.get("ce_correlationid", "none"),
                no_confirm=True,
            )
        except (KafkaError, BusUnavailableError, OSError) as error:
            raise SendError(f"{type(error).__name__}: {error}") from error
        return answer

    async def replace(self) -> None:
        """Leaves the old producer to its in-flight records and connects a new one."""
        old, self._broker = self._broker, None
        if old is not None:
            task = asyncio.create_task(_stop(old))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        await self.connect()

    async def close(self) -> None:
        """Flushes and closes."""
        old, self._broker = self._broker, None
        if old is not None:
            await _stop(old)
        await asyncio.gather(*self._closing)


async def _stop(broker: DeclaredOnly) -> None:
    try:
        await asyncio.wait_for(broker.stop(), CLOSE_WITHIN_SECONDS)
    except (KafkaError, OSError, TimeoutError) as error:
        _LOG.warning("producer_close_failed", extra={"error": type(error).__name__})


@dataclass(frozen=True, slots=True)
class _Names:
    """Topics as Kafka knows them and as we do."""

    prefix: str

    def partition(self, where: TopicPartition) -> Partition:
        return Partition(where.topic.removeprefix(self.prefix), where.partition)

    def where(self, partition: Partition) -> TopicPartition:
        return TopicPartition(self.prefix + partition.topic, partition.number)

    def record(self, raw: Any) -> Record:  # noqa: ANN401 - aiokafka has no types
        topic = raw.topic.removeprefix(self.prefix)
        return Record(
            topic, raw.partition, raw.offset, raw.key, raw.value, raw.headers, raw.timestamp
        )


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Tells that places are lost. It may not await: records of the old place would leak."""

    def __init__(self, on_rebalance: Callable[[], None]) -> None:
        self._on_rebalance = on_rebalance

    def on_partitions_revoked(self, revoked: object) -> None:
        self._on_rebalance()

    def on_partitions_assigned(self, assigned: object) -> None:
        self._on_rebalance()


class KafkaSource:
    """A group member on aiokafka."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        group: str,
        topics: frozenset[str],
        instance_id: str | None,
        on_report_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._names = _Names(settings.prefix)
        self._topics = sorted(settings.prefix + topic for topic in topics)
        self._on_report_failure = on_report_failure
        self._consumer = AIOKafkaConsumer(
            **settings.connection(),
            group_id=settings.prefix + group,
            group_instance_id=instance_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            request_timeout_ms=CONSUMER_REQUEST_TIMEOUT_MS,
        )
        self._reporting: asyncio.Task[None] | None = None
        self._reported_at = 0.0

    async def start(self, on_rebalance: Callable[[], None]) -> None:
        """Joins the group and waits for the first assignment."""
        self._consumer.subscribe(self._topics, listener=_Listener(on_rebalance))
        try:
            await self._consumer.start()
        except (KafkaError, OSError) as error:
            await self.stop()
            raise BusUnavailableError(str(error)) from error

    async def stop(self) -> None:
        """Closes the consumer; a static member stays in the group until its session ends."""
        if self._reporting is not None:
            self._reporting.cancel()
        with suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(self._consumer.stop(), CLOSE_WITHIN_SECONDS)

    def assignment(self) -> frozenset[Partition]:
        """The partitions assigned."""
        return frozenset(self._names.partition(where) for where in self._consumer.assignment())

    async def fetch(
        self, timeout_seconds: float, records_max: int
    ) -> Mapping[Partition, Sequence[Record]]:
        """The next records."""
        try:
            found = await self._consumer.getmany(
                timeout_ms=int(timeout_seconds * 1000), max_records=records_max
            )
        except (KafkaError, ConsumerStoppedError) as error:
            raise BusFailedError(f"{type(error).__name__}: {error}") from error
        return {
            self._names.partition(where): [self._names.record(raw) for raw in raws]
            for where, raws in found.items()
        }

    def seek(self, partition: Partition, offset: int) -> None:
        """Moves the place."""
        self._consumer.seek(self._names.where(partition), offset)

    def pause(self, partition: Partition) -> None:
        """Leaves the partition out."""
        self._consumer.pause(self._names.where(partition))

    def resume(self, partition: Partition) -> None:
        """Takes the partition in again."""
        self._consumer.resume(self._names.where(partition))

    async def bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, Bounds]:
        """What the log holds."""
        wanted = [self._names.where(partition) for partition in partitions]
        try:
            starts = await self._consumer.beginning_offsets(wanted)
            ends = await self._consumer.end_offsets(wanted)
        except (KafkaError, OSError) as error:
            raise BusUnavailableError(str(error)) from error
        return {
            self._names.partition(where): Bounds(starts[where], ends[where]) for where in wanted
        }

    def end(self, partition: Partition) -> int | None:
        """The high water mark of the last fetch."""
        where = self._names.where(partition)
        if where not in self._consumer.assignment():
            return None
        found: int | None = self._consumer.highwater(where)
        return found

    def report(self, positions: Mapping[Partition, int]) -> None:
        """Commits to Kafka for its tools' display of lag: one at a time, once a second."""
        now = asyncio.get_running_loop().time()
        busy = self._reporting is not None and not self._reporting.done()
        if busy or not positions or now - self._reported_at < REPORT_EVERY_SECONDS:
            return
        self._reported_at = now
        offsets = {self._names.where(partition): offset for partition, offset in positions.items()}
        self._reporting = asyncio.create_task(self._commit(offsets))

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        try:
            await self._consumer.commit(offsets)
        except (KafkaError, OSError, ValueError):
            self._on_report_failure()


class KafkaTail:
    """A reader of all partitions of one topic, without a group."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._names = _Names(settings.prefix)
        self._topic = settings.prefix + topic
        self._consumer = AIOKafkaConsumer(
            **settings.connection(), enable_auto_commit=False, auto_offset_reset="earliest",
            request_timeout_ms=CONSUMER_REQUEST_TIMEOUT_MS,
        )  # fmt: skip

    async def start(self, *, from_start: bool = False) -> None:
        """Begins at the end, or at the start."""
        try:
            await self._consumer.start()
            numbers = await self._consumer._client._wait_on_metadata(self._topic)
            wanted = [TopicPartition(self._topic, number) for number in numbers]
            self._consumer.assign(wanted)
            places = await (
                self._consumer.beginning_offsets(wanted)
                if from_start
                else self._consumer.end_offsets(wanted)
            )
        except (KafkaError, OSError) as error:
            await self.stop()
            raise BusUnavailableError(str(error)) from error
        for where, offset in places.items():
            self._consumer.seek(where, offset)

    async def fetch(self, timeout_seconds: float, records_max: int) -> Sequence[Record]:
        """The next records."""
        try:
            found = await self._consumer.getmany(
                timeout_ms=int(timeout_seconds * 1000), max_records=records_max
            )
        except (KafkaError, ConsumerStoppedError) as error:
            raise BusFailedError(f"{type(error).__name__}: {error}") from error
        return [self._names.record(raw) for raws in found.values() for raw in raws]

    async def stop(self) -> None:
        """Closes the reader."""
        with suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(self._consumer.stop(), CLOSE_WITHIN_SECONDS)


class KafkaBus:
    """Readers and writers of one Kafka installation."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def source(
        self, *, group: str, topics: frozenset[str], instance_id: str | None = None
    ) -> KafkaSource:
        """A group member."""
        return KafkaSource(self._settings, group=group, topics=topics, instance_id=instance_id)

    def tail(self, topic: str) -> KafkaTail:
        """A reader without a group."""
        return KafkaTail(self._settings, topic)

    def sink(self) -> KafkaSink:
        """A producer."""
        return KafkaSink(self._settings)
