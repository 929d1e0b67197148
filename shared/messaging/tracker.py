"""The listening side of heartbeats: watermarks, broken streams, and a watchdog over the consumer.

- *Applied through*: per source and partition, stored in the consumer's own database, so that a
  grant can ask for it in its own transaction.
- *Stream broken*: no beat of a source for 15 s; shown on every page.
- *Watchdog*: aiokafka can be alive and consume nothing, without any sign. A partition whose
  position stays over three beats, although its source says that there is more, ends the process.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from shared.contracts.catalogue import OWNER_OF
from shared.contracts.vocabulary import Service
from shared.messaging.bus import (
    Alarm,
    AlarmHook,
    BusUnavailableError,
    Partition,
    RecordTail,
    no_alarm,
)
from shared.messaging.figures import ConsumerFigures
from shared.messaging.heartbeats import BEAT_SECONDS, Heartbeat, read_heartbeat
from shared.messaging.timing import now_seconds, wait_set
from shared.messaging.unit_of_work import STATEMENTS
from shared.persistence.database import Database, StoreError
from shared.ports import World

_LOG = logging.getLogger(__name__)

BROKEN_AFTER_SECONDS: Final = 15.0
STALLED_BEATS: Final = 3
#: beats that come closer together were waiting for us: they say nothing of our consumer
LOOK_EVERY_SECONDS: Final = BEAT_SECONDS / 2
#: beats that are not applied yet; with one every 2 s, those of the last 30 s and some more
BEATS_KEPT: Final = 20
FETCH_SECONDS: Final = 0.5
RECORDS_MAX: Final = 500
RETRY_SECONDS: Final = 1.0


class StalledError(Exception):
    """The consumer is alive but consumes nothing: the process must end and be started anew."""


class Consuming(Protocol):
    """The part of the kernel that the watchdog watches."""

    @property
    def positions(self) -> dict[Partition, int]:
        """Where each partition continues."""
        ...

    def is_held(self, partition: Partition) -> bool:
        """Whether it waits on purpose."""
        ...


@dataclass(slots=True)
class _Watch:
    """How many looks in a row found the partition behind at the same position."""

    position: int
    looks: int = 0


@dataclass(slots=True)
class _Source:
    """What is known of one source."""

    heard_at_seconds: float
    last_beat: Heartbeat | None = None
    looked_at_seconds: float = 0.0
    pending: dict[int, deque[Heartbeat]] = field(default_factory=dict)
    applied_at: dict[int, datetime] = field(default_factory=dict)
    broken: bool = False


class Tracker:
    """Follows the heartbeats of all sources that a consumer reads."""

    def __init__(
        self,
        *,
        consumer: Service,
        topics: frozenset[str],
        database: Database,
        tail: RecordTail,
        kernel: Consuming,
        world: World,
        figures: ConsumerFigures,
        alarm: AlarmHook = no_alarm,
        broken_after_seconds: float = BROKEN_AFTER_SECONDS,
    ) -> None:
        self._consumer = consumer
        self._database = database
        self._tail = tail
        self._kernel = kernel
        self._world = world
        self._figures = figures
        self._alarm = alarm
        self._broken_after_seconds = broken_after_seconds
        now = now_seconds(world.lease_clock)
        self._sources = {OWNER_OF[topic]: _Source(now) for topic in topics}
        self._watches: dict[Partition, _Watch] = {}
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ends `run`."""
        self._stopping.set()

    def broken_streams(self) -> Mapping[Service, float]:
        """Sources that were not heard for too long, with the seconds since their last beat."""
        now = now_seconds(self._world.lease_clock)
        ages = {source: now - known.heard_at_seconds for source, known in self._sources.items()}
        return {s: age for s, age in ages.items() if age > self._broken_after_seconds}

    def last_beat(self, source: Service) -> Heartbeat | None:
        """The newest heartbeat heard of a source."""
        known = self._sources.get(source)
        return known.last_beat if known else None

    async def run(self) -> None:
        """Listens until `stop`. Raises `StalledError`."""
        if not await self._started():
            return
        try:
            while not self._stopping.is_set():
                records = await self._tail.fetch(FETCH_SECONDS, RECORDS_MAX)
                for beat in filter(None, map(read_heartbeat, records)):
                    await self._hear(beat)
                self._look_for_silence()
        finally:
            await self._tail.stop()

    async def _started(self) -> bool:
        while not self._stopping.is_set():
            try:
                await self._tail.start()
            except BusUnavailableError:
                self._look_for_silence()
                await wait_set(self._world.waiter, self._stopping, RETRY_SECONDS)
            else:
                return True
        return False

    async def _hear(self, beat: Heartbeat) -> None:
        known = self._sources.get(beat.source)
        if known is None:
            return
        self._compare(known.last_beat, beat)
        known.heard_at_seconds = now_seconds(self._world.lease_clock)
        known.last_beat = beat
        if known.broken:
            known.broken = False
            self._alarm(Alarm("stream_restored", {"source": beat.source.value}))
        for number in range(len(beat.last_offsets)):
            known.pending.setdefault(number, deque(maxlen=BEATS_KEPT)).append(beat)
        try:
            await self._advance(beat.source, known)
        except StoreError as error:
            _LOG.warning("watermark_not_written", extra={"error": type(error).__name__})
        self._look(known, beat)

    def _look(self, known: _Source, beat: Heartbeat) -> None:
        """Looks for a stall, at most once a beat of our own time.

        A process that was frozen hears all beats of that time at once, before its consumer has had
        a moment to go on: it has not watched, and begins to.
        """
        now = now_seconds(self._world.lease_clock)
        gap = now - known.looked_at_seconds
        if gap < LOOK_EVERY_SECONDS:
            return
        known.looked_at_seconds = now
        if gap > STALLED_BEATS * BEAT_SECONDS:
            self._forget_watches(beat.source)
        self._watch(beat)

    def _forget_watches(self, source: Service) -> None:
        for partition in list(self._watches):
            if OWNER_OF.get(partition.topic) is source:
                del self._watches[partition]

    def _compare(self, before: Heartbeat | None, beat: Heartbeat) -> None:
        """Within an epoch the last offset of a partition only rises, or the broker lost records."""
        if before is None or before.epoch != beat.epoch:
            return
        for number, (old, new) in enumerate(
            zip(before.last_offsets, beat.last_offsets, strict=False)
        ):
            if new < old:
                detail = {"source": beat.source.value, "partition": number, "was": old, "is": new}
                self._alarm(Alarm("broker_lost_records", detail))
                _LOG.error("broker_lost_records", extra=detail)

    async def _advance(self, source: Service, known: _Source) -> None:
        """Stores, per partition, the newest beat that is applied; older ones are forgotten."""
        waiting = [(number, beat) for number, beats in known.pending.items() for beat in beats]
        if not waiting:
            return
        topic = waiting[0][1].topic
        async with self._database.transaction() as tx:
            rows = await tx.rows(
                STATEMENTS["advance_applied_through"], self._consumer.value, source.value, topic,
                [number for number, _ in waiting],
                [beat.beat_at for _, beat in waiting],
                [beat.epoch for _, beat in waiting],
                [beat.last_offsets[number] for number, beat in waiting],
                [beat.oldest_unsent_seconds for _, beat in waiting],
                [beat.catalogue_version for _, beat in waiting],
                [beat.audit_head for _, beat in waiting],
            )  # fmt: skip
        for row in rows:
            known.applied_at[row["partition"]] = row["beat_at"]
            beats = known.pending[row["partition"]]
            while beats and beats[0].beat_at <= row["beat_at"]:
                beats.popleft()
        self._show_lag(source, known)

    def _show_lag(self, source: Service, known: _Source) -> None:
        if known.applied_at and known.last_beat is not None:
            oldest = min(known.applied_at.values())
            age = (self._world.machine_clock.now() - oldest).total_seconds()
            self._figures.lag_seconds[source.value] = max(0.0, age)

    def _watch(self, beat: Heartbeat) -> None:
        for partition, position in list(self._kernel.positions.items()):
            if OWNER_OF.get(partition.topic) is not beat.source:
                continue
            behind = (
                partition.number < len(beat.last_offsets)
                and beat.last_offsets[partition.number] >= position
            )
            if not behind or self._kernel.is_held(partition):
                self._watches.pop(partition, None)
                continue
            watch = self._watches.get(partition)
            if watch is None or watch.position != position:
                self._watches[partition] = _Watch(position)
                continue
            watch.looks += 1
            if watch.looks >= STALLED_BEATS:
                raise StalledError(
                    f"{partition.topic}/{partition.number} stays at {position} although there is "
                    f"more since {STALLED_BEATS} heartbeats"
                )

    def _look_for_silence(self) -> None:
        broken = self.broken_streams()
        for source, known in self._sources.items():
            if source in broken and not known.broken:
                known.broken = True
                detail = {"source": source.value, "seconds": int(broken[source])}
                self._alarm(Alarm("stream_broken", detail))
