"""The holder's tables over one transaction: one method, one SQL statement.

A method that locks does nothing else, so that every check stands in a later statement and sees
what was committed before the lock was had (start permit, step 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.contracts.vocabulary import Gate, OnRunning, Service
from shared.permits.clearance import ClearanceVersion
from shared.permits.starts import ReplicatedHold, Scope, Start, StartState
from shared.persistence.database import Tx
from shared.persistence.statements import Statement, load_statements

STATEMENTS: Final[dict[str, Statement]] = dict(load_statements("shared.permits"))


@dataclass(frozen=True, slots=True)
class Replica:
    """What is known here of one hold."""

    epoch: int
    released: bool
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class OpenReplica:
    """An open hold in scope of a start."""

    hold_id: UUID
    clearance: ClearanceVersion
    on_running: OnRunning


@dataclass(frozen=True, slots=True)
class DatabaseIdentity:
    """Which history of which cluster a database belongs to."""

    system_identifier: str
    timeline_id: int


async def lock_fences(tx: Tx, case_ids: Sequence[UUID]) -> None:
    """Ensures and locks the fence rows of these cases, ascending: a holder's lock of its cases.

    Raises `LockTimeoutError` when one of them is busy for longer than the lock time-out.
    """
    rows = HolderRows(tx)
    await rows.ensure_fences(case_ids)
    await rows.lock_fences(case_ids)


class HolderRows:
    """The statements of `queries.sql`, by what they mean."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def ensure_fences(self, case_ids: Sequence[UUID]) -> None:
        """The fence rows exist afterwards: a missing row would lock nothing."""
        await self._tx.run(STATEMENTS["ensure_fences"], sorted(case_ids))

    async def lock_fences(self, case_ids: Sequence[UUID]) -> dict[UUID, ClearanceVersion]:
        """The fences of these cases, locked until the transaction ends."""
        rows = await self._tx.rows(STATEMENTS["lock_fences"], sorted(case_ids))
        return {row["case_id"]: ClearanceVersion(row["epoch"], row["version"]) for row in rows}

    async def raise_fence(self, case_id: UUID, to: ClearanceVersion) -> None:
        """No start with an older permit passes any more; the fence never falls."""
        await self._tx.run(STATEMENTS["raise_fence"], case_id, to.epoch, to.version)

    async def replica(self, hold_id: UUID) -> Replica | None:
        """What is known of this hold, or None."""
        row = await self._tx.row(STATEMENTS["replica_of"], hold_id)
        if row is None:
            return None
        return Replica(row["epoch"], row["status"] == "RELEASED", row["acknowledged"])

    async def put_replica(
        self, hold: ReplicatedHold, *, released: bool, acknowledged: bool
    ) -> None:
        """The hold is known afterwards; within an epoch a release is final."""
        doses = hold.scope.dose_ids
        await self._tx.run(
            STATEMENTS["put_replica"],
            hold.hold_id,
            hold.case_id,
            sorted(hold.scope.gates),
            None if doses is None else sorted(doses),
            hold.clearance.epoch,
            hold.clearance.version,
            hold.on_running.value,
            "RELEASED" if released else "OPEN",
            acknowledged,
        )

    async def release_replica(self, hold_id: UUID, epoch: int) -> bool:
        """Whether the hold was known (in this epoch or an older one); it is released then."""
        return await self._tx.run(STATEMENTS["release_replica"], hold_id, epoch) > 0

    async def drop_older_replicas(self, case_id: UUID, epoch: int) -> None:
        """What older epochs said of the case's holds is forgotten."""
        await self._tx.run(STATEMENTS["drop_older_replicas"], case_id, epoch)

    async def open_replicas(
        self, case_id: UUID, gate: Gate, dose_id: UUID | None
    ) -> list[OpenReplica]:
        """Open holds that cover this gate and dose, newest first."""
        rows = await self._tx.rows(
            STATEMENTS["open_replicas_in_scope"], case_id, gate.value, dose_id
        )
        return [
            OpenReplica(
                row["hold_id"],
                ClearanceVersion(row["epoch"], row["version"]),
                OnRunning(row["on_running"]),
            )
            for row in rows
        ]

    async def starts_in_scope(self, case_id: UUID, scope: Scope) -> list[Start]:
        """Steps under way that the scope covers, oldest first."""
        doses = scope.dose_ids
        rows = await self._tx.rows(
            STATEMENTS["starts_in_scope"],
            case_id,
            sorted(scope.gates),
            None if doses is None else sorted(doses),
        )
        return [Start.of_row(row) for row in rows]

    async def starts_of_subject(self, subject_id: UUID) -> list[Start]:
        """All starts of one subject, by attempt."""
        rows = await self._tx.rows(STATEMENTS["starts_of_subject"], subject_id)
        return [Start.of_row(row) for row in rows]

    async def start(self, start_id: UUID) -> Start | None:
        """The start with this id."""
        row = await self._tx.row(STATEMENTS["start_by_id"], start_id)
        return None if row is None else Start.of_row(row)

    async def start_of_permit(self, permit_id: UUID) -> Start | None:
        """The start on this permit."""
        row = await self._tx.row(STATEMENTS["start_by_permit"], permit_id)
        return None if row is None else Start.of_row(row)

    async def dose_taken_without_permit(
        self, dose_id: UUID, subject_id: UUID, attempt: int
    ) -> bool:
        """Whether an unpermitted start took this dose, elsewhere or at this attempt."""
        found = await self._tx.value(
            STATEMENTS["unpermitted_of_dose"], dose_id, subject_id, attempt
        )
        return found is not None

    async def insert_start(self, start: Start) -> bool:
        """Whether the row is new. Raises `ConstraintError` when attempt or dose is taken."""
        granted, lease = start.granted, start.lease
        return (
            await self._tx.run(
                STATEMENTS["insert_start"],
                start.start_id,
                start.permit_id,
                start.case_id,
                start.gate.value,
                start.subject_id,
                start.attempt,
                start.dose_id,
                None if granted is None else granted.epoch,
                None if granted is None else granted.version,
                None if lease is None else lease.boot_id,
                None if lease is None else lease.sent_ns,
                None if lease is None else lease.ttl_ms,
                start.place,
                start.go_at,
                start.state.value,
                start.unpermitted,
                start.created_at,
            )
            > 0
        )

    async def set_go(self, permit_id: UUID, at: datetime) -> Start | None:
        """The start with its `go_at` written, or None when it is no longer as it was committed."""
        row = await self._tx.row(STATEMENTS["set_go"], permit_id, at)
        return None if row is None else Start.of_row(row)

    async def set_state(
        self, start_id: UUID, state: StartState, reason: str | None, at: datetime
    ) -> Start:
        """The start in its new state."""
        row = await self._tx.row(STATEMENTS["set_start_state"], start_id, state.value, reason, at)
        if row is None:
            raise LookupError(f"start {start_id} is gone")
        return Start.of_row(row)

    async def bind_dose(self, dose_id: UUID, subject_id: UUID) -> None:
        """The dose is bound to somebody afterwards; `subject_of_dose` says to whom."""
        await self._tx.run(STATEMENTS["bind_dose"], dose_id, subject_id)

    async def subject_of_dose(self, dose_id: UUID) -> UUID | None:
        """The subject that the dose is bound to for good."""
        found: UUID | None = await self._tx.value(STATEMENTS["subject_of_dose"], dose_id)
        return found

    async def is_parked(self, consumer: Service, case_id: UUID) -> bool:
        """Whether an event of this case waits here unprocessed."""
        found = await self._tx.value(STATEMENTS["parked_here"], consumer.value, case_id)
        return found is not None

    async def starts_without_go(self, limit: int) -> list[tuple[Start, str | None, int | None]]:
        """Starts that wait for the second look, with the boot and reading of the first sight."""
        rows = await self._tx.rows(STATEMENTS["starts_without_go"], limit)
        return [(Start.of_row(row), row["seen_boot_id"], row["seen_boot_ns"]) for row in rows]

    async def mark_seen(self, start_id: UUID, boot_id: str, now_ns: int) -> None:
        """A row of another boot is counted from now, unless this boot saw it before."""
        await self._tx.run(STATEMENTS["mark_start_seen"], start_id, boot_id, now_ns)

    async def present_identity(self) -> DatabaseIdentity:
        """What the server says it is now."""
        row = await self._tx.row(STATEMENTS["present_identity"])
        if row is None:
            raise LookupError("the server does not tell its timeline")
        return DatabaseIdentity(row["system_identifier"], row["timeline_id"])

    async def known_identity(self) -> DatabaseIdentity | None:
        """What it was when this service last started, as the database remembers."""
        row = await self._tx.row(STATEMENTS["known_identity"])
        return None if row is None else DatabaseIdentity(**row)

    async def keep_identity(self, identity: DatabaseIdentity) -> None:
        """Remembers the identity."""
        await self._tx.run(
            STATEMENTS["keep_identity"], identity.system_identifier, identity.timeline_id
        )
