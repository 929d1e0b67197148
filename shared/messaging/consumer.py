"""The consumer kernel: the one loop through which every event of every service goes.

It owns the member of the consumer group; FastStream never starts one. The next offset of each
partition stands in the consumer's own database (`places.py`), records are taken through
transactions (`worker.py`), and Kafka's own offsets are shown to tools and never read. An error of
the bus client ends `run`, and with it the process: a half-dead consumer gives no sign of it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from shared.messaging.bus import (
    AlarmHook,
    BusUnavailableError,
    Partition,
    RecordSource,
    no_alarm,
)
from shared.messaging.figures import ConsumerFigures
from shared.messaging.incoming import Incoming, incoming
from shared.messaging.places import Places
from shared.messaging.reactions import Reactions
from shared.messaging.seat import Seat
from shared.messaging.timing import (
    Pace,
    TooLateError,
    backoff_seconds,
    cancelled,
    wait_set,
    within,
)
from shared.messaging.unit_of_work import UnitOfWork
from shared.messaging.wire import Record
from shared.messaging.worker import Worker
from shared.persistence.database import StoreError

R = TypeVar("R")

_LOG = logging.getLogger(__name__)

#: bounds how late the loop's other duties may be; records end the wait at once
FETCH_SECONDS: Final = 0.1
#: more than one transaction takes, so that the loop's own work is shared by many records
FETCH_RECORDS: Final = 500
#: records that arrive within so short a time share a transaction
GATHER_SECONDS: Final = 0.008
START_FIRST_SECONDS: Final = 0.2
START_MOST_SECONDS: Final = 3.0
STOP_WITHIN_SECONDS: Final = 8.0


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
        self.name = reactions.consumer.value
        self._database = unit_of_work.database
        self._world = unit_of_work.world
        self._source_factory = source_factory
        self._ordinal = ordinal
        self._stopping = asyncio.Event()
        self.figures = figures or ConsumerFigures()
        #: set when a record waits in `early`: the filler has something to do
        self.early_hint = asyncio.Event()
        #: set when the places of the first assignment are known
        self.started = asyncio.Event()
        self._places = Places(self._database, self._world, self.name, alarm)
        self._worker = Worker(
            reactions, unit_of_work, self._places, figures=self.figures, alarm=alarm,
            early_hint=self.early_hint.set, stopping=self._stopping.is_set,
        )  # fmt: skip

    @property
    def positions(self) -> dict[Partition, int]:
        """The offset at which each partition of this process continues."""
        return self._places.positions

    @property
    def broken(self) -> set[Partition]:
        """Partitions whose log lost records that we need; they wait for a person."""
        return self._places.broken

    def is_held(self, partition: Partition) -> bool:
        """Whether the partition waits on purpose, so that no progress is expected of it."""
        return self._places.is_held(partition)

    def stop(self) -> None:
        """Ends `run` after the transaction that is under way."""
        self._stopping.set()

    async def run(self) -> None:
        """Consumes until `stop`; a lost database only makes it sit down again.

        Raises `SeatTakenError` when another process has this ordinal, `BusFailedError` when the
        client cannot go on: the process must end with a failure and be started anew.
        """
        attempt = 0
        while not self._stopping.is_set():
            try:
                await self._seated()
            except StoreError as error:  # the seat went with its session
                attempt += 1
                _LOG.warning("seat_lost", extra={"error": type(error).__name__})
                await wait_set(self._world.waiter, self._stopping, self._pause(attempt))

    async def _seated(self) -> None:
        async with Seat(self._database, self._world, self.name, self._ordinal) as seat:
            source = await self._joined()
            if source is None:
                return
            self._places.use(source)
            try:
                await self._loop(source, seat)
            finally:
                self._places.forget_all()
                await self._leave(source)

    def _pause(self, attempt: int) -> float:
        return backoff_seconds(
            self._world, attempt, first=START_FIRST_SECONDS, most=START_MOST_SECONDS
        )

    async def _joined(self) -> RecordSource | None:
        """A started member, or None when stopped before: the join is raced against the stop."""
        attempt = 0
        while not self._stopping.is_set():
            source = self._source_factory()
            starting = asyncio.ensure_future(source.start(self._places.forget_all))
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
                await wait_set(self._world.waiter, self._stopping, self._pause(attempt))
                continue
            return source
        return None

    async def _leave(self, source: RecordSource) -> None:
        try:
            await within(self._world.waiter, STOP_WITHIN_SECONDS, source.stop())
        except TooLateError:
            _LOG.warning("consumer_stop_hung")

    async def _loop(self, source: RecordSource, seat: Seat) -> None:
        pace = Pace(self._world, GATHER_SECONDS)
        while not self._stopping.is_set():
            await seat.check()
            try:
                await self._places.take(source)
            except (StoreError, BusUnavailableError) as error:
                _LOG.warning("positions_unknown", extra={"error": type(error).__name__})
                await wait_set(self._world.waiter, self._stopping, START_FIRST_SECONDS)
                continue
            self.started.set()
            self._places.resume_due(source)
            await pace.turn()
            fetched = await source.fetch(FETCH_SECONDS, FETCH_RECORDS)
            await self._worker.take_all(self._decoded(fetched))
            self._show(source)

    def _decoded(
        self, fetched: Mapping[Partition, Sequence[Record]]
    ) -> Mapping[Partition, Sequence[Incoming]]:
        """The records of each partition that begin at its place."""
        batches: dict[Partition, Sequence[Incoming]] = {}
        for partition, records in fetched.items():
            if self.positions.get(partition) == records[0].offset:
                batches[partition] = [incoming(record) for record in records]
            else:  # fetched before a rebalance or a seek: stale
                self._places.forget(partition)
        return batches

    def _show(self, source: RecordSource) -> None:
        self.figures.assigned = len(self.positions)
        for partition, position in self.positions.items():
            end = source.end(partition)
            if end is not None:
                label = f"{partition.topic}/{partition.number}"
                self.figures.lag_events[label] = max(0, end - position)
        source.report(dict(self.positions))
