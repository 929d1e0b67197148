"""Redrive and skip: the two ways out of parking, each for a named person and with a reason.

The records of a case go in their order, one transaction each, and the case goes on by itself when
none waits any more. Running a redrive twice is running it once: what was applied is known. A dry
run does everything and rolls it back. What cannot go next is refused, never forced.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar
from uuid import UUID

from shared.messaging.batch import Batch
from shared.messaging.bus import AlarmHook, no_alarm
from shared.messaging.failures import is_transient
from shared.messaging.incoming import Keyless, Unreadable, incoming
from shared.messaging.parking import ERROR_CHARACTERS_MAX, tell_unparked
from shared.messaging.plan import Judgement, Todo, judge
from shared.messaging.reactions import Reactions
from shared.messaging.unit_of_work import STATEMENTS, Cause, UnitOfWork, Work
from shared.messaging.wire import record_from_json
from shared.persistence.database import Row, Tx

R = TypeVar("R")

#: one call never runs longer than this many transactions; the next call goes on
RECORDS_MAX: Final = 1_000
CASES_MAX: Final = 500


class Outcome(StrEnum):
    """What became of one record, or why the redrive of its case ended at it."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    SKIPPED = "skipped"
    STILL_UNREADABLE = "still-unreadable"
    GAP = "gap"
    FAILED = "failed"
    NOT_FIRST = "not-first"


SETTLING: Final = frozenset({Outcome.APPLIED, Outcome.DUPLICATE, Outcome.SKIPPED})


@dataclass(frozen=True, slots=True)
class Signature:
    """Who decided, and why. `second` is another person, where two are needed."""

    by: str
    reason: str
    second: str | None = None

    def __post_init__(self) -> None:
        if not self.by or not self.reason.strip():
            raise ValueError("a redrive or skip names a person and a reason")


@dataclass(frozen=True, slots=True)
class Settled:
    """One record of a redrive and what became of it."""

    record_id: int
    outcome: Outcome
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class CaseReport:
    """What a redrive did with one case, in order. `unparked`: nothing of it waits any more."""

    case_id: UUID
    records: tuple[Settled, ...]
    unparked: bool
    dry_run: bool = False


class SecondPersonNeededError(Exception):
    """A safety-relevant event is only given up by two different people."""


class NotParkedError(LookupError):
    """No record with this number waits here."""


class _RolledBack(Exception):
    """Ends a dry run."""


