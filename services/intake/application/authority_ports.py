"""What the authority needs from outside: its tables, the record, the streams, people's pagers.

Every method of `AuthorityRows` is one SQL statement, so that a lock is never taken in the statement
that checks (start permit, step 2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, Protocol, TypeVar
from uuid import UUID

from services.intake.domain.holds import Hold, HoldOrder
from services.intake.domain.permits import (
    DecisionSeen,
    Permit,
    PermitRequest,
    ProductSeen,
    Reason,
)
from services.intake.domain.shadow import Advice
from shared.contracts.vocabulary import EffectiveBy, Gate, HoldKind, PermitState, Service
from shared.messaging.unit_of_work import UnitOfWork
from shared.permits.clearance import ClearanceVersion
from shared.permits.times import PermitTimes
from shared.persistence.database import Tx
from shared.ports import World


@dataclass(frozen=True, slots=True)
class MayBeRunning:
    """A step that may be under way although a hold is recorded.

    `until` None: it has begun and its end is not reported; else it may begin until then (machine
    time, as `since`). `place` is the bay to telephone.
    """

    permit_id: UUID | None
    start_id: UUID | None
    gate: Gate
    holder: Service
    subject_id: UUID
    dose_id: UUID | None
    place: str | None
    state: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class SettledHold:
    """A hold that has just become effective."""

    hold_id: UUID
    case_id: UUID


@dataclass(frozen=True, slots=True)
class Recovery:
    """The window after `recover` in which nothing is effective without everybody's word."""

    epoch: int
    boot_id: str
    since_boot_ns: int
    closed: bool


@dataclass(frozen=True, slots=True)
class OverdueHold:
    """A hold whose time is over: what has not come is its acknowledgement, or the stop."""

    hold_id: UUID
    case_id: UUID
    cause: Literal["unacknowledged", "not_stopped"]


@dataclass(frozen=True, slots=True)
class PageDue:
    """One page that somebody must get. `attempts` counts those that reached nobody."""

    page_id: UUID
    case_id: UUID
    hold_id: UUID | None
    cause: str
    attempts: int
    by_mail: bool


