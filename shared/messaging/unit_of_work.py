"""One transaction = state change + audit + outbox rows (+ inbox mark, when a consumer runs it).

Application code works inside `UnitOfWork.begin`, emits through `Work.emit` and never commits.
Invariants kept here: an event leaves only with the change it tells of (I6), and a case's sequence
is its commit order, because the case row is locked before the outbox insert (I7).
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from shared import audit
from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.event import Envelope, Event, derived_id
from shared.contracts.vocabulary import Lane, Service
from shared.messaging.wire import event_headers, event_payload
from shared.persistence.database import Database, Tx
from shared.persistence.statements import load_statements
from shared.ports import World

R = TypeVar("R")

STATEMENTS: Final = load_statements("shared.messaging")
LANE_NUMBER: Final = {Lane.SAFETY: 0, Lane.NORMAL: 1, Lane.BULK: 2}


@dataclass(frozen=True, slots=True)
class Cause:
    """Why this work is done: who asked, or which event led here.

    `actor` is the subject of the token, or `service:<name>`; it goes to the audit, never to Kafka.
    """

    actor: str
    correlation_id: UUID
    causation_id: UUID | None = None
    traceparent: str | None = None
    roles: frozenset[str] = frozenset()

    @classmethod
    def of_event(cls, envelope: Envelope[Event], consumer: Service) -> "Cause":
        """The cause of what a consumer does because of an event."""
        return cls(
            actor=f"service:{consumer.value}",
            correlation_id=envelope.correlation_id,
            causation_id=envelope.id,
            traceparent=envelope.traceparent,
        )


@dataclass(frozen=True, slots=True)
class AuditNote:
    """What `Work.note` was told, until the transaction writes it."""

    action: str
    case_id: UUID | None
    reason: str | None
    detail: dict[str, audit.Value]


@dataclass(slots=True)
class Work(Generic[R]):
    """What a use case may do inside its transaction.

    `rows` is the service's own repository over this transaction; `tx` is for the shared adapters
    (permits, audit, idempotency).
    """

    rows: R
    tx: Tx
    world: World
    source: Service
    cause: Cause
    bulk: bool = False
    emitted: list[tuple[UUID, Event]] = field(default_factory=list)
    #: what was written to the outbox, for those who count after the commit
    told: list[Event] = field(default_factory=list)
    after_commit: list[Callable[[], None]] = field(default_factory=list)
    noted: list[AuditNote] = field(default_factory=list)

    def note(self, action: str, case_id: UUID | None, **detail: audit.Value) -> None:
        """Adds an entry to the audit, written when this transaction commits.

        `action` is the change in the past tense (`hold-recorded`); `detail` holds ids, codes and
        numbers, and as `reason` the acting person's words. `case_id` None: the service's chain.
        """
        reason = detail.pop("reason", None)
        words = None if reason is None else str(reason)
        self.noted.append(AuditNote(action, case_id, words, detail))

    def emit(self, event: Event, *, kind: str | None = None) -> UUID:
        """The id of the event, which leaves when this transaction commits, in order of emission.

        With `kind`, the id is derived from the causing event and `kind`, so that a redelivery of
        the cause yields the same id; several events of one type from one cause need distinct kinds.
        Raises ValueError for an event that another service owns.
        """
        if event.owner is not self.source:
            raise ValueError(f"{self.source.value} does not own {event.type}")
        cause = self.cause.causation_id
        derived = kind is not None and cause is not None
        event_id = derived_id(cause, f"{event.type}:{kind}") if derived else self.world.ids.new()  # type: ignore[arg-type]
        self.emitted.append((event_id, event))
        return event_id

    async def flush(self) -> None:
        """Writes the outbox rows, then the audit. The shell calls it once, after the use case."""
        await write_outbox(self.tx, self.packed())
        await self.flush_notes()

    async def flush_notes(self) -> None:
        """Writes the audit."""
        notes, self.noted = self.noted, []
        for note in notes:
            await self._record(note)

    def packed(self) -> "list[OutboxRow]":
        """What was emitted, as rows for the outbox; the caller writes them in this transaction."""
        pending, self.emitted = self.emitted, []
        self.told += [event for _, event in pending]
        return [self._packed(event_id, event) for event_id, event in pending]

    async def _record(self, note: AuditNote) -> None:
        detail = {"correlation_id": str(self.cause.correlation_id), **note.detail}
        await audit.append(
            self.tx, note.case_id, note.action, self.cause.actor, note.reason, detail,
            self.world.machine_clock.now(),
        )  # fmt: skip

    def _packed(self, event_id: UUID, event: Event) -> "OutboxRow":
        lane = Lane.BULK if self.bulk and event.lane is Lane.NORMAL else event.lane
        span = self.world.tracer.begin(
            f"emit {event.type}", "producer", parent=self.cause.traceparent
        )
        headers = event_headers(
            event,
            event_id=event_id,
            time=self.world.clock.now(),
            correlation_id=self.cause.correlation_id,
            causation_id=self.cause.causation_id,
            traceparent=span.traceparent,
        )
        span.end(attributes={"messaging.message.id": str(event_id)})
        return OutboxRow(
            event.case_id, event_id, TOPIC_OF[self.source], LANE_NUMBER[lane], headers,
            event_payload(event), not event.sequenced,
        )  # fmt: skip


class OutboxRow(NamedTuple):
    """One event on its way, in the order of the emit statement's parameters."""

    case_id: UUID
    event_id: UUID
    topic: str
    lane: int
    headers: dict[str, str]
    payload: bytes
    unsequenced: bool


