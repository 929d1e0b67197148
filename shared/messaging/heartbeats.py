"""Heartbeats: how a consumer knows that silence means "nothing happened".

The active relay of each source tells every two seconds what it last produced to each partition.
A consumer that has applied that offset has missed nothing up to the time of the beat; a start
permit is only granted on such knowledge. Beats are machine time, never the clinic's clock.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from shared.contracts.catalogue import CATALOGUE_VERSION, HEARTBEATS, TOPIC_OF
from shared.contracts.vocabulary import Service
from shared.messaging.bus import BusError, Outgoing, Partition, RecordSink
from shared.messaging.figures import RelayFigures
from shared.messaging.timing import TooLateError, wait_set, within
from shared.messaging.unit_of_work import STATEMENTS
from shared.messaging.wire import CONTENT_TYPE, SPEC_VERSION, Record
from shared.persistence.database import Database, Row, StoreError, Tx
from shared.ports import World

_LOG = logging.getLogger(__name__)

BEAT_SECONDS: Final = 2.0
BEAT_TYPE: Final = "tandem.heartbeats.beat.v1"
SEND_WITHIN_SECONDS: Final = 5.0
#: clocks of two machines may differ by this much; a beat from further ahead is not believed
CLOCK_SKEW_SECONDS: Final = 5.0


class Heartbeat(BaseModel):
    """What a source says of itself. `last_offsets[n]` is of partition n; -1: nothing yet."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: Service
    epoch: int = Field(ge=0)
    beat_at: AwareDatetime
    last_offsets: tuple[int, ...]
    oldest_unsent_seconds: float = Field(ge=0)
    catalogue_version: int
    audit_head: str | None = None

    @property
    def topic(self) -> str | None:
        """The topic that the source writes to; None for one that writes to none."""
        return TOPIC_OF.get(self.source)


def read_heartbeat(record: Record) -> Heartbeat | None:
    """The heartbeat, or None when the record is none (a newer version's, or garbage)."""
    if record.header("ce_type") != BEAT_TYPE:
        return None
    try:
        return Heartbeat.model_validate_json(record.value or b"")
    except ValidationError:
        return None


class Producing(Protocol):
    """The part of the relay that heartbeats speak of."""

    figures: RelayFigures
    produced: dict[Partition, int]

    def suspect_producer(self) -> None:
        """Asks for a new producer: this one no longer gets records through."""
        ...


AuditHead = Callable[[Tx], Awaitable[str | None]]


class HeartbeatSender:
    """Sends the heartbeats of one source while its relay is the active one."""

    def __init__(
        self,
        *,
        source: Service,
        partitions: int,
        database: Database,
        sink: RecordSink,
        relay: Producing,
        world: World,
        audit_head: AuditHead | None = None,
        every_seconds: float = BEAT_SECONDS,
    ) -> None:
        self._source = source
        self._partitions = partitions
        self._database = database
        self._sink = sink
        self._relay = relay
        self._world = world
        self._audit_head = audit_head
        self._every_seconds = every_seconds
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ends `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Beats until `stop`. A beat that cannot be sent is left out; the next one says more."""
        while not self._stopping.is_set():
            try:
                await self._measure_and_send()
            except (StoreError, BusError, TooLateError) as error:
                _LOG.warning("heartbeat_not_sent", extra={"error": type(error).__name__})
            await wait_set(self._world.waiter, self._stopping, self._every_seconds)

    async def _measure_and_send(self) -> None:
        async with self._database.transaction() as tx:
            state = await tx.row(STATEMENTS["outbox_state"])
            epoch = await tx.value(STATEMENTS["stream_epoch"])
            head = await self._audit_head(tx) if self._audit_head else None
        oldest = float(state["oldest_seconds"]) if state else 0.0
        self._relay.figures.unsent_rows = int(state["unsent_rows"]) if state else 0
        self._relay.figures.oldest_unsent_seconds = oldest
        if not (self._relay.figures.active and self._relay.figures.connected):
            return
        await self._send(self._beat(epoch, oldest, head))

    def _beat(self, epoch: int, oldest: float, head: str | None) -> Heartbeat:
        topic = TOPIC_OF.get(self._source)
        produced = self._relay.produced
        return Heartbeat(
            source=self._source,
            epoch=epoch,
            beat_at=self._world.machine_clock.now(),
            last_offsets=tuple(
                produced.get(Partition(topic, number), -1) for number in range(self._partitions)
            )
            if topic
            else (),
            oldest_unsent_seconds=max(0.0, oldest),
            catalogue_version=CATALOGUE_VERSION,
            audit_head=head,
        )

    async def _send(self, beat: Heartbeat) -> None:
        record = Outgoing(
            partition=Partition(HEARTBEATS, 0),
            key=self._source.value.encode(),
            value=beat.model_dump_json().encode(),
            headers=_headers(beat, self._world.ids.new()),
            timestamp_ms=int(beat.beat_at.timestamp() * 1000),
        )
        try:
            await within(self._world.waiter, SEND_WITHIN_SECONDS, self._answered(record))
        except Exception:
            # its partition takes nothing more: the producer may be stuck on a lost record
            self._relay.suspect_producer()
            raise

    async def _answered(self, record: Outgoing) -> None:
        answer = await self._sink.send(record)
        try:
            await answer
        except Exception as error:
            raise BusError(f"{type(error).__name__}: {error}") from error


def _headers(beat: Heartbeat, beat_id: UUID) -> dict[str, str]:
    return {
        "ce_specversion": SPEC_VERSION,
        "ce_id": str(beat_id),
        "ce_source": f"/tandem/{beat.source.value}",
        "ce_type": BEAT_TYPE,
        "ce_time": beat.beat_at.isoformat().replace("+00:00", "Z"),
        "ce_tandemsafety": "0",
        "content-type": CONTENT_TYPE,
    }


async def stream_is_current(
    tx: Tx,
    consumer: Service,
    source: Service,
    partition: int,
    *,
    now: datetime,
    age_seconds_max: float,
) -> bool:
    """Whether nothing that `source` said about cases of this partition is missing at `consumer`.

    True when the consumer has applied the last produced offset of some heartbeat at most
    `age_seconds_max` old whose oldest unsent event was younger than that. `now` is machine time.
    Records that wait in `early` are not covered: ask `has_early` for the case too.
    """
    found = await tx.value(
        STATEMENTS["stream_is_current"], consumer.value, source.value, partition,
        now - timedelta(seconds=age_seconds_max), now + timedelta(seconds=CLOCK_SKEW_SECONDS),
        age_seconds_max,
    )  # fmt: skip
    return bool(found)


async def has_early(tx: Tx, consumer: Service, case_id: UUID) -> bool:
    """Whether an event about this case waits for its turn, so that its state is not complete."""
    return bool(await tx.value(STATEMENTS["has_early"], consumer.value, case_id))


async def stream_ages(tx: Tx, consumer: Service) -> list[Row]:
    """Per source and partition through when everything is applied; for the page of lag."""
    return list(await tx.rows(STATEMENTS["stream_ages"], consumer.value))