class AuthorityRows(Protocol):
    """The authority's tables over one transaction."""

    async def insert_clearance(self, case_id: UUID) -> None:
        """The case's clearance, in the authority's present epoch, inserted with the case."""
        ...

    async def lock_case(self, case_id: UUID) -> ClearanceVersion | None:
        """The clearance of the case, locked until the transaction ends; None: no such case.

        Locks and nothing else: every check belongs to a later statement.
        """
        ...

    async def view(self, case_id: UUID) -> ClearanceVersion:
        """The clearance of the case, without a lock. Raises LookupError for no such case."""
        ...

    async def raise_version(self, case_id: UUID) -> ClearanceVersion:
        """The clearance after its version rose by one."""
        ...

    async def hold(self, hold_id: UUID) -> Hold | None:
        """The hold with this id."""
        ...

    async def open_holds(self, case_id: UUID) -> list[Hold]:
        """The holds that are recorded or effective, oldest first."""
        ...

    async def open_rule_gates(self, case_id: UUID) -> Mapping[tuple[str, str], frozenset[Gate]]:
        """The gates of each open hold by rule, by its rule and episode."""
        ...

    async def open_hold_of(
        self, case_id: UUID, kind: HoldKind, rule: str | None, episode: str
    ) -> Hold | None:
        """The open hold about this rule and episode."""
        ...

    async def insert_hold(
        self,
        order: HoldOrder,
        clearance: ClearanceVersion,
        recorded_at: datetime,
        committed_at: datetime,
    ) -> None:
        """The hold is RECORDED."""
        ...

    async def wait_for_permits(self, order: HoldOrder) -> int:
        """How many GRANTED permits are in the hold's scope; it waits for each."""
        ...

    async def wait_for_holders(self, hold_id: UUID, holders: Sequence[Service]) -> None:
        """The hold waits for any word of each of these holders."""
        ...

    async def settle(self, case_id: UUID, by: EffectiveBy, at: datetime) -> list[SettledHold]:
        """The recorded holds of the case that wait for nothing any more; they are EFFECTIVE."""
        ...

    async def is_own_history(self) -> bool:
        """False when the database was restored or failed over and `recover` has not been run."""
        ...

    async def keep_history(self) -> None:
        """The database's present history is the authority's from now on."""
        ...

    async def recovery(self) -> Recovery | None:
        """The last `recover`, or None when there never was one."""
        ...

    async def acknowledge(
        self, hold_id: UUID, holder: Service, epoch: int, in_flight: str, at: datetime
    ) -> None:
        """The holder's word is on record."""
        ...

    async def stop_waiting_for_holder(self, hold_id: UUID, holder: Service) -> None:
        """The hold no longer waits for anything of this holder."""
        ...

    async def stop_waiting_for_permit(self, permit_id: UUID) -> None:
        """No hold waits for this permit any more."""
        ...

    async def stop_waiting(self, hold_id: UUID) -> None:
        """The hold waits for nothing any more."""
        ...

    async def release_hold(
        self,
        hold_id: UUID,
        releaser: str,
        reason: str | None,
        at: datetime,
    ) -> None:
        """The hold is RELEASED."""
        ...

    async def nobody_was_paged(self, hold_id: UUID) -> bool:
        """Whether a page about this hold has reached nobody so far."""
        ...

    async def may_be_running(self, case_id: UUID) -> list[MayBeRunning]:
        """What may be under way in the case, newest first."""
        ...

    async def permit(self, permit_id: UUID) -> Permit | None:
        """The permit with this id."""
        ...

    async def granted_permits(self, case_id: UUID) -> list[Permit]:
        """The permits of the case that are out."""
        ...

    async def rivals(self, request: PermitRequest) -> list[Permit]:
        """Permits that are out or were used, and that this request would collide with."""
        ...

    async def issue_consumed(self, case_id: UUID, dose_id: UUID) -> bool:
        """Whether the dose was handed out under a permit of this case that was not undone."""
        ...

    async def insert_granted(
        self,
        request: PermitRequest,
        granted: ClearanceVersion,
        boot_id: str,
        now_ns: int,
        ttl_ms: int,
        at: datetime,
        may_start_until: datetime,
    ) -> None:
        """The permit is GRANTED. Raises `ConstraintError` when another one is out."""
        ...

    async def insert_denied(
        self, request: PermitRequest, reasons: Sequence[Reason], at: datetime
    ) -> None:
        """The permit is DENIED, and its id is used up."""
        ...

    async def insert_advice(self, advice: Advice) -> None:
        """The advice is on record. Raises `ConstraintError` for an id that was asked before."""
        ...

    async def insert_outcome(self, permit: Permit, at: datetime) -> None:
        """A permit that the authority does not know is on record with its outcome."""
        ...

    async def set_permit_state(self, permit_id: UUID, state: PermitState, at: datetime) -> None:
        """The permit has this state since `at`; used after its lapse, it may run again."""
        ...

    async def put_unpermitted(self, start: MayBeRunning, case_id: UUID, attempt: int) -> bool:
        """Whether a start without a permit is new; it is on record."""
        ...

    async def end_permit(self, permit_id: UUID, at: datetime) -> None:
        """The step begun under this permit is over."""
        ...

    async def end_subject(self, subject_id: UUID, gate: Gate, at: datetime) -> None:
        """Whatever was begun for this subject at this gate is over."""
        ...

    async def end_start(self, start_id: UUID, at: datetime) -> None:
        """The start without a permit is over."""
        ...

    async def end_lapsed(self, permit_id: UUID, at: datetime) -> None:
        """Nothing was begun under this permit, if it is still LAPSED."""
        ...

    async def take_lapser_lock(self) -> bool:
        """Whether this session is the one lapser for as long as it lives."""
        ...

    async def is_lapse_work_left(self) -> bool:
        """Whether a permit is out or without an end, or a hold waits for anybody's word."""
        ...

    async def permits_out(self, limit: int) -> list[Permit]:
        """Permits that are out in any case, oldest first."""
        ...

    async def mark_seen(self, permit_id: UUID, boot_id: str, now_ns: int) -> None:
        """A permit of another boot is counted from now, unless this boot saw it before."""
        ...

    async def lapsed_without_end(self, limit: int) -> list[tuple[Permit, datetime]]:
        """Lapsed permits on which something may have begun, with the time of the lapse."""
        ...

    async def move_window(self, boot_id: str, now_ns: int) -> None:
        """The window of `recover` counts from now, on this boot."""
        ...

    async def close_window(self) -> None:
        """The window of `recover` is over."""
        ...

    async def cases_waiting_for_anybody(self) -> list[UUID]:
        """Cases with a hold that waits for any word of a holder, ascending."""
        ...

    async def stop_waiting_for_anybody(self, case_id: UUID) -> None:
        """The case's holds wait for permits alone."""
        ...

    async def lock_all_cases(self) -> None:
        """No other transaction of the authority runs until this one ends."""
        ...

    async def raise_epoch(self, at_least: int) -> int:
        """The new epoch of the authority and of intake's streams."""
        ...

    async def open_window(
        self, epoch: int, boot_id: str, now_ns: int, at: datetime, reason: str, actor: str
    ) -> None:
        """The window of `recover` begins."""
        ...

    async def all_cases(self) -> list[UUID]:
        """Every case, ascending."""
        ...

    async def move_to_epoch(self, case_id: UUID, epoch: int) -> ClearanceVersion:
        """The clearance of the case in the new epoch; its version goes on."""
        ...

    async def record_anew(self, case_id: UUID, epoch: int) -> None:
        """The case's open holds are RECORDED in this epoch, whatever they were."""
        ...

    async def cases_of_unfinished_permits(self, holder: Service) -> list[UUID]:
        """Cases with a permit of this holder that has no end, ascending."""
        ...

    async def all_open_holds(self) -> list[Hold]:
        """The open holds of all cases, by case and version."""
        ...

    async def overdue_holds(
        self,
        acknowledged_before: datetime,
        stopped_before: datetime,
        hold_id: UUID | None,
        limit: int,
    ) -> list[OverdueHold]:
        """Open holds (or this one) that nobody was paged for although their time is over."""
        ...

    async def raise_page(
        self,
        page_id: UUID,
        case_id: UUID,
        hold_id: UUID | None,
        start_id: UUID | None,
        cause: str,
        at: datetime,
    ) -> None:
        """The page is due from `at` on; there is one per hold or start and cause."""
        ...

    async def pages_due(self, now: datetime, limit: int) -> list[PageDue]:
        """Pages that notification has not taken, oldest first."""
        ...

    async def page_tried(
        self, page_id: UUID, next_try_at: datetime, *, is_taken: bool, by_mail: bool
    ) -> None:
        """The page was tried once more."""
        ...

    async def take_pager_lock(self) -> bool:
        """Whether this session is the one pager for as long as it lives."""
        ...


