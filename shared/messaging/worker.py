"""Takes the records of partitions through transactions, and decides on every failure.

Each transaction begins by locking the offset rows of its partitions and comparing them with the
offsets that its records start at; on a difference nothing happens. On this, and on the sequence
kept per stream, rests that effects happen exactly once: it stops zombies, twins and rewinds alike.
Partitions share a transaction as long as all goes well; what fails is decided for each partition.

The one place that decides between retry, wait and park:

- deadlock or serialization failure: the batch again, at once;
- a busy case: the event goes to `early`, the partition goes on;
- store or another service unavailable: this partition waits, with backoff, and goes on in order;
- anything else: records one by one; the one that fails three times alone parks its case.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar
from uuid import UUID

from shared.messaging.batch import Batch, Effects
from shared.messaging.bus import Alarm, AlarmHook, Partition
from shared.messaging.failures import is_transient
from shared.messaging.figures import ConsumerFigures
from shared.messaging.incoming import Incoming, Keyless, Readable, is_safety
from shared.messaging.places import Places
from shared.messaging.plan import Offset
from shared.messaging.reactions import Reactions
from shared.messaging.timing import backoff_seconds, now_seconds
from shared.messaging.unit_of_work import STATEMENTS, UnitOfWork
from shared.persistence.database import (
    CommitUnknownError,
    LockTimeoutError,
    RetryableError,
    StoreUnavailableError,
    Tx,
)

R = TypeVar("R")
Batches = Mapping[Partition, Sequence[Incoming]]
Offsets = Mapping[Partition, int]

#: more gain nothing and hold the cases' locks longer
BATCH_RECORDS: Final = 200
#: commands wait for these locks too
BATCH_SECONDS: Final = 0.05
#: a hold must not wait for the locks of many cases
SAFETY_BATCH_CASES: Final = 50
RETRIES_MAX: Final = 5
#: a bug parks its case, a hiccup does not
ATTEMPTS_BEFORE_PARKING: Final = 3
#: one busy case must not keep the events of all partitions; by itself, its partition waits longer
TOGETHER_LOCK_WAIT: Final = "250ms"
#: alone, a record has waited in its batch already
ALONE_LOCK_WAIT: Final = "100ms"
#: a case that was busy is asked for again by the filler; batches leave it alone this long
BUSY_SECONDS: Final = 1.0


class MovedError(Exception):
    """Somebody else has applied this batch, or its place was moved by hand."""


class FenceBusyError(Exception):
    """Somebody else is in the middle of this partition, or a lost COMMIT of ours still is."""


class Worker(Generic[R]):
    """The transactions of one consumer."""

    def __init__(
        self,
        reactions: Reactions[R],
        unit_of_work: UnitOfWork[R],
        places: Places,
        *,
        figures: ConsumerFigures,
        alarm: AlarmHook,
        early_hint: Callable[[], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._reactions = reactions
        self._unit_of_work = unit_of_work
        self._world = unit_of_work.world
        self._places = places
        self._figures = figures
        self._alarm = alarm
        self._early_hint = early_hint
        self._stopping = stopping
        self._busy_until: dict[UUID, float] = {}
        self._failures: dict[Offset, int] = {}

    async def take_all(self, batches: Batches) -> None:
        """Takes records of several partitions, each batch beginning at its partition's place.

        As long as all goes well they share transactions, since each costs a commit; on any
        failure every partition is taken by itself, and decides for itself.
        """
        left = batches
        while len(left) > 1 and not self._stopping():
            rest = await self._take_together(left)
            if rest is None:
                break
            left = rest
        for partition, items in left.items():
            await self.take(partition, items)

    async def _take_together(self, batches: Batches) -> Batches | None:
        """What is left when some were taken; None when they could not be taken together."""
        if any(partition not in self._places.positions for partition in batches):
            return None
        items = [item for partition in _safety_first(batches) for item in batches[partition]]
        expected = {partition: some[0].record.offset for partition, some in batches.items()}
        try:
            following = await self._commit(expected, bounded(items), TOGETHER_LOCK_WAIT)
        except Exception:  # whatever it was, each partition meets it again and decides
            self._figures.counted["separated"] += 1
            return None
        return _left(batches, following)

    async def take(self, partition: Partition, items: Sequence[Incoming]) -> None:
        """Takes records that begin at the partition's place, as far as they go."""
        while items and partition in self._places.positions and not self._stopping():
            taken = await self._take_some(partition, items)
            if taken == 0:
                return
            items = items[taken:]
        if items:
            self._places.seek_back(partition)

    async def _take_some(self, partition: Partition, items: Sequence[Incoming]) -> int:
        """How many records were done with; 0 when the partition has to wait or read again."""
        chunk = bounded(items)
        try:
            return await self._commit_retrying(partition, chunk)
        except (MovedError, FenceBusyError) as error:
            return self._moved(partition, error)
        except RetryableError:  # a lock that is not free, or a deadlock that stays
            pass
        except Exception as error:
            unreachable = isinstance(error, StoreUnavailableError | CommitUnknownError)
            if unreachable or (is_transient(error) and len(chunk) == 1):
                return self._hold(partition, error)
        self._figures.counted["isolated"] += 1
        return await self._one_by_one(partition, chunk)

    async def _commit_retrying(self, partition: Partition, chunk: Sequence[Incoming]) -> int:
        first = chunk[0].record.offset
        attempt = 0
        while True:
            try:
                following = await self._commit({partition: first}, chunk)
                return _count(chunk, following[partition])
            except LockTimeoutError:
                raise
            except RetryableError:
                attempt += 1
                if attempt > RETRIES_MAX:
                    raise
                self._figures.counted["retried"] += 1
                await self._world.waiter.sleep(
                    backoff_seconds(self._world, attempt, first=0.005, most=0.1)
                )

    async def _commit(
        self, expected: Offsets, chunk: Sequence[Incoming], lock_wait: str | None = None
    ) -> Offsets:
        """Applies the chunk, or as much of it as its time allows, in one transaction.

        Answers where each partition that something was taken from continues.
        """
        began = now_seconds(self._world.lease_clock)
        busy = self._busy_cases()

        async def work(batch: Batch[R]) -> Offsets:
            await batch.open([item for item in chunk if _case(item) not in busy])
            following: dict[Partition, int] = {}
            for item in chunk:
                if _case(item) in busy:
                    await batch.defer(item, "locked")
                else:
                    await batch.take(item)
                following[_partition(item)] = item.record.offset + 1
                if now_seconds(self._world.lease_clock) - began > BATCH_SECONDS:
                    break
            return following

        return await self._transact(expected, work, lock_wait=lock_wait, gathers=True)

    def _busy_cases(self) -> set[UUID | None]:
        """Cases whose lock was not had just now: their events step aside without asking again."""
        now = now_seconds(self._world.lease_clock)
        self._busy_until = {case: t for case, t in self._busy_until.items() if t > now}
        return set(self._busy_until)

    async def _transact(
        self,
        expected: Offsets,
        work: Callable[[Batch[R]], Awaitable[Offsets]],
        *,
        lock_wait: str | None = None,
        gathers: bool = False,
    ) -> Offsets:
        async with self._unit_of_work.database.transaction() as tx:
            await self._fence(tx, expected, lock_wait)
            batch = Batch(self._reactions, self._unit_of_work, tx, gathers=gathers)
            following = await work(batch)
            await batch.close(_columns(following))
        for partition, offset in following.items():
            self._places.advance(partition, offset)
        self._publish(batch.effects)
        return following

    async def _fence(self, tx: Tx, expected: Offsets, lock_wait: str | None) -> None:
        """Locks the places of these partitions, in one order everywhere, and compares them.

        `lock_wait` (None: the session's own) bounds this wait and each later one.
        """
        name = self._reactions.consumer.value
        topics, partitions, _ = _columns(expected)
        try:
            rows = await tx.rows(STATEMENTS["lock_offsets"], name, topics, partitions, lock_wait)
        except LockTimeoutError as error:
            raise FenceBusyError from error
        stored = {Partition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        if stored != expected:
            raise MovedError

    def _publish(self, effects: Effects[R]) -> None:
        self._figures.counted.update(effects.counted)
        for work in effects.works:
            self._unit_of_work.woken(work)
        for alarm in effects.alarms:
            self._alarm(alarm)
        aside = effects.counted["early"] + effects.counted["deferred"]
        self._figures.early_records += aside
        if self._figures.early_records:
            self._early_hint()

    async def _one_by_one(self, partition: Partition, chunk: Sequence[Incoming]) -> int:
        """Each record in a transaction of its own, so that a bad one is alone in failing."""
        done = 0
        for item in chunk:
            if partition not in self._places.positions or self._stopping():
                return done
            try:
                await self._alone(partition, item)
            except (MovedError, FenceBusyError) as error:
                return self._moved(partition, error)
            except Exception as error:
                if not await self._failed_alone(partition, item, error):
                    return 0
            done += 1
        return done

    async def _alone(self, partition: Partition, item: Incoming) -> None:
        async def work(batch: Batch[R]) -> Offsets:
            await batch.open([item])
            await batch.take(item)
            return {partition: item.record.offset + 1}

        expected = {partition: item.record.offset}
        await self._transact(expected, work, lock_wait=ALONE_LOCK_WAIT)
        self._failures.pop(item.record.where, None)

    async def _failed_alone(self, partition: Partition, item: Incoming, error: Exception) -> bool:
        """Whether the record was put aside, so that its partition goes on."""
        if isinstance(error, LockTimeoutError) and not isinstance(item, Keyless):
            self._busy_until[item.case_id] = now_seconds(self._world.lease_clock) + BUSY_SECONDS
            return await self._aside(partition, item, lambda batch: batch.defer(item, "locked"))
        if is_transient(error) or isinstance(error, RetryableError):
            self._hold(partition, error)
            return False
        failures = self._failures.get(item.record.where, 0) + 1
        self._failures[item.record.where] = failures
        if failures < ATTEMPTS_BEFORE_PARKING or isinstance(item, Keyless):
            self._hold(partition, error)
            return False
        del self._failures[item.record.where]
        return await self._park(partition, item, error)

    async def _park(self, partition: Partition, item: Incoming, error: Exception) -> bool:
        reason = f"{type(error).__name__}: {error}"
        if isinstance(item, Readable) and item.place.sequence is None:
            return await self._aside(partition, item, lambda batch: batch.bury(item, reason))

        async def parked(batch: Batch[R], *, safe_half: bool) -> None:
            await batch.open([item])
            await batch.park(item, "handler-failed", reason, safe_half=safe_half)

        try:
            return await self._aside(partition, item, lambda batch: parked(batch, safe_half=True))
        except Exception as second:  # the safe half is broken too: say so, park without it
            self._alarm(Alarm("safe_half_failed", {"error": type(second).__name__}))
        return await self._aside(partition, item, lambda batch: parked(batch, safe_half=False))

    async def _aside(
        self, partition: Partition, item: Incoming, put: Callable[[Batch[R]], Awaitable[None]]
    ) -> bool:
        """Whether the record was put aside. False: the partition waits and tries again.

        Raises what `put` raises, unless it may pass by itself.
        """

        async def work(batch: Batch[R]) -> Offsets:
            await put(batch)
            return {partition: item.record.offset + 1}

        try:
            await self._transact({partition: item.record.offset}, work)
        except (MovedError, FenceBusyError) as error:
            self._moved(partition, error)
            return False
        except Exception as error:
            if not is_transient(error) and not isinstance(error, RetryableError):
                raise
            self._hold(partition, error)
            return False
        return True

    def _moved(self, partition: Partition, error: Exception) -> int:
        self._figures.counted["moved"] += 1
        if isinstance(error, FenceBusyError):
            self._places.hold(partition, error)
        self._places.forget(partition)
        return 0

    def _hold(self, partition: Partition, error: Exception) -> int:
        self._figures.counted["held"] += 1
        self._places.hold(partition, error)
        if isinstance(error, CommitUnknownError):
            self._places.forget(partition)
        return 0


def _case(item: Incoming) -> UUID | None:
    return None if isinstance(item, Keyless) else item.case_id


def _partition(item: Incoming) -> Partition:
    return Partition(item.record.topic, item.record.partition)


def _count(chunk: Sequence[Incoming], following: int) -> int:
    """How many records of the chunk lie before the offset."""
    return sum(item.record.offset < following for item in chunk)


def _columns(offsets: Offsets) -> tuple[list[str], list[int], list[int]]:
    """Topics, numbers and offsets, as the statements take them."""
    topics = [partition.topic for partition in offsets]
    return topics, [partition.number for partition in offsets], list(offsets.values())


def _safety_first(batches: Batches) -> list[Partition]:
    """The partitions, those with a safety event before the others."""
    return sorted(batches, key=lambda partition: not any(map(is_safety, batches[partition])))


def _left(batches: Batches, following: Offsets) -> Batches:
    """What of the batches lies at or after where their partitions continue."""
    rest = {
        partition: items[_count(items, following.get(partition, 0)) :]
        for partition, items in batches.items()
    }
    return {partition: items for partition, items in rest.items() if items}


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
