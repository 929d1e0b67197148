"""What a holder says has become of a permit, by event and by a best-effort call.

Invariants: the holder is the referee, so its word is never refused: a consumption of a lapsed or
unknown permit is recorded as it happened; UNDONE is final; whatever waited for the permit waits no
more (start permit, step 4).
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.intake.application.authority_ports import Authority, MayBeRunning, R
from services.intake.application.holding import settle_waits
from services.intake.application.place_hold import UnknownCaseError
from services.intake.domain.permits import Outcome, Permit, after
from shared.contracts.coordination import PermitConsumed, PermitUndone
from shared.contracts.vocabulary import EffectiveBy, Gate, PermitState, Service
from shared.messaging.unit_of_work import Cause, Work

UNPERMITTED = "UNPERMITTED"


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """One report of a holder. `start_id` is its row; `at` when it decided (clinic's time)."""

    case_id: UUID
    permit_id: UUID
    start_id: UUID
    gate: Gate
    holder: Service
    subject_id: UUID
    dose_id: UUID | None
    attempt: int
    outcome: Outcome


async def consume_permit(
    authority: Authority[R], report: OutcomeReport, cause: Cause
) -> PermitState:
    """The permit's state after the report, in a transaction of its own (the holder's call).

    Raises `UnknownCaseError`.
    """
    async with authority.unit_of_work.begin(cause, urgent=True) as work:
        if await work.rows.authority.lock_case(report.case_id) is None:
            raise UnknownCaseError(report.case_id)
        return await record_outcome(work, report)


async def record_outcome(work: Work[R], report: OutcomeReport) -> PermitState:
    """The permit's state after the report. The case is locked. Reported twice, it is once."""
    rows = work.rows.authority
    known = await rows.permit(report.permit_id)
    if known is not None and not _is_about(known, report):
        await _record_stray(work, report)
        return known.state
    state = after(None if known is None else known.state, report.outcome)
    if known is not None and known.state is state:
        return state
    now = work.world.machine_clock.now()
    if known is None:
        await rows.insert_outcome(_unknown_permit(report, state, now), now)
    else:
        await rows.set_permit_state(report.permit_id, state, now)
    await rows.stop_waiting_for_permit(report.permit_id)
    _tell(work, report, state)
    await settle_waits(work, report.case_id, EffectiveBy.CONSUMED)
    return state


def _is_about(permit: Permit, report: OutcomeReport) -> bool:
    return (permit.holder, permit.case_id) == (report.holder, report.case_id)


async def _record_stray(work: Work[R], report: OutcomeReport) -> None:
    """A consumption that names another's permit: something runs, and not under that permit."""
    if report.outcome is Outcome.CONSUMED:
        await record_unpermitted(
            work,
            MayBeRunning(
                permit_id=None,
                start_id=report.start_id,
                gate=report.gate,
                holder=report.holder,
                subject_id=report.subject_id,
                dose_id=report.dose_id,
                place=None,
                state=UNPERMITTED,
                since=work.world.machine_clock.now(),
                until=None,
            ),
            report.case_id,
            report.attempt,
        )
    work.note("stray-outcome", report.case_id, permit_id=str(report.permit_id),
              holder=report.holder.value, outcome=report.outcome.value)  # fmt: skip


def _unknown_permit(report: OutcomeReport, state: PermitState, now: datetime) -> Permit:
    return Permit(
        permit_id=report.permit_id,
        case_id=report.case_id,
        gate=report.gate,
        holder=report.holder,
        subject_id=report.subject_id,
        attempt=report.attempt,
        dose_id=report.dose_id,
        granted=None,
        boot_id=None,
        granted_boot_ns=None,
        ttl_ms=None,
        seen_boot_id=None,
        seen_boot_ns=None,
        place=None,
        state=state,
        asked_at=now,
    )


def _tell(work: Work[R], report: OutcomeReport, state: PermitState) -> None:
    event = PermitConsumed if state is PermitState.CONSUMED else PermitUndone
    work.emit(
        event(
            case_id=report.case_id,
            permit_id=report.permit_id,
            gate=report.gate,
            subject_id=report.subject_id,
        ),
        kind=f"{state.value}:{report.permit_id}",
    )
    work.note(
        f"permit-{report.outcome.value}",
        report.case_id,
        permit_id=str(report.permit_id),
        gate=report.gate.value,
        holder=report.holder.value,
    )


async def record_unpermitted(
    work: Work[R], start: MayBeRunning, case_id: UUID, attempt: int
) -> bool:
    """Whether a start without a permit is new here: it is on record and will be paged.

    The case is locked.
    """
    rows = work.rows.authority
    if start.start_id is None or not await rows.put_unpermitted(start, case_id, attempt):
        return False
    await rows.raise_page(
        work.world.ids.new(),
        case_id,
        None,
        start.start_id,
        "unpermitted_start",
        work.world.machine_clock.now(),
    )
    work.note(
        "unpermitted-start",
        case_id,
        start_id=str(start.start_id),
        gate=start.gate.value,
        holder=start.holder.value,
    )
    return True
