"""Notice that the holder's database was restored or failed over, and start nothing until safe.

Rows that a restore lost cannot mark themselves: a process that went on with permits in its memory
would start twice. So every start checks which history it writes into; a process whose database was
replaced under it ends; and a process that finds another history than the last one waits until all
permits of the past are over and until it has the authority's holds (start permit, step 11).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.contracts.vocabulary import Gate, OnRunning
from shared.messaging.unit_of_work import Cause
from shared.permits.clearance import ClearanceVersion
from shared.permits.holder import Holder
from shared.permits.replicate import apply_hold
from shared.permits.rows import DatabaseIdentity, HolderRows
from shared.permits.starts import ReplicatedHold, Scope
from shared.ports import HttpUnreachableError

R = TypeVar("R")

#: the authority answers with every open hold of every case
SNAPSHOT_TIMEOUT_SECONDS: Final = 30.0
_OK: Final = 200


class DatabaseReplacedError(Exception):
    """The database is another one than at process start: the process must end, and begin anew."""


class _SnapshotHold(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    hold_id: UUID
    case_id: UUID
    epoch: int
    version: int
    gates: frozenset[Gate]
    dose_ids: frozenset[UUID] | None
    on_running: OnRunning


class _Snapshot(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    holds: tuple[_SnapshotHold, ...]


@dataclass(slots=True)
class RestoreGuard:
    """One per process. Until `begin_guard` has run nothing may start."""

    identity: DatabaseIdentity | None = None
    is_replaced: bool = False
    #: after a restore: the lease clock reading at which every permit of the past is over
    safe_from_ns: int | None = None
    has_snapshot: bool = field(default=True)

    @property
    def is_ready(self) -> bool:
        """For the readiness probe: whether starts are possible as far as the database goes."""
        return self.identity is not None and not self.is_replaced and self.safe_from_ns is None

    async def may_start(self, rows: HolderRows) -> bool:
        """Whether this transaction writes into the history that this process began on."""
        if not self.is_ready:
            return False
        self.is_replaced = await rows.present_identity() != self.identity
        return not self.is_replaced


async def begin_guard(holder: Holder[R], guard: RestoreGuard) -> bool:
    """Whether the database was replaced since this service last ran; at process start."""
    async with holder.unit_of_work.begin(_cause(holder)) as work:
        rows = HolderRows(work.tx)
        present, known = await rows.present_identity(), await rows.known_identity()
        if known is None:
            await rows.keep_identity(present)
    guard.identity = present
    if known is None or known == present:
        return False
    guard.has_snapshot = False
    clock, times = holder.world.lease_clock, holder.times
    guard.safe_from_ns = clock.now_ns() + times.recover_window_ns
    return True


async def watch_guard(holder: Holder[R], guard: RestoreGuard) -> None:
    """One step towards readiness after a restore, else a look at the database. For a timer.

    Raises `DatabaseReplacedError`: the process ends with exit code 1 and is started anew.
    """
    async with holder.unit_of_work.begin(_cause(holder)) as work:
        present = await HolderRows(work.tx).present_identity()
    if guard.is_replaced or present != guard.identity:
        guard.is_replaced = True
        raise DatabaseReplacedError(f"{guard.identity} has become {present}")
    if guard.safe_from_ns is None:
        return
    if not guard.has_snapshot:
        guard.has_snapshot = await _take_snapshot(holder)
    if guard.has_snapshot and holder.world.lease_clock.now_ns() >= guard.safe_from_ns:
        async with holder.unit_of_work.begin(_cause(holder)) as work:
            await HolderRows(work.tx).keep_identity(present)
        guard.safe_from_ns = None


async def _take_snapshot(holder: Holder[R]) -> bool:
    """Whether every open hold of the authority is applied here; it has also held what we lost."""
    try:
        answer = await holder.authority.http.call(
            "POST",
            f"{holder.authority.url}/internal/holders/restored",
            body=b"{}",
            headers={"content-type": "application/json"},
            timeout_seconds=SNAPSHOT_TIMEOUT_SECONDS,
        )
        if answer.status != _OK:
            return False
        snapshot = _Snapshot.model_validate_json(answer.body)
    except (HttpUnreachableError, ValidationError):
        return False
    for hold in snapshot.holds:
        async with holder.unit_of_work.begin(_cause(holder)) as work:
            await apply_hold(holder, work, _replicated(hold))
    return True


def _replicated(hold: _SnapshotHold) -> ReplicatedHold:
    return ReplicatedHold(
        hold.hold_id,
        hold.case_id,
        ClearanceVersion(hold.epoch, hold.version),
        Scope(hold.gates, hold.dose_ids),
        hold.on_running,
    )


def _cause(holder: Holder[R]) -> Cause:
    return Cause(f"service:{holder.service.value}", holder.world.ids.new())


def guarded(guard: RestoreGuard) -> Callable[[], Awaitable[bool]]:
    """The guard as a check of the readiness probe."""

    async def is_ready() -> bool:
        return guard.is_ready

    return is_ready
