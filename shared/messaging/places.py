"""Where each partition continues, and which of them wait: the kernel's only memory of the bus.

The database is the authority; this is what was last read from it. Every rebalance clears it, since
aiokafka then forgets positions and pauses also of partitions that stay. A partition without a place
here is not taken from until its place was read again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.messaging.bus import Alarm, AlarmHook, Partition, RecordSource
from shared.messaging.timing import backoff_seconds, now_seconds
from shared.messaging.unit_of_work import STATEMENTS
from shared.persistence.database import Database
from shared.ports import World

_LOG = logging.getLogger(__name__)

HOLD_FIRST_SECONDS: Final = 0.2
HOLD_MOST_SECONDS: Final = 10.0


@dataclass(slots=True)
class _Hold:
    """A partition that waits after a transient failure."""

    resume_at_seconds: float
    attempt: int


class Places:
    """The places of one consumer in one process."""

    def __init__(self, database: Database, world: World, consumer: str, alarm: AlarmHook) -> None:
        self._database = database
        self._world = world
        self._consumer = consumer
        self._alarm = alarm
        self._source: RecordSource | None = None
        #: the offset at which each partition continues
        self.positions: dict[Partition, int] = {}
        self._holds: dict[Partition, _Hold] = {}
        #: partitions whose log lost records that we need; they wait for a person
        self.broken: set[Partition] = set()

    def use(self, source: RecordSource) -> None:
        """From now on the places are those of this member."""
        self._source = source
        self.positions.clear()

    @property
    def _assigned(self) -> frozenset[Partition]:
        return self._source.assignment() if self._source else frozenset()

    def forget_all(self) -> None:
        """A rebalance. Runs inside the client's listener: no await, no I/O."""
        self.positions.clear()

    def forget(self, partition: Partition) -> None:
        """The place may have been moved by somebody else: read it again."""
        self.positions.pop(partition, None)

    def advance(self, partition: Partition, following: int) -> None:
        """A batch was committed. A rebalance may have taken the partition meanwhile."""
        if partition in self.positions:
            self.positions[partition] = following
        self._holds.pop(partition, None)

    def is_held(self, partition: Partition) -> bool:
        """Whether it waits on purpose, so that no progress is expected of it."""
        return partition in self._holds or partition in self.broken

    async def take(self, source: RecordSource) -> None:
        """Seeks every assigned partition without a place to where the database says.

        Raises the errors of the store and `BusUnavailableError`.
        """
        for partition in self._holds.keys() - self._assigned:
            del self._holds[partition]
        fresh = sorted(self._assigned - self.positions.keys() - self.broken)
        if not fresh:
            return
        stored = await self._stored(fresh)
        bounds = await source.bounds(fresh)
        for partition in fresh:
            if partition not in self._assigned:
                continue
            start, end = bounds[partition]
            if start <= stored[partition] <= end:
                self._begin(source, partition, stored[partition])
            else:
                self._break(source, partition, stored[partition], start, end)

    async def _stored(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        found: dict[Partition, int] = {}
        async with self._database.transaction() as tx:
            for partition in partitions:
                await tx.run(STATEMENTS["ensure_offset"], self._consumer, *partition)
                found[partition] = await tx.value(
                    STATEMENTS["read_offset"], self._consumer, *partition
                )
        return found

    def _begin(self, source: RecordSource, partition: Partition, offset: int) -> None:
        source.seek(partition, offset)
        if partition in self._holds:
            source.pause(partition)
        self.positions[partition] = offset

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

    def resume_due(self, source: RecordSource) -> None:
        """Lets partitions go on whose wait is over."""
        now = now_seconds(self._world.lease_clock)
        for partition, hold in self._holds.items():
            if hold.resume_at_seconds <= now and partition in self.positions:
                source.resume(partition)

    def hold(self, partition: Partition, error: BaseException) -> None:
        """This partition alone waits, at its place, with backoff and jitter."""
        before = self._holds.get(partition)
        attempt = before.attempt + 1 if before else 1
        pause = backoff_seconds(
            self._world, attempt, first=HOLD_FIRST_SECONDS, most=HOLD_MOST_SECONDS
        )
        self._holds[partition] = _Hold(now_seconds(self._world.lease_clock) + pause, attempt)
        _LOG.warning("partition_held", extra={"error": type(error).__name__, "attempt": attempt})
        if self._source is not None and partition in self._assigned:
            self._source.pause(partition)
            self.seek_back(partition)

    def seek_back(self, partition: Partition) -> None:
        """The fetch has moved on past records that were not taken."""
        if self._source is not None and partition in self._assigned & self.positions.keys():
            self._source.seek(partition, self.positions[partition])
