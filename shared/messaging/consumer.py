"""The consumer kernel: the one loop through which every event of every service goes.

The next offset of each partition stands in the consumer's own database. Every transaction begins by
locking that row and comparing it with the offset that its batch starts at; on a difference nothing
happens. On this rests that effects happen exactly once: it stops zombies, twins and rewinds alike.
Kafka's own offsets are shown to tools and never read.

The one place that decides between retry, wait and park:

- deadlock or serialization failure: the batch again, at once;
- a busy case: the event goes to `early`, the partition goes on;
- store or another service unavailable: this partition waits, with backoff, and goes on in order;
- anything else: records one by one; the one that fails thrice alone parks its case;
- an error of the bus client: the process ends, since a half-dead consumer gives no sign.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from uuid import UUID

from shared.messaging.batch import Batch, Effects
from shared.messaging.bus import (
    Alarm,
    AlarmHook,
    BusUnavailableError,
    Partition,
    RecordSource,
    no_alarm,
)
from shared.messaging.failures import is_transient
from shared.messaging.figures import ConsumerFigures
from shared.messaging.incoming import Incoming, Keyless, Readable, incoming, is_safety
from shared.messaging.reactions import Reactions
from shared.messaging.seat import Seat
from shared.messaging.timing import (
    TooLateError,
    backoff_seconds,
    cancelled,
    now_seconds,
    wait_set,
    within,
)
from shared.messaging.unit_of_work import STATEMENTS, UnitOfWork
from shared.messaging.wire import Record
from shared.persistence.database import (
    CommitUnknownError,
    LockTimeoutError,
    RetryableError,
    StoreError,
    StoreUnavailableError,
    Tx,
)

R = TypeVar("R")

_LOG = logging.getLogger(__name__)

#: more gain nothing and hold the cases' locks longer
BATCH_RECORDS: Final = 200
#: commands wait for these locks too
BATCH_SECONDS: Final = 0.05
#: a hold must not wait for the locks of many cases
SAFETY_BATCH_CASES: Final = 50
FETCH_SECONDS: Final = 0.1
RETRIES_MAX: Final = 5
#: a bug parks its case, a hiccup does not
ATTEMPTS_BEFORE_PARKING: Final = 3
HOLD_FIRST_SECONDS: Final = 0.2
HOLD_MOST_SECONDS: Final = 10.0
START_FIRST_SECONDS: Final = 0.2
START_MOST_SECONDS: Final = 3.0
STOP_WITHIN_SECONDS: Final = 8.0
#: alone, a record has waited in its batch already
ALONE_LOCK_WAIT: Final = "100ms"
#: a case that was busy is asked for again by the filler; batches leave it alone this long
BUSY_SECONDS: Final = 1.0


class MovedError(Exception):
    """Somebody else has applied this batch, or its place was moved by hand."""


@dataclass(slots=True)
class _Hold:
    """A partition that waits after a transient failure."""

    resume_at_seconds: float
    attempt: int


class Kernel(Generic[R]):
    """Runs the reactions of one consumer. One per process and consumer."""

    def __init__(
        self,
        reactions: Reactions[R],
        unit_of_work: UnitOfWork[R],
        source_factory: Callable[[], RecordSource],
        *,
        ordinal: int | None = None,
        figures: ConsumerFigures | None = None,
        alarm: AlarmHook = no_alarm,
    ) -> None:
        self._reactions = reactions
        self._unit_of_work = unit_of_work
        self._database = unit_of_work.database
        self._world = unit_of_work.world
        self._source_factory = source_factory
        self._ordinal = ordinal
        self.figures = figures or ConsumerFigures()
        self._alarm = alarm
        self._stopping = asyncio.Event()
        self._source: RecordSource | None = None
        #: the offset that each partition continues at; a partition without one is not read
        self.positions: dict[Partition, int] = {}
        self._holds: dict[Partition, _Hold] = {}
        self._busy_until: dict[UUID, float] = {}
        self._failures: dict[tuple[str, int, int], int] = {}
        #: partitions whose log lost records that we need; they wait for a person
        self.broken: set[Partition] = set()
        #: set when a record went to `early` or a case moved on: the filler has something to do
        self.early_hint = asyncio.Event()
        self.started = asyncio.Event()

    @property
    def name(self) -> str:
        """The consumer, which is also its group."""
        return self._reactions.consumer.value

    def stop(self) -> None:
        """Ends `run` after the transaction that is under way."""
        self._stopping.set()

    def is_held(self, partition: Partition) -> bool:
        """Whether the partition waits after a failure, so that no progress is expected of it."""
        return partition in self._holds or partition in self.broken

    async def run(self) -> None:
        """Consumes until `stop`.

        Raises `SeatTakenError` when another process has this ordinal, `BusFailedError` when the
        client cannot go on: the process must end with a failure and be started anew.
        """
        attempt = 0
        while not self._stopping.is_set():
            try:
                await self._seated()
            except StoreError as error:  # the seat went with its session: sit down again
                attempt += 1
                _LOG.warning("seat_lost", extra={"error": type(error).__name__})
                await wait_set(self._world.waiter, self._stopping, self._start_pause(attempt))

    async def _seated(self) -> None:
        async with Seat(self._database, self._world, self.name, self._ordinal) as seat:
            source = await self._joined()
            if source is None:
                return
            try:
                await self._loop(source, seat)
            finally:
                self.positions.clear()
                await self._leave(source)

    def _start_pause(self, attempt: int) -> float:
        return backoff_seconds(
            self._world, attempt, first=START_FIRST_SECONDS, most=START_MOST_SECONDS
        )

    async def _joined(self) -> RecordSource | None:
        """A started member, or None when stopped before: the join is raced against the stop."""
        attempt = 0
        while not self._stopping.is_set():
            source = self._source_factory()
            starting = asyncio.ensure_future(source.start(self._on_rebalance))
            stopping = asyncio.ensure_future(self._stopping.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                # a half-joined consumer hangs in stop(); the process ends without it
                await cancelled(starting, stopping)
                return None
            await cancelled(stopping)
            try:
                starting.result()
            except BusUnavailableError as error:
                attempt += 1
                _LOG.warning("consumer_waits_for_kafka", extra={"error": str(error)})
                await wait_set(self._world.waiter, self._stopping, self._start_pause(attempt))
                continue
            return source
        return None

    async def _leave(self, source: RecordSource) -> None:
        try:
            await within(self._world.waiter, STOP_WITHIN_SECONDS, source.stop())
        except TooLateError:
            _LOG.warning("consumer_stop_hung")

    def _on_rebalance(self) -> None:
        """Every rebalance takes all places and pauses, also of partitions that stay."""
        self.positions.clear()

    async def _loop(self, source: RecordSource, seat: Seat) -> None:
        while not self._stopping.is_set():
            await seat.check()
            try:
                await self._take_positions(source)
            except (StoreError, BusUnavailableError) as error:
                _LOG.warning("positions_unknown", extra={"error": type(error).__name__})
                await wait_set(self._world.waiter, self._stopping, START_FIRST_SECONDS)
                continue
            self._resume_due(source)
            found = await source.fetch(FETCH_SECONDS, BATCH_RECORDS)
            for partition, records in found.items():
                await self._take_records(source, partition, records)
            self._show(source)

    async def _take_positions(self, source: RecordSource) -> None:
        """Seeks every assigned partition without a place to where the database says."""
        fresh = sorted(source.assignment() - self.positions.keys() - self.broken)
        for partition in self._holds.keys() - source.assignment():
            del self._holds[partition]
        if not fresh:
            self.started.set()
            return
        places: dict[Partition, int] = {}
        async with self._database.transaction() as tx:
            for partition in fresh:
                await tx.run(STATEMENTS["ensure_offset"], self.name, *partition)
                places[partition] = await tx.value(STATEMENTS["read_offset"], self.name, *partition)
        bounds = await source.bounds(fresh)
        for partition in fresh:
            if partition not in source.assignment():
                continue
            start, end = bounds[partition]
            if not start <= places[partition] <= end:
                self._break(source, partition, places[partition], start, end)
                continue
            source.seek(partition, places[partition])
            if partition in self._holds:
                source.pause(partition)
            self.positions[partition] = places[partition]
        self.started.set()

    def _break(
        self, source: RecordSource, partition: Partition, place: int, start: int, end: int
    ) -> None:
        """The log begins after, or ends before, the place where we are: the broker lost records.

        Reading on would skip them in silence, and seeking back would loop: a person decides.
        """
        source.pause(partition)
        self.broken.add(partition)
        kind = "log_starts_late" if place < start else "log_ends_early"
        detail: dict[str, str | int] = {
            "topic": partition.topic, "partition": partition.number,
            "next": place, "start": start, "end": end,
        }  # fmt: skip
        self._alarm(Alarm(kind, detail))
        _LOG.error(kind, extra=detail)

    def _resume_due(self, source: RecordSource) -> None:
        now = now_seconds(self._world.lease_clock)
        for partition, hold in self._holds.items():
            if hold.resume_at_seconds <= now and partition in self.positions:
                source.resume(partition)

    async def _take_records(
        self, source: RecordSource, partition: Partition, records: Sequence[Record]
    ) -> None:
        if self.positions.get(partition) != records[0].offset:
            # read before a rebalance or a seek: stale
            self.positions.pop(partition, None)
            return
        items = [incoming(record) for record in records]
        while items and partition in self.positions and not self._stopping.is_set():
            taken = await self._take_some(source, partition, items)
            if taken == 0:
                return
            items = items[taken:]
        if items and partition in self.positions:
            self._seek_back(source, partition)

    async def _take_some(
        self, source: RecordSource, partition: Partition, items: Sequence[Incoming]
    ) -> int:
        """How many records were done with; 0 when the partition has to wait or read again."""
        chunk = bounded(items)
        try:
            return await self._commit_retrying(partition, chunk)
        except MovedError:
            return self._moved(partition)
        except (LockTimeoutError, RetryableError):
            pass
        except Exception as error:
            unreachable = isinstance(error, StoreUnavailableError | CommitUnknownError)
            if unreachable or (is_transient(error) and len(chunk) == 1):
                return self._hold(source, partition, error)
        self.figures.counted["isolated"] += 1
        return await self._one_by_one(source, partition, chunk)

    async def _commit_retrying(self, partition: Partition, chunk: Sequence[Incoming]) -> int:
        attempt = 0
        while True:
            try:
                return await self._commit(partition, chunk)
            except LockTimeoutError:
                raise
            except RetryableError:
                attempt += 1
                if attempt > RETRIES_MAX:
                    raise
                self.figures.counted["retried"] += 1
                await self._world.waiter.sleep(
                    backoff_seconds(self._world, attempt, first=0.005, most=0.1)
                )

    async def _commit(self, partition: Partition, chunk: Sequence[Incoming]) -> int:
        """Applies the chunk, or as much of it as its time allows, in one transaction."""
        began = now_seconds(self._world.lease_clock)

        busy = self._busy_cases()

        async def work(batch: Batch[R]) -> int:
            await batch.open([item for item in chunk if _case(item) not in busy])
            for taken, item in enumerate(chunk, start=1):
                if _case(item) in busy:
                    await batch.defer(item, "locked")
                else:
                    await batch.take(item)
                if now_seconds(self._world.lease_clock) - began > BATCH_SECONDS:
                    return taken
            return len(chunk)

        return await self._transact(partition, chunk, work)

    def _busy_cases(self) -> set[UUID | None]:
        """Cases whose lock was not had just now: their events step aside without asking again."""
        now = now_seconds(self._world.lease_clock)
        self._busy_until = {case: t for case, t in self._busy_until.items() if t > now}
        return set(self._busy_until)

    async def _transact(
        self,
        partition: Partition,
        chunk: Sequence[Incoming],
        work: Callable[[Batch[R]], Awaitable[int]],
        *,
        lock_wait: str | None = None,
    ) -> int:
        expected = chunk[0].record.offset
        async with self._database.transaction() as tx:
            await self._fence(tx, partition, expected)
            if lock_wait is not None:
                await tx.value(STATEMENTS["limit_lock_wait"], lock_wait)
            batch = Batch(self._reactions, self._unit_of_work, tx)
            taken = await work(batch)
            await batch.close()
            following = chunk[taken - 1].record.offset + 1
            await tx.run(STATEMENTS["set_offset"], self.name, *partition, following)
        self._committed(partition, following, batch.effects)
        return taken

    async def _fence(self, tx: Tx, partition: Partition, expected: int) -> None:
        try:
            stored = await tx.value(STATEMENTS["lock_offset"], self.name, *partition)
        except LockTimeoutError as error:
            raise MovedError from error  # somebody else is in the middle of this partition
        if stored != expected:
            raise MovedError

    def _committed(self, partition: Partition, following: int, effects: Effects[R]) -> None:
        if partition in self.positions:  # a rebalance may have taken it meanwhile
            self.positions[partition] = following
        self._holds.pop(partition, None)
        self.figures.counted.update(effects.counted)
        for work in effects.works:
            self._unit_of_work.woken(work)
        for alarm in effects.alarms:
            self._alarm(alarm)
        if self.figures.early_records or effects.counted["early"] or effects.counted["deferred"]:
            self.figures.early_records += effects.counted["early"] + effects.counted["deferred"]
            self.early_hint.set()

    async def _one_by_one(
        self, source: RecordSource, partition: Partition, chunk: Sequence[Incoming]
    ) -> int:
        """Each record in a transaction of its own, so that a bad one is alone in failing."""
        done = 0
        for item in chunk:
            if partition not in self.positions or self._stopping.is_set():
                return done
            try:
                await self._alone(partition, item)
            except MovedError:
                return self._moved(partition)
            except Exception as error:
                if not await self._failed_alone(source, partition, item, error):
                    return 0
            done += 1
        return done

    async def _alone(self, partition: Partition, item: Incoming) -> None:
        async def work(batch: Batch[R]) -> int:
            await batch.open([item])
            await batch.take(item)
            return 1

        await self._transact(partition, [item], work, lock_wait=ALONE_LOCK_WAIT)
        self._failures.pop(item.record.where, None)

    async def _failed_alone(
        self, source: RecordSource, partition: Partition, item: Incoming, error: Exception
    ) -> bool:
        """Whether the record was put aside, so that its partition goes on."""
        if isinstance(error, LockTimeoutError) and not isinstance(item, Keyless):
            return await self._aside(
                source, partition, item, lambda batch: batch.defer(item, "locked")
            )
        if is_transient(error) or isinstance(error, RetryableError):
            self._hold(source, partition, error)
            return False
        failures = self._failures[item.record.where] = self._failures.get(item.record.where, 0) + 1
        if failures < ATTEMPTS_BEFORE_PARKING or isinstance(item, Keyless):
            self._hold(source, partition, error)
            return False
        del self._failures[item.record.where]
        return await self._park(source, partition, item, error)

    async def _park(
        self, source: RecordSource, partition: Partition, item: Incoming, error: Exception
    ) -> bool:
        reason = f"{type(error).__name__}: {error}"
        if isinstance(item, Readable) and item.place.sequence is None:
            return await self._aside(source, partition, item, lambda b: b.bury(item, reason))

        async def parked(batch: Batch[R], *, safe_half: bool) -> None:
            await batch.open([item])
            await batch.park(item, "handler-failed", reason, safe_half=safe_half)

        try:
            return await self._aside(
                source, partition, item, lambda batch: parked(batch, safe_half=True), rethrow=True
            )
        except Exception as second:
            self._alarm(Alarm("safe_half_failed", {"error": type(second).__name__}))
        return await self._aside(
            source, partition, item, lambda batch: parked(batch, safe_half=False)
        )

    async def _aside(
        self,
        source: RecordSource,
        partition: Partition,
        item: Incoming,
        put: Callable[[Batch[R]], Awaitable[None]],
        *,
        rethrow: bool = False,
    ) -> bool:
        async def work(batch: Batch[R]) -> int:
            await put(batch)
            return 1

        try:
            await self._transact(partition, [item], work)
        except MovedError:
            self._moved(partition)
            return False
        except Exception as error:
            if rethrow and not is_transient(error):
                raise
            self._hold(source, partition, error)
            return False
        return True

    def _moved(self, partition: Partition) -> int:
        self.figures.counted["moved"] += 1
        self.positions.pop(partition, None)
        return 0

    def _hold(self, source: RecordSource, partition: Partition, error: Exception) -> int:
        """This partition alone waits; its position is kept, and asked for again if unknown."""
        before = self._holds.get(partition)
        attempt = before.attempt + 1 if before else 1
        pause = backoff_seconds(
            self._world, attempt, first=HOLD_FIRST_SECONDS, most=HOLD_MOST_SECONDS
        )
        self._holds[partition] = _Hold(now_seconds(self._world.lease_clock) + pause, attempt)
        self.figures.counted["held"] += 1
        _LOG.warning("partition_held", extra={"error": type(error).__name__, "attempt": attempt})
        if partition in self.positions and partition in source.assignment():
            source.pause(partition)
            self._seek_back(source, partition)
        if isinstance(error, CommitUnknownError):
            self.positions.pop(partition, None)
        return 0

    def _seek_back(self, source: RecordSource, partition: Partition) -> None:
        """The fetch has moved on past records that were not taken."""
        if partition in source.assignment():
            source.seek(partition, self.positions[partition])

    def _show(self, source: RecordSource) -> None:
        self.figures.assigned = len(self.positions)
        for partition, position in self.positions.items():
            end = source.end(partition)
            if end is not None:
                label = f"{partition.topic}/{partition.number}"
                self.figures.lag_events[label] = max(0, end - position)
        source.report(dict(self.positions))


def _case(item: Incoming) -> UUID | None:
    return None if isinstance(item, Keyless) else item.case_id


def bounded(items: Sequence[Incoming]) -> Sequence[Incoming]:
    """The longest prefix that one transaction may take (at least one record)."""
    cases = set()
    safety = False
    for count, item in enumerate(items[:BATCH_RECORDS]):
        if not isinstance(item, Keyless):
            cases.add(item.case_id)
        safety = safety or is_safety(item)
        if safety and len(cases) > SAFETY_BATCH_CASES and count > 0:
            return items[:count]
    return items[:BATCH_RECORDS]