class Redrive(Generic[R]):
    """The operations on parked cases of one consumer."""

    def __init__(
        self,
        reactions: Reactions[R],
        unit_of_work: UnitOfWork[R],
        *,
        alarm: AlarmHook = no_alarm,
    ) -> None:
        self._reactions = reactions
        self._unit_of_work = unit_of_work
        self._alarm = alarm

    @property
    def _name(self) -> str:
        return self._reactions.consumer.value

    async def one(
        self, record_id: int, signature: Signature, *, dry_run: bool = False
    ) -> CaseReport:
        """Redrives one record, which must be the next of its case. Raises `NotParkedError`."""
        case_id = await self._case_of(record_id)
        return await self._run(case_id, signature, dry_run=dry_run, only=record_id, most=1)

    async def case(
        self, case_id: UUID, signature: Signature, *, dry_run: bool = False
    ) -> CaseReport:
        """Redrives a case as far as it goes; stops at the first record that cannot be applied."""
        return await self._run(case_id, signature, dry_run=dry_run)

    async def group(
        self, signature: Signature, *, cause: str | None = None, dry_run: bool = False
    ) -> tuple[CaseReport, ...]:
        """Redrives all cases that were parked for this cause (None: for any)."""
        async with self._unit_of_work.database.transaction() as tx:
            rows = await tx.rows(STATEMENTS["parked_case_ids"], self._name, cause, CASES_MAX)
        return tuple([await self.case(r["case_id"], signature, dry_run=dry_run) for r in rows])

    async def skip(self, record_id: int, signature: Signature) -> CaseReport:
        """Gives up one record, which must be the next of its case; the others stay.

        Raises `SecondPersonNeededError` for a safety-relevant one without a second signature, and
        `NotParkedError`.
        """
        case_id = await self._case_of(record_id)
        done, unparked = await self._step(case_id, signature, only=record_id, skip=True)
        return CaseReport(case_id, (done,) if done else (), unparked)

    async def accept_gap(self, case_id: UUID, signature: Signature) -> CaseReport:
        """Declares what is missing before the next record lost, and redrives the case.

        Always needs two people: an unknown event is given up. Raises `SecondPersonNeededError`.
        """
        _demand_two(signature)
        async with self._unit_of_work.database.transaction() as tx:
            await self._reactions.lock_cases(tx, [case_id])
            row = await tx.row(STATEMENTS["next_parked"], self._name, case_id)
            if row is not None and row["source"] is not None and row["sequence"]:
                await tx.run(
                    STATEMENTS["close_books"], self._name, [], [row["source"]], [case_id],
                    [row["epoch"]], [row["sequence"] - 1], [], [], [],
                )  # fmt: skip
                await self._note(tx, signature, case_id, "gap-accepted", row["id"])
        return await self._run(case_id, signature, dry_run=False)

    async def _case_of(self, record_id: int) -> UUID:
        async with self._unit_of_work.database.transaction() as tx:
            found = await tx.value(STATEMENTS["case_of_parked"], self._name, record_id)
        if not isinstance(found, UUID):
            raise NotParkedError(f"no record {record_id} waits at {self._name}")
        return found

    async def _run(
        self,
        case_id: UUID,
        signature: Signature,
        *,
        dry_run: bool,
        only: int | None = None,
        most: int = RECORDS_MAX,
    ) -> CaseReport:
        if dry_run:
            return await self._rehearse(case_id, signature, only=only, most=most)
        records: list[Settled] = []
        unparked = False
        while len(records) < most and not unparked:
            done, unparked = await self._step(case_id, signature, only=only)
            if done is None:
                break
            records.append(done)
            if done.outcome not in SETTLING:
                break
        return CaseReport(case_id, tuple(records), unparked)

    async def _rehearse(
        self, case_id: UUID, signature: Signature, *, only: int | None, most: int
    ) -> CaseReport:
        """All steps in one transaction that is rolled back."""
        records: list[Settled] = []
        unparked = False
        current: list[Row] = []
        try:
            async with self._unit_of_work.database.transaction() as tx:
                while len(records) < most and not unparked:
                    done, unparked = await self._settle_next(
                        tx, case_id, signature, only=only, seen=current.append
                    )
                    records += [done] if done else []
                    if done is None or done.outcome not in SETTLING:
                        break
                raise _RolledBack
        except _RolledBack:
            pass
        except Exception as error:
            if is_transient(error):
                raise
            records.append(Settled(current[-1]["id"], Outcome.FAILED, _reason(error)))
        return CaseReport(case_id, tuple(records), unparked, dry_run=True)

    async def _step(
        self, case_id: UUID, signature: Signature, *, only: int | None, skip: bool = False
    ) -> tuple[Settled | None, bool]:
        """The next record, in a transaction of its own; a failure is noted on its row."""
        current: list[Row] = []
        batches: list[Batch[R]] = []
        try:
            async with self._unit_of_work.database.transaction() as tx:
                result = await self._settle_next(
                    tx, case_id, signature, only=only, skip=skip, seen=current.append,
                    batches=batches,
                )  # fmt: skip
        except (SecondPersonNeededError, NotParkedError):
            raise
        except Exception as error:
            if is_transient(error) or not current:
                raise
            return await self._blame(current[0]["id"], error), False
        for batch in batches:
            for work in batch.effects.works:
                self._unit_of_work.woken(work)
        return result

    async def _blame(self, record_id: int, error: Exception) -> Settled:
        async with self._unit_of_work.database.transaction() as tx:
            await tx.run(STATEMENTS["blame_parked"], record_id, _reason(error))
        return Settled(record_id, Outcome.FAILED, _reason(error))

    async def _settle_next(
        self,
        tx: Tx,
        case_id: UUID,
        signature: Signature,
        *,
        only: int | None,
        seen: Callable[[Row], None],
        skip: bool = False,
        batches: list[Batch[R]] | None = None,
    ) -> tuple[Settled | None, bool]:
        await self._reactions.lock_cases(tx, [case_id])
        row = await tx.row(STATEMENTS["next_parked"], self._name, case_id)
        if row is None:
            return None, False
        seen(row)
        if only is not None and row["id"] != only:
            return Settled(only, Outcome.NOT_FIRST, f"record {row['id']} goes first"), False
        if skip and row["safety"]:
            _demand_two(signature)
        batch = Batch(self._reactions, self._unit_of_work, tx, waiting=True)
        if batches is not None:
            batches.append(batch)
        done = await (_give_up(batch, row) if skip else _retake(batch, row))
        if done.outcome not in SETTLING:
            return done, False
        unparked = await self._settle(tx, batch, case_id, row, done, signature)
        await batch.close()
        return done, unparked

    async def _settle(
        self,
        tx: Tx,
        batch: Batch[R],
        case_id: UUID,
        row: Row,
        done: Settled,
        signature: Signature,
    ) -> bool:
        """Settles the row, notes it, and unparks the case when nothing waits any more."""
        settled_as = {
            Outcome.APPLIED: "redriven", Outcome.DUPLICATE: "duplicate", Outcome.SKIPPED: "skipped",
        }[done.outcome]  # fmt: skip
        await tx.run(STATEMENTS["settle_parked"], row["id"], settled_as, signature.by)
        unparked = bool(await tx.run(STATEMENTS["unpark_case_if_empty"], self._name, case_id))
        work = self._work(tx, signature, case_id)
        work.note(
            f"parked-record-{settled_as}", case_id, reason=signature.reason, record=row["id"],
            second=signature.second,
        )  # fmt: skip
        if unparked:
            tell_unparked(work, self._reactions.consumer, case_id)
            if self._reactions.on_unparked is not None:
                await self._reactions.on_unparked(work, case_id)
        await batch.flush(work)
        return unparked

    def _work(self, tx: Tx, signature: Signature, case_id: UUID) -> Work[R]:
        correlation = self._unit_of_work.world.ids.new()
        return self._unit_of_work.join(tx, Cause(signature.by, correlation))

    async def _note(
        self, tx: Tx, signature: Signature, case_id: UUID, action: str, record_id: int
    ) -> None:
        work = self._work(tx, signature, case_id)
        work.note(
            action, case_id, reason=signature.reason, record=record_id, second=signature.second
        )
        await work.flush()


