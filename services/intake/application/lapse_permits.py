"""Let permits lapse whose time is over, so that no hold waits for ever.

One lapser at a time (advisory lock). Invariant: a permit lapses only when its holder can no longer
answer GO on it; what has begun on it in time is reported, and LAPSED -> CONSUMED is legal
(start permit, steps 8 and 11).
"""

from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID

from services.intake.application.authority_ports import Authority, R
from services.intake.application.holding import settle_waits
from services.intake.domain.permits import Permit
from shared.contracts.coordination import PermitLapsed
from shared.contracts.vocabulary import EffectiveBy, PermitState, Service
from shared.messaging.unit_of_work import Cause
from shared.persistence.database import RetryableError

#: one run of the timer; the rest follows in the next
LAPSED_PER_RUN_MAX: Final = 200
ACTOR: Final = f"service:{Service.INTAKE.value}"


async def lapse_permits(authority: Authority[R]) -> int:
    """The number of permits that lapsed now. For a timer that runs about every half second.

    Another lapser at work means that there is nothing to do here.
    """
    if not await _is_anything_to_do(authority):
        return 0
    async with authority.unit_of_work.database.session() as session:
        if not await authority.unit_of_work.repository(session).authority.take_lapser_lock():
            return 0
        lapsed = 0
        for permit in await _due(authority):
            try:
                lapsed += await _lapse(authority, permit)
            except RetryableError:
                continue  # somebody has the case: the next run, and the others now
        await _close_window(authority)
        await _settle_lapsed(authority)
        return lapsed


def _cause(correlation_id: UUID) -> Cause:
    return Cause(actor=ACTOR, correlation_id=correlation_id)


async def _is_anything_to_do(authority: Authority[R]) -> bool:
    async with authority.unit_of_work.begin(_cause(authority.world.ids.new())) as work:
        return await work.rows.authority.is_lapse_work_left()


async def _due(authority: Authority[R]) -> list[Permit]:
    """Permits whose time is over; those of another boot begin to count when first seen."""
    clock = authority.world.lease_clock
    boot_id, now_ns = clock.boot_id, clock.now_ns()
    async with authority.unit_of_work.begin(_cause(authority.world.ids.new())) as work:
        out = await work.rows.authority.permits_out(LAPSED_PER_RUN_MAX)
        for permit in out:
            if boot_id not in (permit.boot_id, permit.seen_boot_id):
                await work.rows.authority.mark_seen(permit.permit_id, boot_id, now_ns)
    return [p for p in out if p.has_lapsed(boot_id, now_ns, authority.times)]


async def _lapse(authority: Authority[R], due: Permit) -> int:
    async with authority.unit_of_work.begin(_cause(due.permit_id), urgent=True) as work:
        rows = work.rows.authority
        await rows.lock_case(due.case_id)
        permit = await rows.permit(due.permit_id)
        if permit is None or permit.state is not PermitState.GRANTED:
            return 0
        now = work.world.machine_clock.now()
        await rows.set_permit_state(permit.permit_id, PermitState.LAPSED, now)
        await rows.stop_waiting_for_permit(permit.permit_id)
        event = PermitLapsed(
            case_id=permit.case_id,
            permit_id=permit.permit_id,
            gate=permit.gate,
            subject_id=permit.subject_id,
        )
        work.emit(event)
        work.note("permit-lapsed", permit.case_id, permit_id=str(permit.permit_id))
        await settle_waits(work, permit.case_id, EffectiveBy.LAPSE)
    return 1


async def _close_window(authority: Authority[R]) -> None:
    """After `recover`: once its window is over, holds no longer wait for everybody's word."""
    clock = authority.world.lease_clock
    async with authority.unit_of_work.begin(_cause(authority.world.ids.new())) as work:
        rows = work.rows.authority
        recovery = await rows.recovery()
        if recovery is None or not await rows.is_own_history():
            return
        if not recovery.closed:
            if recovery.boot_id != clock.boot_id:
                await rows.move_window(clock.boot_id, clock.now_ns())
                return
            if clock.now_ns() - recovery.since_boot_ns < authority.times.recover_window_ns:
                return
            await rows.close_window()
        waiting = await rows.cases_waiting_for_anybody()
    for case_id in waiting:
        with suppress(RetryableError):  # somebody has the case: the next run
            await _stop_waiting(authority, case_id)


async def _stop_waiting(authority: Authority[R], case_id: UUID) -> None:
    async with authority.unit_of_work.begin(_cause(case_id), urgent=True) as work:
        await work.rows.authority.lock_case(case_id)
        await work.rows.authority.stop_waiting_for_anybody(case_id)
        await settle_waits(work, case_id, EffectiveBy.LAPSE)


async def _settle_lapsed(authority: Authority[R]) -> None:
    """A lapsed permit counts as never used once its holder's stream is applied past the lapse."""
    async with authority.unit_of_work.begin(_cause(authority.world.ids.new())) as work:
        open_ended = await work.rows.authority.lapsed_without_end(LAPSED_PER_RUN_MAX)
    for permit, lapsed_at in open_ended:
        with suppress(RetryableError):  # somebody has the case: the next run
            await _settle_one(authority, permit, lapsed_at)


async def _settle_one(authority: Authority[R], permit: Permit, lapsed_at: datetime) -> None:
    async with authority.unit_of_work.begin(_cause(permit.permit_id)) as work:
        rows, streams = work.rows.authority, authority.streams
        await rows.lock_case(permit.case_id)
        if await streams.has_applied_past(work.tx, permit.holder, permit.case_id, lapsed_at):
            await rows.end_lapsed(permit.permit_id, work.world.machine_clock.now())
