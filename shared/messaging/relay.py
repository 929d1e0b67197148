"""Outbox to Kafka: every committed event at least once, each case's events in commit order.

One relay per service is active, by an advisory lock on the session that also reads and deletes, so
a DELETE that succeeds proves that the lock is still held. Rows are read without row locks and no
transaction is open while Kafka is asked. Nothing is remembered between reads but what is in flight:
a cursor (`id > last seen`) would lose rows, since ids become visible in commit order, not id order;
SKIP LOCKED would let two relays reorder a case. Both are planted in tests and seen to fail.

Each partition has a pipeline of its own. When a record fails, the later ones of its partition are
not counted as sent even if Kafka has them: all are sent again, in order, and the consumers' inbox
drops what they know.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from shared.messaging.bus import (
    Alarm,
    AlarmHook,
    BusError,
    BusUnavailableError,
    Outgoing,
    Partition,
    RecordSink,
    no_alarm,
)
from shared.messaging.figures import RelayFigures
from shared.messaging.partitioning import partition_of
from shared.messaging.timing import (
    Pace,
    TooLateError,
    backoff_seconds,
    now_seconds,
    settled_within,
    wait_set,
    within,
)
from shared.messaging.unit_of_work import STATEMENTS
from shared.persistence.database import Database, Row, StoreError, Tx
from shared.ports import NO_TRACER, Span, Tracer, World

_LOG = logging.getLogger(__name__)

LOCK_SPACE: Final = 0x7461_6E64  # "tand": advisory locks of messaging, apart from the migrator's
#: rows in one read; larger batches gain little and keep a new hold waiting behind them
BATCH_ROWS: Final = 1_000
#: a missed wake-up costs at most this
POLL_SECONDS: Final = 1.0
#: rows that commit within so short a time share a read, a send and a delete
GATHER_SECONDS: Final = 0.004
#: deleted rows after which their room is given back for new ones (some 20 MB with its indexes)
CLEAN_ROWS: Final = 20_000
#: how long a batch may keep the next one waiting; slower partitions go on by themselves
PATIENCE_SECONDS: Final = 0.25
#: how soon a replica takes over from one that died (its connection is closed by the kernel)
LEAD_EVERY_SECONDS: Final = 0.5
RETRY_FIRST_SECONDS: Final = 0.1
RETRY_MOST_SECONDS: Final = 2.0
#: SIGTERM waits this long for acknowledgements; what is not acknowledged is sent again later
STOP_WITHIN_SECONDS: Final = 5.0


@dataclass(slots=True)
class _Pipeline:
    """The rows of one partition that are being sent, in order, and what came of it."""

    rows: Sequence[Row]
    tracer: Tracer = NO_TRACER
    acknowledged: list[int] = field(default_factory=list)
    last_offset: int | None = None
    error: BaseException | None = None

    async def run(self, sink: RecordSink, partition: Partition, timestamp_ms: int) -> None:
        """Hands all rows over, then awaits every answer; the acknowledged prefix counts."""
        answers = []
        spans = []
        for row in self.rows:
            spans.append(self._begin(row))
            try:
                answers.append(await sink.send(_outgoing(row, partition, timestamp_ms)))
            except BusError as error:
                self.error = error
                break
        results = await asyncio.gather(*answers, return_exceptions=True)
        self._end(spans, results)
        for row, result in zip(self.rows, results, strict=False):
            if isinstance(result, BaseException):
                self.error = result
                return
            self.acknowledged.append(row["id"])
            self.last_offset = result.offset

    def _begin(self, row: Row) -> Span:
        headers = row["headers"]
        name = f"send {row['topic']}"
        return self.tracer.begin(name, "producer", parent=headers.get("ce_traceparent"))

    def _end(self, spans: Sequence[Span], results: Sequence[object]) -> None:
        """Ends every step; the last one may not have been handed over at all."""
        errors = [type(r).__name__ if isinstance(r, BaseException) else None for r in results]
        if len(spans) > len(results):
            errors.append(type(self.error).__name__)
        for span, error in zip(spans, errors, strict=True):
            span.end(error=error)


@dataclass(slots=True)
class _Rest:
    """A partition that failed: its cases wait until `until_seconds` (lease clock)."""

    until_seconds: float
    attempt: int


def _outgoing(row: Row, partition: Partition, timestamp_ms: int) -> Outgoing:
    return Outgoing(
        partition=partition,
        key=str(row["case_id"]).encode(),
        value=row["payload"],
        headers=row["headers"],
        timestamp_ms=timestamp_ms,
    )


class Relay:
    """Sends the outbox of one service. Run one in each process; one of them is active."""

    def __init__(
        self,
        *,
        database: Database,
        sink: RecordSink,
        world: World,
        name: str,
        topics: frozenset[str] = frozenset(),
        figures: RelayFigures | None = None,
        alarm: AlarmHook = no_alarm,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._database = database
        self._sink = sink
        self._world = world
        self._name = name
        self._topics = topics
        self._alarm = alarm
        self._batch_rows = batch_rows
        self._suspected = False
        self.figures = figures or RelayFigures()
        #: the last acknowledged offset of each partition, for the heartbeats
        self.produced: dict[Partition, int] = {}
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._dead_rows = 0
        self._crowded = False
        self._counts: dict[str, int] = {}
        self._running: dict[Partition, tuple[asyncio.Task[None], _Pipeline]] = {}
        self._resting: dict[Partition, _Rest] = {}
        self._waiting_cases: dict[Partition, set[UUID]] = {}

    def wake(self) -> None:
        """Tells that rows were committed. Cheap; call it after every commit."""
        self._wake.set()

    def stop(self) -> None:
        """Ends `run` after what is in flight is acknowledged, within a deadline."""
        self._stopping.set()
        self._wake.set()

    def suspect_producer(self) -> None:
        """Asks for a new producer, from somebody who saw that this one gets nothing through."""
        self._suspected = True
        self._wake.set()

    async def run(self) -> None:
        """Leads whenever nobody else does, until `stop`. Survives a lost database or broker."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                led = await self._lead()
                attempt = 0 if led else attempt
                pause = LEAD_EVERY_SECONDS
            except (StoreError, BusUnavailableError) as error:
                attempt += 1
                pause = self._backoff(attempt)
                _LOG.warning("relay_interrupted", extra={"error": type(error).__name__})
            await wait_set(self._world.waiter, self._stopping, pause)
        await self._close()

    def _backoff(self, attempt: int) -> float:
        return backoff_seconds(
            self._world, attempt, first=RETRY_FIRST_SECONDS, most=RETRY_MOST_SECONDS
        )

    async def _lead(self) -> bool:
        async with self._database.session() as session:
            if not await session.value(STATEMENTS["try_lock"], LOCK_SPACE, f"relay:{self._name}"):
                return False
            # a delete that a crash of the server undoes only sends its rows again
            await session.value(STATEMENTS["relax_commits"])
            self.figures.active = True
            try:
                await self._connect()
                await self._serve(session)
            finally:
                self.figures.active = False
                await self._settle()
        return True

    async def _connect(self) -> None:
        """Connects, but gives up the lead (to a process that reaches Kafka) when it cannot."""
        self.figures.connected = False
        await self._sink.connect()
        for topic in self._topics:
            await self._ask_ends(topic)
        self.figures.connected = True

    async def _ask_ends(self, topic: str) -> None:
        """An end below what was acknowledged before: the broker has lost records."""
        for number, end in (await self._sink.ends(topic)).items():
            partition = Partition(topic, number)
            known = self.produced.get(partition, -1)
            if end - 1 < known:
                detail: dict[str, str | int] = {"topic": topic, "partition": number}
                self._alarm(Alarm("broker_lost_records", {**detail, "was": known, "is": end - 1}))
                _LOG.error("broker_lost_records", extra={**detail, "was": known, "is": end - 1})
            self.produced[partition] = end - 1

    async def _serve(self, session: Tx) -> None:
        pace = Pace(self._world, GATHER_SECONDS)
        while not self._stopping.is_set():
            await pace.turn()
            # cleared before reading: a commit after this line sets it again
            self._wake.clear()
            if self._suspected and not self._running:
                await self._replace()
            started = await self._start(await self._next_rows(session))
            if self._running:
                await self._wait_for_pipelines(idle=not started)
                await self._reap(session)
            elif not started:
                await wait_set(self._world.waiter, self._wake, POLL_SECONDS)
        await settled_within(self._world.waiter, self._tasks(), STOP_WITHIN_SECONDS)
        await self._reap(session)

    async def _next_rows(self, session: Tx) -> Sequence[Row]:
        """The rows to send next: all there are or, of more than a batch, urgent cases first."""
        held = self._held_cases()
        if not self._crowded:
            rows = await session.rows(STATEMENTS["outbox_oldest"], self._batch_rows, held)
            if len(rows) < self._batch_rows:
                return rows
        rows = await session.rows(STATEMENTS["outbox_batch"], self._batch_rows, held)
        self._crowded = len(rows) == self._batch_rows
        return rows

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [task for task, _ in self._running.values()]

    def _held_cases(self) -> list[UUID]:
        now = now_seconds(self._world.lease_clock)
        for partition, rest in list(self._resting.items()):
            if rest.until_seconds <= now and partition not in self._running:
                self._waiting_cases.pop(partition, None)
        return [case for cases in self._waiting_cases.values() for case in cases]

    def _is_held(self, partition: Partition) -> bool:
        rest = self._resting.get(partition)
        now = now_seconds(self._world.lease_clock)
        return partition in self._running or (rest is not None and rest.until_seconds > now)

    async def _start(self, rows: Sequence[Row]) -> bool:
        """Starts a pipeline for each partition that is free; the others' cases wait."""
        by_partition: dict[Partition, list[Row]] = {}
        for row in rows:
            by_partition.setdefault(await self._partition(row), []).append(row)
        timestamp_ms = int(self._world.machine_clock.now().timestamp() * 1000)
        started = False
        for partition, its_rows in by_partition.items():
            if self._is_held(partition):
                self._wait_with(partition, its_rows)
                continue
            pipeline = _Pipeline(its_rows, self._world.tracer)
            task = asyncio.create_task(pipeline.run(self._sink, partition, timestamp_ms))
            self._running[partition] = (task, pipeline)
            self._wait_with(partition, its_rows)
            started = True
        return started

    def _wait_with(self, partition: Partition, rows: Sequence[Row]) -> None:
        self._waiting_cases.setdefault(partition, set()).update(row["case_id"] for row in rows)

    async def _partition(self, row: Row) -> Partition:
        topic = row["topic"]
        if topic not in self._counts:
            self._counts[topic] = await self._sink.partitions(topic)
        return Partition(topic, partition_of(row["case_id"], self._counts[topic]))

    async def _wait_for_pipelines(self, *, idle: bool) -> None:
        tasks = self._tasks()
        await settled_within(self._world.waiter, tasks, PATIENCE_SECONDS)
        if idle and not any(task.done() for task in tasks):
            await wait_set(self._world.waiter, self._wake, PATIENCE_SECONDS)

    async def _reap(self, session: Tx) -> None:
        """Deletes what was acknowledged; a failed partition rests and the producer is replaced."""
        sent: list[int] = []
        failed = False
        for partition in [p for p, (task, _) in self._running.items() if task.done()]:
            task, pipeline = self._running.pop(partition)
            task.result()
            self._waiting_cases.pop(partition, None)
            sent += pipeline.acknowledged
            if pipeline.last_offset is not None:
                if pipeline.last_offset < self.produced.get(partition, -1):
                    await self._ask_ends(partition.topic)
                else:
                    self.produced[partition] = pipeline.last_offset
            if pipeline.error is None:
                self._resting.pop(partition, None)
            else:
                failed = True
                self._rest(partition, pipeline)
        if sent:
            deleted = await session.run(STATEMENTS["delete_sent"], sent)
            self.figures.sent += deleted
            await self._clean(session, deleted)
            if deleted != len(sent):
                _LOG.error("outbox_rows_vanished", extra={"missing": len(sent) - deleted})
        if failed:
            await self._replace()

    async def _clean(self, session: Tx, deleted: int) -> None:
        """Gives the room of deleted rows back: autovacuum looks once a minute."""
        self._dead_rows += deleted
        if self._dead_rows >= CLEAN_ROWS:
            self._dead_rows = 0
            await session.run(STATEMENTS["vacuum_outbox"])

    def _rest(self, partition: Partition, pipeline: _Pipeline) -> None:
        before = self._resting.get(partition)
        attempt = 1 if before is None or pipeline.acknowledged else before.attempt + 1
        until = now_seconds(self._world.lease_clock) + self._backoff(attempt)
        self._resting[partition] = _Rest(until, attempt)
        self._wait_with(partition, pipeline.rows)
        self.figures.failed_sends += len(pipeline.rows) - len(pipeline.acknowledged)
        _LOG.warning(
            "send_failed",
            extra={
                "topic": partition.topic,
                "partition": partition.number,
                "error": type(pipeline.error).__name__,
            },
        )

    async def _replace(self) -> None:
        self._suspected = False
        self.figures.producers_replaced += 1
        self.figures.connected = False
        await self._sink.replace()
        self.figures.connected = True

    async def _settle(self) -> None:
        """Waits for what is in flight, so that a new leader's records do not mix with ours."""
        tasks = self._tasks()
        await settled_within(self._world.waiter, tasks, STOP_WITHIN_SECONDS)
        for task in tasks:
            task.cancel()
        self._running.clear()
        self._waiting_cases.clear()

    async def _close(self) -> None:
        try:
            await within(self._world.waiter, STOP_WITHIN_SECONDS, self._sink.close())
        except (BusError, TooLateError) as error:
            _LOG.warning("sink_close_failed", extra={"error": type(error).__name__})
