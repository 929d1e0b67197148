"""One transaction of a consumer: cases locked, books read, records taken in order, books closed.

Used by the kernel (records from the bus), the filler (records that came early) and the redrive
(parked records), so that all three judge and apply alike. Everything here is undone when the
transaction is: counts, callbacks and alarms are only published by the caller after COMMIT.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import Final, Generic, TypeVar, assert_never
from uuid import UUID, uuid5

from shared.contracts.vocabulary import Service
from shared.messaging.bus import Alarm
from shared.messaging.incoming import (
    AboutCase,
    Incoming,
    Keyless,
    Readable,
    StreamPlace,
    Unreadable,
)
from shared.messaging.parking import bury, park, queue_behind
from shared.messaging.plan import Books, Planner, Todo
from shared.messaging.reactions import BulkReaction, Reaction, Reactions
from shared.messaging.unit_of_work import (
    STATEMENTS,
    Cause,
    OutboxRow,
    UnitOfWork,
    Work,
    write_outbox,
)
from shared.messaging.wire import record_to_json
from shared.observability.tracing import spanned
from shared.persistence.database import Tx

R = TypeVar("R")
#: topics, partitions, offsets: of the same length
OffsetColumns = tuple[Sequence[str], Sequence[int], Sequence[int]]

_COUNTED: Final = {
    Todo.APPLY: "applied",
    Todo.PASS: "skipped",
    Todo.DROP: "duplicates",
    Todo.WAIT: "early",
    Todo.PARK: "parked",
    Todo.QUEUE: "behind",
    Todo.BURY: "dead",
}


@dataclass(slots=True)
class Effects(Generic[R]):
    """What to publish once the transaction has committed."""

    counted: Counter[str] = field(default_factory=Counter)
    works: list[Work[R]] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)


class Batch(Generic[R]):
    """The work of one consumer inside one transaction.

    `waiting`: the records come from where they waited, so those that must go on waiting are left.
    `gathers`: bulk reactions are given many events; else each gets its event when it is taken.
    """

    def __init__(
        self,
        reactions: Reactions[R],
        unit_of_work: UnitOfWork[R],
        tx: Tx,
        *,
        waiting: bool = False,
        gathers: bool = False,
    ) -> None:
        self._reactions = reactions
        self._unit_of_work = unit_of_work
        self._tx = tx
        self._waiting = waiting
        self._gathers = gathers
        self._gathered: list[tuple[BulkReaction[R], Readable]] = []
        self._books = Books()
        self._planner = Planner(self._books)
        self._heads_before: dict[tuple[Service, UUID], tuple[int, int]] = {}
        self._applied_ids: list[UUID] = []
        self._outgoing: list[OutboxRow] = []
        self._closed = False
        self.effects: Effects[R] = Effects()

    @property
    def consumer(self) -> Service:
        """Whose batch this is."""
        return self._reactions.consumer

    async def open(self, items: Sequence[Incoming]) -> None:
        """Locks the cases of these records, then reads what is known of them.

        The locks come in statements of their own: what is read afterwards is what the last owner
        of the lock committed. Raises `LockTimeoutError` when a case is busy.
        """
        about = [item for item in items if not isinstance(item, Keyless)]
        cases = sorted({item.case_id for item in about})
        if not cases:
            return
        await self._reactions.lock_cases(self._tx, cases)
        ids = [item.envelope.id for item in about if isinstance(item, Readable)]
        bad = [item.record.where for item in about if isinstance(item, Unreadable)]
        topics, partitions, offsets = zip(*bad, strict=True) if bad else ((), (), ())
        rows = await self._tx.rows(
            STATEMENTS["read_books"], self.consumer.value, cases, ids, topics, partitions, offsets
        )
        for row in rows:
            match row["kind"]:
                case "parked":
                    self._books.parked.add(row["case_id"])
                case "head":
                    key = (Service(row["source"]), row["case_id"])
                    self._books.heads[key] = (row["epoch"], row["sequence"])
                case "known":
                    self._books.known_ids.add(row["event_id"])
                case _:
                    self._books.parked_before.add((row["topic"], row["partition"], row["offset"]))
        self._heads_before = dict(self._books.heads)

    async def take(self, item: Incoming) -> Todo:
        """Plans the record and does what was planned."""
        step = self._planner.plan(item)
        match step.todo:
            case Todo.APPLY:
                await self._apply(item)
            case Todo.PASS | Todo.DROP:
                self._remember(item, step.todo)
            case Todo.WAIT:
                if not self._waiting:
                    await self.defer(item, "gap")
            case Todo.PARK:
                await self.park(item)
            case Todo.QUEUE:
                await self._queue(item)
            case Todo.BURY:
                await self.bury(item, item.error if isinstance(item, Keyless) else "")
            case _:
                assert_never(step.todo)
        if step.todo is not Todo.PARK and step.todo is not Todo.WAIT:
            self.effects.counted[_COUNTED[step.todo]] += 1
        return step.todo

    async def close(self, offsets: OffsetColumns = ((), (), ())) -> None:
        """Writes what was gathered and emitted, then the books.

        The books are the ids of what was applied and, per stream, how far it was applied.
        `offsets`: topics, partitions and, of each, the offset where this consumer reads on.
        """
        await self._settle()
        self._closed = True
        await write_outbox(self._tx, self._outgoing)
        changed = [
            (source.value, case_id, *head)
            for (source, case_id), head in self._books.heads.items()
            if self._heads_before.get((source, case_id)) != head
        ]
        if not changed and not self._applied_ids and not offsets[0]:
            return
        sources, cases, epochs, sequences = zip(*changed, strict=True) if changed else ((),) * 4
        await self._tx.run(
            STATEMENTS["close_books"], self.consumer.value, self._applied_ids,
            sources, cases, epochs, sequences, *offsets,
        )  # fmt: skip

    def head(self, source: Service, case_id: UUID) -> tuple[int, int] | None:
        """Epoch and sequence of the last event applied of this stream."""
        return self._books.heads.get((source, case_id))

    def readmit(self, case_id: UUID) -> None:
        """For a redrive: the case is parked, and its next record is taken all the same."""
        self._books.parked.discard(case_id)

    def pass_over(self, case_id: UUID, place: StreamPlace) -> None:
        """Counts a given-up event as if it were applied; the caller has judged that it is next."""
        self._books.heads[place.source, case_id] = (place.epoch, place.sequence or 0)

    async def _apply(self, item: Incoming) -> None:
        if not isinstance(item, Readable):
            raise TypeError("only a readable event can be applied")
        bulk = self._reactions.bulk.get(item.event_type)
        handler = self._reactions.handlers.get(item.event_type)
        if bulk is not None:
            self._gathered.append((bulk, item))
            if not self._gathers:
                await self._settle()
        elif handler is not None:
            await self._settle()
            await self._handle(item, handler)
        self._applied_ids.append(item.envelope.id)

    async def _handle(self, item: Readable, handler: Reaction[R]) -> None:
        with spanned(
            self._unit_of_work.world.tracer, f"handle {item.event_type.type}", "consumer",
            parent=item.envelope.traceparent,
        ) as span:  # fmt: skip
            work = self.work_for(item)
            work.cause = replace(work.cause, traceparent=span.traceparent)
            await handler(work, item.envelope)
            await self.flush(work)

    async def _settle(self) -> None:
        """Gives what was gathered to its reactions, before anything that comes after it."""
        gathered, self._gathered = self._gathered, []
        for reaction, group in groupby(gathered, key=itemgetter(0)):
            items = [item for _, item in group]
            work = self.work_for(items[0])
            await reaction(work, [item.envelope for item in items])
            if work.emitted or work.noted:
                raise TypeError("a bulk reaction has no cause of its own to emit or note with")
            await self.flush(work)

    def _remember(self, item: Incoming, todo: Todo) -> None:
        if todo is Todo.PASS and isinstance(item, Readable):
            self._applied_ids.append(item.envelope.id)

    async def defer(self, item: Incoming, reason: str) -> None:
        """Puts the record aside until its predecessor comes or its case is free."""
        if isinstance(item, Keyless):
            raise TypeError("a record without a case waits for nothing")
        place: StreamPlace | None = item.place
        await self._tx.run(
            STATEMENTS["add_early"], self.consumer.value, *item.record.where,
            place.source.value if place else None, item.case_id, place.epoch if place else None,
            place.sequence if place else None, record_to_json(item.record), reason,
        )  # fmt: skip
        self.effects.counted["early" if reason == "gap" else "deferred"] += 1

    async def park(
        self, item: Incoming, cause: str | None = None, error: str | None = None,
        *, safe_half: bool = True,
    ) -> None:  # fmt: skip
        """Parks the case because of this record; it and all later ones wait in order."""
        match item:
            case Keyless():
                raise TypeError("a record without a case parks nothing")
            case Unreadable():
                cause, error = cause or item.cause, error or item.error
            case _:
                pass
        await self._settle()
        work = self.work_for(item)
        done = safe_half and await self._safe_half(item, work)
        if await park(work, self._reactions, item, cause or "handler-failed", error, done):
            self.effects.counted["parked"] += 1
            self.effects.alarms.append(
                Alarm("case_parked", {"case_id": str(item.case_id), "cause": cause or ""})
            )
        self._books.parked.add(item.case_id)
        await self.flush(work)

    async def _queue(self, item: Incoming) -> None:
        if isinstance(item, Keyless):
            raise TypeError("a record without a case is behind nothing")
        await self._settle()
        work = self.work_for(item)
        done = await self._safe_half(item, work)
        await queue_behind(work, self.consumer, item, done)
        await self.flush(work)

    async def _safe_half(self, item: AboutCase, work: Work[R]) -> bool:
        """Applies at once what is never held back: the fence of a hold, the alert of a red flag."""
        if not isinstance(item, Readable):
            return False
        half = self._reactions.safe_half.get(item.event_type)
        if half is None:
            return False
        await half(work, item.envelope)
        return True

    async def bury(self, item: Incoming, error: str) -> None:
        """Puts a record that cannot wait in order with the dead letters, and pages operations."""
        if await bury(self._tx, self._unit_of_work.world, self.consumer, item, error):
            topic, partition, offset = item.record.where
            self.effects.alarms.append(
                Alarm("dead_letter", {"topic": topic, "partition": partition, "offset": offset})
            )

    def work_for(self, item: AboutCase) -> Work[R]:
        """A work in this transaction, caused by the record."""
        if isinstance(item, Readable):
            cause = Cause.of_event(item.envelope, self.consumer)
        else:
            # named after the record, so that reading it again leads to the same ids
            name = "{}:{}:{}".format(*item.record.where)
            cause = Cause(
                actor=f"service:{self.consumer.value}", correlation_id=uuid5(item.case_id, name),
                causation_id=uuid5(item.case_id, name),
            )  # fmt: skip
        return self._unit_of_work.join(self._tx, cause)

    async def flush(self, work: Work[R]) -> None:
        """Keeps what the work emitted until the batch is closed; its audit is written at once.

        Raises RuntimeError after `close`, when nobody would write it any more.
        """
        if self._closed:
            raise RuntimeError("the batch is closed: what is emitted now would be lost")
        if work.emitted or work.after_commit:
            self.effects.works.append(work)
        self._outgoing += work.packed()
        await work.flush_notes()
