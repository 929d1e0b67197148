"""Everything that carries events in one process, started and stopped together.

A service gives its reactions and unit of work; it gets a relay, heartbeats, a kernel, a filler and
a tracker. If one of them fails, `run` raises: the process ends with a failure and its supervisor
starts it anew, since a process that half works gives no sign of it.
"""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

from shared.contracts.catalogue import HEARTBEATS, TOPIC_OF
from shared.messaging.bus import AlarmHook, Bus, no_alarm
from shared.messaging.consumer import Kernel
from shared.messaging.early import Filler
from shared.messaging.figures import ConsumerFigures, RelayFigures
from shared.messaging.heartbeats import BEAT_SECONDS, AuditHead, HeartbeatSender
from shared.messaging.partitioning import DEFAULT_PARTITIONS
from shared.messaging.reactions import Reactions
from shared.messaging.redrive import Redrive
from shared.messaging.relay import Relay
from shared.messaging.timing import cancelled, settled_within, wait_set
from shared.messaging.tracker import Tracker
from shared.messaging.unit_of_work import STATEMENTS, UnitOfWork
from shared.messaging.wakes import WakeChannel, Waker
from shared.persistence.database import StoreError

R = TypeVar("R")

#: a stop during a rebalance once took 11.6 s
STOP_WITHIN_SECONDS: Final = 25.0
HOUSEKEEPING_SECONDS: Final = 10.0
PRUNE_SECONDS: Final = 3600.0
INBOX_KEPT: Final = timedelta(days=7)


class Messaging(Generic[R]):
    """The event traffic of one process of a service."""

    def __init__(
        self,
        *,
        reactions: Reactions[R],
        unit_of_work: UnitOfWork[R],
        bus: Bus,
        wakes: WakeChannel | None = None,
        ordinal: int | None = None,
        partitions: int = DEFAULT_PARTITIONS,
        audit_head: AuditHead | None = None,
        alarm: AlarmHook = no_alarm,
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        service = unit_of_work.source
        database, world = unit_of_work.database, unit_of_work.world
        self._unit_of_work = unit_of_work
        self._world = world
        self._wakes = wakes
        self._waker = Waker(wakes, world.waiter) if wakes else None
        self._stopping = asyncio.Event()
        self.relay_figures = RelayFigures()
        self.consumer_figures = ConsumerFigures()
        sink = bus.sink()
        own_topic = TOPIC_OF.get(service)
        self.relay = Relay(
            database=database, sink=sink, world=world, name=service.value,
            topics=frozenset({own_topic} if own_topic else ()), figures=self.relay_figures,
            alarm=alarm,
        )  # fmt: skip
        self.heartbeats = HeartbeatSender(
            source=service, partitions=partitions, database=database, sink=sink, relay=self.relay,
            world=world, audit_head=audit_head, every_seconds=beat_seconds,
        )  # fmt: skip
        group = reactions.consumer.value
        instance = f"{group}-{ordinal}" if ordinal is not None else None
        self.kernel = Kernel(
            reactions, unit_of_work,
            lambda: bus.source(group=group, topics=reactions.topics, instance_id=instance),
            ordinal=ordinal, figures=self.consumer_figures, alarm=alarm,
        )  # fmt: skip
        self.filler = Filler(
            reactions, unit_of_work, figures=self.consumer_figures, hint=self.kernel.early_hint,
            alarm=alarm,
        )  # fmt: skip
        self.tracker = Tracker(
            consumer=reactions.consumer, topics=reactions.topics, database=database,
            tail=bus.tail(HEARTBEATS), kernel=self.kernel, world=world,
            figures=self.consumer_figures, alarm=alarm,
        )  # fmt: skip
        self.redrive = Redrive(reactions, unit_of_work, alarm=alarm)
        unit_of_work.on_commit(self._wake)

    def _wake(self) -> None:
        """The active relay is here, or in another process that must be told."""
        self.relay.wake()
        if self._waker is not None and not self.relay_figures.active:
            self._waker.wake()

    @property
    def ready(self) -> bool:
        """Whether this process consumes, and no stream that it reads is broken."""
        return (
            self.kernel.started.is_set()
            and not self.kernel.broken
            and not self.tracker.broken_streams()
        )

    def stop(self) -> None:
        """Ends `run`: transactions under way are finished, acknowledgements awaited."""
        self._stopping.set()
        for part in (self.kernel, self.filler, self.tracker, self.heartbeats, self.relay):
            part.stop()

    async def run(self) -> None:
        """Carries events until `stop`; never waits for Kafka before it can be stopped.

        Raises what ended a part: `SeatTakenError`, `BusFailedError`, `StalledError` or a bug.
        """
        tasks = [asyncio.ensure_future(part) for part in self._parts()]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self.stop()
            await settled_within(self._world.waiter, tasks, STOP_WITHIN_SECONDS)
            await cancelled(*(task for task in tasks if not task.done()))
            if self._waker is not None:
                await self._waker.close()
        for task in tasks:
            if not task.cancelled() and task.exception() is not None:
                task.result()

    def _parts(self) -> list[Coroutine[Any, Any, None]]:
        parts = [
            self.relay.run(), self.heartbeats.run(), self.kernel.run(), self.filler.run(),
            self.tracker.run(), self._keep_house(),
        ]  # fmt: skip
        return [*parts, self._listen()] if self._wakes else parts

    async def _listen(self) -> None:
        """Ends with `stop`, unlike the channel, which listens until it is cancelled."""
        if self._wakes is None:
            return
        listening = asyncio.ensure_future(self._wakes.listen(self.relay.wake))
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({listening, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if listening.done():
            listening.result()
        await cancelled(listening, stopping)

    async def _keep_house(self) -> None:
        """Counts parked cases for the figures, and forgets inbox ids after a week."""
        name = self.kernel.name
        since_pruned = PRUNE_SECONDS
        while not self._stopping.is_set():
            try:
                async with self._unit_of_work.database.transaction() as tx:
                    count = await tx.value(STATEMENTS["parked_case_count"], name)
                    self.consumer_figures.parked_cases = count
                    if since_pruned >= PRUNE_SECONDS:
                        await tx.run(STATEMENTS["prune_inbox"], name, INBOX_KEPT)
                        since_pruned = 0.0
            except StoreError:
                pass  # the parts that matter say so; the figures stay as they were
            since_pruned += HOUSEKEEPING_SECONDS
            await wait_set(self._world.waiter, self._stopping, HOUSEKEEPING_SECONDS)
