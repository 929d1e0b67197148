"""The filler: records that came before their predecessor, or found their case locked.

They wait in a table, so that their partition goes on; here each case's are drained in order as soon
as they can be. One whose predecessor does not come within 30 s parks its case: a gap that stays is
an event that was lost or a stream that was forked, and nobody may decide on half a case.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Generic, TypeVar
from uuid import UUID

from shared.messaging.batch import Batch, Effects
from shared.messaging.bus import AlarmHook, no_alarm
from shared.messaging.failures import is_transient
from shared.messaging.figures import ConsumerFigures
from shared.messaging.incoming import Incoming, Keyless, incoming
from shared.messaging.plan import Offset, Todo
from shared.messaging.reactions import Reactions
from shared.messaging.timing import now_seconds, wait_set
from shared.messaging.unit_of_work import STATEMENTS, UnitOfWork
from shared.messaging.wire import record_from_json
from shared.persistence.database import RetryableError, Row, StoreError, Tx

R = TypeVar("R")

_LOG = logging.getLogger(__name__)

RETRY_SECONDS: Final = 0.2
#: rows that a replica left behind when it died are looked for this often
LOOK_SECONDS: Final = 5.0
#: longer than any take-over of the relay; shorter than a person's patience with a silent case
GAP_SECONDS_MAX: Final = 30.0
CASES_MAX: Final = 50
RECORDS_MAX: Final = 200
LOCK_WAIT: Final = "50ms"
ATTEMPTS_BEFORE_PARKING: Final = 3


class Filler(Generic[R]):
    """Drains the early records of one consumer. Safe to run in every replica."""

    def __init__(
        self,
        reactions: Reactions[R],
        unit_of_work: UnitOfWork[R],
        *,
        figures: ConsumerFigures,
        hint: asyncio.Event,
        alarm: AlarmHook = no_alarm,
        gap_seconds_max: float = GAP_SECONDS_MAX,
    ) -> None:
        self._reactions = reactions
        self._unit_of_work = unit_of_work
        self._world = unit_of_work.world
        self._figures = figures
        self._hint = hint
        self._alarm = alarm
        self._gap_seconds_max = gap_seconds_max
        self._failures: dict[Offset, int] = {}
        self._resting: dict[UUID, float] = {}
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ends `run` after the transaction that is under way."""
        self._stopping.set()
        self._hint.set()

    async def run(self) -> None:
        """Drains until `stop`; a lost database only makes it wait."""
        while not self._stopping.is_set():
            self._hint.clear()
            try:
                await self.fill()
            except StoreError as error:
                _LOG.warning("filler_interrupted", extra={"error": type(error).__name__})
            if self._figures.early_records:
                await wait_set(self._world.waiter, self._stopping, RETRY_SECONDS)
            else:
                await wait_set(self._world.waiter, self._hint, LOOK_SECONDS)

    async def fill(self) -> None:
        """One pass over the cases with waiting records."""
        name = self._reactions.consumer.value
        async with self._unit_of_work.database.transaction() as tx:
            self._figures.early_records = await tx.value(STATEMENTS["early_count"], name)
            if not self._figures.early_records:
                return
            rows = await tx.rows(STATEMENTS["early_cases"], name, CASES_MAX)
        now = now_seconds(self._world.lease_clock)
        for row in rows:
            if self._resting.get(row["case_id"], 0.0) <= now and not self._stopping.is_set():
                await self._fill_case(row["case_id"])

    async def _fill_case(self, case_id: UUID) -> None:
        try:
            await self._drain(case_id, only=None)
            self._resting.pop(case_id, None)
        except RetryableError:
            return  # busy: the next pass
        except Exception as error:
            if is_transient(error):
                self._resting[case_id] = now_seconds(self._world.lease_clock) + 1.0
                return
            await self._one_by_one(case_id)

    async def _one_by_one(self, case_id: UUID) -> None:
        """Each record alone, after the case failed as a whole; one that fails thrice parks it."""
        async with self._unit_of_work.database.transaction() as tx:
            records = [
                incoming(record_from_json(row["record"])) for row in await self._rows(tx, case_id)
            ]
        for item in records:
            try:
                await self._drain(case_id, only=item.record.where)
            except RetryableError:
                return
            except Exception as error:
                if not is_transient(error):
                    await self._failed(case_id, item, error)
                return

    async def _failed(self, case_id: UUID, item: Incoming, error: Exception) -> None:
        where = item.record.where
        self._failures[where] = self._failures.get(where, 0) + 1
        if self._failures[where] < ATTEMPTS_BEFORE_PARKING:
            return
        del self._failures[where]
        async with self._unit_of_work.database.transaction() as tx:
            batch = Batch(self._reactions, self._unit_of_work, tx)
            await batch.open([item])
            await batch.park(
                item, "handler-failed", f"{type(error).__name__}: {error}", safe_half=False
            )
            await self._remove(tx, [where])
            await batch.close()
        self._publish(batch.effects)

    async def _rows(self, tx: Tx, case_id: UUID) -> Sequence[Row]:
        name = self._reactions.consumer.value
        return await tx.rows(STATEMENTS["early_of_case"], name, case_id, RECORDS_MAX)

    async def _drain(self, case_id: UUID, *, only: Offset | None) -> None:
        """Takes what can be taken of one case, in one transaction, without waiting for its lock."""
        async with self._unit_of_work.database.transaction() as tx:
            await tx.value(STATEMENTS["limit_lock_wait"], LOCK_WAIT)
            await self._reactions.lock_cases(tx, [case_id])
            rows = await self._rows(tx, case_id)
            ages = {}
            for row in rows:
                item = incoming(record_from_json(row["record"]))
                if only is None or item.record.where == only:
                    ages[item.record.where] = (item, row["age_seconds"])
            batch = Batch(self._reactions, self._unit_of_work, tx, waiting=True)
            await batch.open([item for item, _ in ages.values()])
            await self._take(tx, batch, list(ages.values()))
            await batch.close()
        self._publish(batch.effects)

    async def _take(self, tx: Tx, batch: Batch[R], items: Sequence[tuple[Incoming, float]]) -> None:
        done: list[Offset] = []
        waiting: list[tuple[Incoming, float]] = []
        for item, age in items:
            if await batch.take(item) is Todo.WAIT:
                waiting.append((item, age))
            else:
                done.append(item.record.where)
        overdue = next((i for i, age in waiting if age > self._gap_seconds_max), None)
        if overdue is not None and not isinstance(overdue, Keyless):
            await batch.park(
                overdue, "gap", f"its predecessor did not come in {self._gap_seconds_max:g} s"
            )
            done.append(overdue.record.where)
            for item, _ in waiting:
                if item is not overdue and await batch.take(item) is not Todo.WAIT:
                    done.append(item.record.where)
        if done:
            await self._remove(tx, done)

    async def _remove(self, tx: Tx, places: Sequence[Offset]) -> None:
        topics, partitions, offsets = zip(*places, strict=True)
        name = self._reactions.consumer.value
        await tx.run(STATEMENTS["remove_early"], name, topics, partitions, offsets)

    def _publish(self, effects: Effects[R]) -> None:
        self._figures.counted.update(effects.counted)
        for work in effects.works:
            self._unit_of_work.woken(work)
        for alarm in effects.alarms:
            self._alarm(alarm)