async def write_outbox(tx: Tx, rows: Sequence[OutboxRow]) -> None:
    """Gives the rows their sequences and puts them into the outbox, in their order.

    The cases are locked by the caller.
    """
    if len(rows) == 1:
        await tx.run(STATEMENTS["emit"], *rows[0])
    elif rows:
        await tx.run(STATEMENTS["emit_all"], *zip(*rows, strict=True))


class UnitOfWork(Generic[R]):
    """Opens transactions of one service. `wake` tells the relay that rows were committed."""

    def __init__(
        self,
        *,
        database: Database,
        repository: Callable[[Tx], R],
        source: Service,
        world: World,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.database = database
        self.repository = repository
        self.source = source
        self.world = world
        self._wake = wake
        self._count: Callable[[Event], None] | None = None

    def on_commit(self, wake: Callable[[], None]) -> None:
        """From now on `wake` is called after each commit (the relay exists only later)."""
        self._wake = wake

    def on_event(self, count: Callable[[Event], None]) -> None:
        """From now on `count` is called with each event after its commit."""
        self._count = count

    def join(self, tx: Tx, cause: Cause, *, bulk: bool = False) -> Work[R]:
        """A work inside a transaction that somebody else (the consumer kernel) commits."""
        return Work(self.repository(tx), tx, self.world, self.source, cause, bulk)

    def woken(self, work: Work[R]) -> None:
        """Tells the relay of events, counts them, and runs what waited for the commit."""
        if work.told:
            self._wake()
        if self._count is not None:
            for event in work.told:
                self._count(event)
        for callback in work.after_commit:
            callback()

    @asynccontextmanager
    async def begin(
        self,
        cause: Cause,
        *,
        urgent: bool = False,
        bulk: bool = False,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Work[R]]:
        """A work whose transaction commits at the end of the block.

        Raises the errors of `shared.persistence.database`; then nothing was sent and nothing
        changed (but for `CommitUnknownError`).
        """
        async with self.database.transaction(urgent=urgent, timeout_seconds=timeout_seconds) as tx:
            work = self.join(tx, cause, bulk=bulk)
            yield work
            await work.flush()
        self.woken(work)
