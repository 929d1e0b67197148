"""What a holder knows: its starts, the authority's holds as replicated, and their scope."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from shared.contracts.coordination import HoldRecorded, OpenHold
from shared.contracts.vocabulary import Gate, OnRunning
from shared.permits.clearance import ClearanceVersion
from shared.permits.times import PermitTimes
from shared.persistence.database import Row
from shared.ports import LeaseClock


class StartState(StrEnum):
    """The life of a start at its holder."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOP_ORDERED = "STOP_ORDERED"
    STOPPED = "STOPPED"
    COMPLETED = "COMPLETED"
    NOT_STARTED = "NOT_STARTED"


#: under way: what a hold may have to stop
UNDER_WAY = frozenset({StartState.RUNNING, StartState.STOP_ORDERED})
#: an attempt that the next one may follow
RESUMABLE = frozenset({StartState.STOPPED, StartState.PAUSED})


@dataclass(frozen=True, slots=True)
class Lease:
    """The life of a permit as its holder counts it: from the sending of the request."""

    boot_id: str
    sent_ns: int
    ttl_ms: int

    def may_commit(self, clock: LeaseClock, times: PermitTimes) -> bool:
        """Whether a start that is committed now still leaves time for its COMMIT."""
        before = times.commit_start_before_ns(self.sent_ns, self.ttl_ms)
        return clock.boot_id == self.boot_id and clock.now_ns() < before

    def may_answer_go(self, clock: LeaseClock, times: PermitTimes) -> bool:
        """Whether GO may be answered at this moment."""
        before = times.answer_go_before_ns(self.sent_ns, self.ttl_ms)
        return clock.boot_id == self.boot_id and clock.now_ns() < before


@dataclass(frozen=True, slots=True)
class Start:
    """One row of `start`. `go_at` None: GO was never answered for it."""

    start_id: UUID
    permit_id: UUID | None
    case_id: UUID
    gate: Gate
    subject_id: UUID
    attempt: int
    dose_id: UUID | None
    granted: ClearanceVersion | None
    lease: Lease | None
    place: str | None
    go_at: datetime | None
    state: StartState
    reason: str | None
    unpermitted: bool
    created_at: datetime

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """The start in a row of the table."""
        granted = lease = None
        if row["permit_id"] is not None:
            granted = ClearanceVersion(row["granted_epoch"], row["granted_version"])
            lease = Lease(row["boot_id"], row["sent_boot_ns"], row["ttl_ms"])
        same = ("start_id", "permit_id", "case_id", "subject_id", "attempt", "dose_id", "place",
                "go_at", "reason", "unpermitted", "created_at")  # fmt: skip
        return cls(
            **{name: row[name] for name in same},
            gate=Gate(row["gate"]),
            state=StartState(row["state"]),
            granted=granted,
            lease=lease,
        )

    def older_than(self, clearance: ClearanceVersion) -> bool:
        """Whether a hold of this version was unknown to the start's permit.

        What started without a permit knew of nothing.
        """
        return self.granted is None or self.granted < clearance


@dataclass(frozen=True, slots=True)
class Scope:
    """What a hold covers: its gates, and all doses or only these."""

    gates: frozenset[Gate]
    dose_ids: frozenset[UUID] | None = None

    def covers(self, gate: Gate, dose_id: UUID | None) -> bool:
        """Whether a permit or start at this gate with this dose is in scope."""
        return gate in self.gates and (self.dose_ids is None or dose_id in self.dose_ids)


@dataclass(frozen=True, slots=True)
class ReplicatedHold:
    """One hold of the authority, as an event or a direct call brought it."""

    hold_id: UUID
    case_id: UUID
    clearance: ClearanceVersion
    scope: Scope
    on_running: OnRunning

    @classmethod
    def of_event(cls, event: HoldRecorded) -> Self:
        """The hold that `hold-recorded` tells of."""
        return cls(
            event.hold_id,
            event.case_id,
            ClearanceVersion(event.epoch, event.version),
            Scope(event.gates, event.dose_ids),
            event.on_running,
        )

    @classmethod
    def of_snapshot(cls, hold: OpenHold, case_id: UUID, epoch: int) -> Self:
        """One open hold of the snapshot that opens an epoch."""
        return cls(
            hold.hold_id,
            case_id,
            ClearanceVersion(epoch, hold.version),
            Scope(hold.gates, hold.dose_ids),
            hold.on_running,
        )


class StartChangeKind(StrEnum):
    """What has become of a start."""

    GO = "go"
    NOT_STARTED = "not_started"
    STOP_ORDERED = "stop_ordered"
    ALREADY_RUNNING = "already_running"
    STOPPED = "stopped"
    PAUSED = "paused"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class StartChange:
    """Told to the service inside the transaction of the change, so that its own rows follow.

    `start` is the row after the change; `was_go` whether GO had been committed before it (a start
    that was never shown is none of the patient's record); `hold_id` the hold that ordered a stop.
    """

    kind: StartChangeKind
    start: Start
    at: datetime
    was_go: bool
    reason: str | None = None
    hold_id: UUID | None = None