async def _retake(batch: Batch[R], row: Row) -> Settled:
    item = incoming(record_from_json(row["record"]))
    if isinstance(item, Keyless | Unreadable):
        return Settled(row["id"], Outcome.STILL_UNREADABLE, item.error)
    await batch.open([item])
    batch.readmit(item.case_id)
    match await batch.take(item):
        case Todo.WAIT:
            return Settled(row["id"], Outcome.GAP, f"sequence {item.place.sequence} is not next")
        case Todo.DROP:
            return Settled(row["id"], Outcome.DUPLICATE)
        case _:
            return Settled(row["id"], Outcome.APPLIED)


async def _give_up(batch: Batch[R], row: Row) -> Settled:
    """Moves the stream past the record, if it is the next one; what is missing before it stays."""
    item = incoming(record_from_json(row["record"]))
    if isinstance(item, Keyless):
        raise TypeError("a record without a case is not parked")
    await batch.open([item])
    place = item.place
    if place is None or place.sequence is None:
        return Settled(row["id"], Outcome.SKIPPED)
    match judge(place, batch.head(place.source, item.case_id)):
        case Judgement.GAP:
            return Settled(row["id"], Outcome.GAP, f"sequence {place.sequence} is not next")
        case Judgement.NEXT:
            batch.pass_over(item.case_id, place)
        case Judgement.DUPLICATE:
            pass
    return Settled(row["id"], Outcome.SKIPPED)


def _demand_two(signature: Signature) -> None:
    if signature.second is None or signature.second == signature.by:
        raise SecondPersonNeededError("this needs the signature of a second person")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS_MAX]


async def parked_cases(
    tx: Tx, consumer: str, *, case_id: UUID | None = None, limit: int = 100
) -> Sequence[Row]:
    """Parked cases, the oldest first.

    case_id, reason, parked_at, records, safety_records, first_id.
    """
    return await tx.rows(STATEMENTS["parked_cases"], consumer, case_id, limit)


async def parked_records(
    tx: Tx, consumer: str, case_id: UUID, *, after: int = 0, limit: int = 100
) -> Sequence[Row]:
    """The waiting records of a case in the order of parking, without their payload."""
    return await tx.rows(STATEMENTS["parked_records"], consumer, case_id, after, limit)


async def parked_counts(tx: Tx, consumer: str) -> Sequence[Row]:
    """Cases and waiting records by cause."""
    return await tx.rows(STATEMENTS["parked_counts"], consumer)


async def is_parked(tx: Tx, consumer: str, case_id: UUID) -> bool:
    """Whether events of the case wait here. Call it with the case locked."""
    return bool(await tx.value(STATEMENTS["is_parked"], consumer, case_id))
