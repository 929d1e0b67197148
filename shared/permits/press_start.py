"""One press of start: ask once, commit, look a second time, and only then GO.

Invariant I2: no GO is answered whose `go_at` was committed while an effective hold in scope was
open. What carries it:
- every transaction here ensures the fence row and locks it alone; all checks are later statements,
  so an acknowledged hold is seen, or waits behind us and then meets our row;
- the start is committed within the lease, with `transaction_timeout` = C; but that does not bound
  COMMIT itself, so a second transaction writes `go_at`, only while the lease lasts and only on a
  row that nothing has touched; after its COMMIT the lease is looked at a last time;
- anything else is NOT_STARTED and DO NOT START. There is no retry, no cancel, no second human step.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from shared.contracts.vocabulary import RefusalCode
from shared.messaging.unit_of_work import Cause, Work
from shared.permits.ask import ADVISORY, Advised, NoAnswer, PermitHeld, Press, Refusal, ask
from shared.permits.clearance import ClearanceVersion
from shared.permits.holder import Holder
from shared.permits.replicate import end_unstarted
from shared.permits.rows import HolderRows
from shared.permits.starts import (
    RESUMABLE,
    UNDER_WAY,
    Lease,
    Start,
    StartChange,
    StartChangeKind,
    StartState,
)
from shared.persistence.database import CommitUnknownError, ConstraintError, StoreError

R = TypeVar("R")

#: reasons of the holder's own, beside those of the authority
FENCED: Final = "fenced"
LEASE_OVER: Final = "lease-over"
PARKED: Final = "unprocessed-information"
ATTEMPT_TAKEN: Final = "attempt-taken"
PREVIOUS_ATTEMPT: Final = "previous-attempt-not-stopped"
DOSE_TAKEN: Final = "dose-taken"
NOT_CURRENT: Final = "holder-not-ready"
UNREACHABLE: Final = "authority-unreachable"


@dataclass(frozen=True, slots=True)
class Go:
    """GO. The screen may show it for `show_ms` from now, and not longer."""

    start: Start
    show_ms: int


@dataclass(frozen=True, slots=True)
class StartRefused:
    """The step may not start, with all reasons as JSON; nothing has begun and nothing is pending.

    `view` is the case's present clearance where the authority told it.
    """

    status: int
    code: str
    title: str
    reasons: tuple[dict[str, Any], ...]
    view: ClearanceVersion | None


@dataclass(frozen=True, slots=True)
class DoNotStart:
    """Something was lost or late: DO NOT START. The permit lapses by itself within seconds."""

    code: str
    title: str


StartAnswer = Go | StartRefused | DoNotStart


class _Refused(Exception):
    """Rolls the start transaction back with its reasons."""

    def __init__(self, reasons: list[dict[str, Any]]) -> None:
        super().__init__("refused")
        self.reasons = tuple(reasons)


async def press_start(holder: Holder[R], press: Press, cause: Cause) -> StartAnswer:
    """GO, or why not. Raises ValueError for a gate that another service holds."""
    if press.gate not in holder.gates:
        raise ValueError(f"{holder.service.value} does not act at {press.gate.value}")
    match await ask(holder, press):
        case NoAnswer(why):
            return DoNotStart(UNREACHABLE, f"Do not start: {why}.")
        case Refusal(status, code, title, reasons, view):
            return StartRefused(status, code, title, reasons, view)
        case Advised(would_be, title, reasons, view):
            advice = {"code": ADVISORY, "would_be": would_be}
            return StartRefused(409, ADVISORY, title, (advice, *reasons), view)
        case PermitHeld() as permit:
            return await _start(holder, press, permit, cause)


async def _start(holder: Holder[R], press: Press, permit: PermitHeld, cause: Cause) -> StartAnswer:
    try:
        start = await _commit_start(holder, press, permit, cause)
    except _Refused as refused:
        code = str(refused.reasons[0]["code"])
        return StartRefused(409, code, "The step may not start.", refused.reasons, None)
    except ConstraintError:
        return StartRefused(
            409, ATTEMPT_TAKEN, "The step may not start.", (_reason(ATTEMPT_TAKEN),), None
        )
    except StoreError:
        return DoNotStart("store", "Do not start: the start could not be written.")
    if start is None:
        return DoNotStart("not-committed", "Do not start: the start was not committed.")
    return await _look_again(holder, start, cause)


async def _commit_start(
    holder: Holder[R], press: Press, permit: PermitHeld, cause: Cause
) -> Start | None:
    """The committed row, or None when COMMIT was lost and did not happen."""
    start = _row(holder, press, permit)
    try:
        async with holder.unit_of_work.begin(
            cause, urgent=True, timeout_seconds=holder.times.commit_bound_seconds
        ) as work:
            await _insert(holder, work, start, permit)
        return start
    except CommitUnknownError:
        return await _read_back(holder, start)


def _row(holder: Holder[R], press: Press, permit: PermitHeld) -> Start:
    return Start(
        start_id=holder.world.ids.new(),
        permit_id=press.permit_id,
        case_id=press.case_id,
        gate=press.gate,
        subject_id=press.subject_id,
        attempt=press.attempt,
        dose_id=press.dose_id,
        granted=permit.view,
        lease=permit.lease,
        place=press.place,
        go_at=None,
        state=StartState.RUNNING,
        reason=None,
        unpermitted=False,
        created_at=holder.world.clock.now(),
    )


async def _insert(holder: Holder[R], work: Work[R], start: Start, permit: PermitHeld) -> None:
    rows = HolderRows(work.tx)
    await rows.ensure_fences([start.case_id])
    fences = await rows.lock_fences([start.case_id])
    reasons = await _fence_reasons(rows, start, permit, fences.get(start.case_id))
    reasons += await _attempt_reasons(rows, start)
    if await rows.is_parked(holder.service, start.case_id):
        reasons.append(_reason(PARKED))
    if start.dose_id is not None:
        await rows.bind_dose(start.dose_id, start.subject_id)
        reasons += await _dose_reasons(rows, start, start.dose_id)
    if not await holder.guard.may_start(rows):
        reasons.append(_reason(NOT_CURRENT))
    reasons += _clock_reasons(holder, permit)
    if reasons:
        raise _Refused(reasons)
    await rows.insert_start(start)
    work.note("start-committed", start.case_id, start_id=str(start.start_id),
              permit_id=str(start.permit_id), gate=start.gate.value)  # fmt: skip


async def _fence_reasons(
    rows: HolderRows, start: Start, permit: PermitHeld, fence: ClearanceVersion | None
) -> list[dict[str, Any]]:
    """Why the permit is older than what this holder has acknowledged."""
    found: list[dict[str, Any]] = []
    if fence is not None and permit.view < fence:
        found.append(_reason(FENCED, permit=permit.view.etag, fence=fence.etag))
    for hold in await rows.open_replicas(start.case_id, start.gate, start.dose_id):
        if hold.clearance > permit.view:
            found.append(_reason(RefusalCode.HOLD_OPEN.value, hold_id=str(hold.hold_id)))
    return found


async def _attempt_reasons(rows: HolderRows, start: Start) -> list[dict[str, Any]]:
    """Attempt n is free, and attempt n - 1 has come to rest."""
    known = [s for s in await rows.starts_of_subject(start.subject_id) if s.gate is start.gate]
    known = [s for s in known if s.state is not StartState.NOT_STARTED]
    found: list[dict[str, Any]] = []
    if any(s.attempt == start.attempt for s in known):
        found.append(_reason(ATTEMPT_TAKEN, attempt=start.attempt))
    if start.attempt > 1:
        before = [s for s in known if s.attempt == start.attempt - 1]
        if not before or any(s.state not in RESUMABLE for s in before):
            states = sorted({s.state.value for s in before})
            found.append(_reason(PREVIOUS_ATTEMPT, attempt=start.attempt - 1, states=states))
    return found


async def _dose_reasons(rows: HolderRows, start: Start, dose_id: UUID) -> list[dict[str, Any]]:
    """The dose is bound to this subject, and nobody took it without a permit."""
    bound_to = await rows.subject_of_dose(dose_id)
    taken = await rows.dose_taken_without_permit(dose_id, start.subject_id, start.attempt)
    if bound_to == start.subject_id and not taken:
        return []
    return [_reason(DOSE_TAKEN, dose_id=str(dose_id))]


def _clock_reasons(holder: Holder[R], permit: PermitHeld) -> list[dict[str, Any]]:
    """The lease leaves time for the COMMIT; as a second belt, so does the wall clock."""
    lasts = permit.lease.may_commit(holder.world.lease_clock, holder.times)
    slack = timedelta(seconds=holder.times.wall_clock_slack_seconds)
    plausible = holder.world.machine_clock.now() <= permit.expires_at + slack
    return [] if lasts and plausible else [_reason(LEASE_OVER)]


def _reason(code: str, **detail: object) -> dict[str, Any]:
    return {"code": code, **detail}


async def _read_back(holder: Holder[R], start: Start) -> Start | None:
    """What a lost COMMIT left behind. The fence lock waits for a COMMIT that still hangs; a plain
    SELECT would not see it."""
    cause = Cause(f"service:{holder.service.value}", start.start_id)
    async with holder.unit_of_work.begin(cause, urgent=True) as work:
        rows = HolderRows(work.tx)
        await rows.ensure_fences([start.case_id])
        await rows.lock_fences([start.case_id])
        return await rows.start(start.start_id)


async def _look_again(holder: Holder[R], start: Start, cause: Cause) -> StartAnswer:
    """The second look: `go_at` is written in time on an untouched row, or there is no start."""
    lease, clock = start.lease, holder.world.lease_clock
    assert lease is not None  # noqa: S101 - a permitted start has one
    try:
        going = await _write_go(holder, start, cause)
    except StoreError:
        going = await _go_after_all(holder, start)
    if going is not None and lease.may_answer_go(clock, holder.times):
        return Go(going, _left_ms(holder, going))
    await _give_up(holder, start, cause)
    return DoNotStart("too-late", "Do not start: the permit ended before GO was certain.")


async def _write_go(holder: Holder[R], start: Start, cause: Cause) -> Start | None:
    lease, permit_id = start.lease, start.permit_id
    assert lease is not None and permit_id is not None  # noqa: S101, PT018 - permitted
    async with holder.unit_of_work.begin(
        cause, urgent=True, timeout_seconds=holder.times.commit_bound_seconds
    ) as work:
        rows = HolderRows(work.tx)
        await rows.ensure_fences([start.case_id])
        await rows.lock_fences([start.case_id])
        if not await _may_go_on(holder, rows, lease):
            return None
        now = work.world.clock.now()
        going = await rows.set_go(permit_id, now)
        if going is not None:
            await _tell_go(holder, work, going, now)
        return going


async def _may_go_on(holder: Holder[R], rows: HolderRows, lease: Lease) -> bool:
    """Whether the lease lasts and the database is still the one that this process began on."""
    if not await holder.guard.may_start(rows):
        return False
    return lease.may_answer_go(holder.world.lease_clock, holder.times)


async def _tell_go(holder: Holder[R], work: Work[R], going: Start, now: datetime) -> None:
    work.emit(holder.outcome(going, "consumed", now))
    work.note(
        "start-go",
        going.case_id,
        start_id=str(going.start_id),
        permit_id=str(going.permit_id),
        gate=going.gate.value,
    )
    await holder.on_change(work, StartChange(StartChangeKind.GO, going, now, was_go=False))


async def _go_after_all(holder: Holder[R], start: Start) -> Start | None:
    """The row with its `go_at`, if the second look was committed although its answer was lost."""
    try:
        found = await _read_back(holder, start)
    except StoreError:
        return None
    if found is None or found.go_at is None or found.state is not StartState.RUNNING:
        return None
    return found


async def _give_up(holder: Holder[R], start: Start, cause: Cause) -> None:
    """No GO is answered, and the row says so.

    If even that cannot be written: without `go_at` the sweeper ends the row, with it the row stays
    "may be running" until a person has answered.
    """
    try:
        async with holder.unit_of_work.begin(cause, urgent=True) as work:
            rows = HolderRows(work.tx)
            await rows.ensure_fences([start.case_id])
            await rows.lock_fences([start.case_id])
            present = await rows.start(start.start_id)
            if present is not None and present.state in UNDER_WAY:
                await end_unstarted(holder, work, present, "no-go")
    except StoreError:
        return


def _left_ms(holder: Holder[R], start: Start) -> int:
    assert start.lease is not None  # noqa: S101 - permitted
    ends_ns = holder.times.answer_go_before_ns(start.lease.sent_ns, start.lease.ttl_ms)
    return max(0, (ends_ns - holder.world.lease_clock.now_ns()) // 1_000_000)