class HasAuthority(Protocol):
    """Intake's repository: the authority's tables are one part of it."""

    @property
    def authority(self) -> AuthorityRows:
        """The authority's tables."""
        ...


R = TypeVar("R", bound=HasAuthority)


class DecideNow(Protocol):
    """The record's answer for a gate at this moment, read in the caller's transaction."""

    async def __call__(
        self, tx: Tx, case_id: UUID, gate: Gate, at: datetime, dose_id: UUID | None
    ) -> DecisionSeen:
        """The decision with the protocol in force."""
        ...


class Products(Protocol):
    """What manufacturing has said of a dose, as intake has it."""

    async def __call__(
        self, tx: Tx, request: PermitRequest, at: datetime, usable_until: datetime
    ) -> ProductSeen:
        """What is wrong with the dose for this case: certificate, issue, expiry, planned time."""
        ...


class HolderStreams(Protocol):
    """How far intake has applied the holders' streams (heartbeats; start permit, step 2b)."""

    async def is_current(self, tx: Tx, holder: Service, case_id: UUID) -> bool:
        """Whether all that the holder has said of this case lately is applied here."""
        ...

    async def has_applied_past(
        self, tx: Tx, holder: Service, case_id: UUID, instant: datetime
    ) -> bool:
        """Whether whatever the holder had said of this case by `instant` is applied here."""
        ...


class Pager(Protocol):
    """Tells a person at once, past the event stream."""

    async def page(self, due: PageDue) -> bool:
        """Whether notification has taken the page (it answers within a second)."""
        ...

    async def mail(self, due: PageDue) -> bool:
        """Whether intake's own mail went out."""
        ...


class HolderCalls(Protocol):
    """The best-effort calls to the holders; events carry the same."""

    async def tell(self, holder: Service, hold: Hold) -> bool:
        """Whether the holder answered in time that it has the hold."""
        ...


class NoCalls:
    """Where no holder is to be called: the events do it all."""

    async def tell(self, holder: Service, hold: Hold) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, slots=True)
class Authority(Generic[R]):
    """What the use cases of holds and permits act through."""

    unit_of_work: UnitOfWork[R]
    world: World
    decide: DecideNow
    products: Products
    streams: HolderStreams
    pager: Pager
    calls: HolderCalls = field(default_factory=NoCalls)
    times: PermitTimes = field(default_factory=PermitTimes)
    #: shadow mode: what a press would have been answered is told, and nothing is granted
    advises_only: bool = False
