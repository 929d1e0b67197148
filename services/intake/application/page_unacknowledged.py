"""Page a person when a hold is not acknowledged, or a running step is not stopped, in time.

Invariant I9: the page goes to notification, else by intake's own mail, and is repeated until
notification has taken it; where neither worked, the hold's answer says that nobody was paged.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

from services.intake.application.authority_ports import Authority, OverdueHold, PageDue, R
from shared.contracts.coordination import HoldOverdue
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import Cause
from shared.persistence.database import RetryableError

PAGES_PER_RUN_MAX: Final = 50
ACTOR: Final = f"service:{Service.INTAKE.value}"


async def page_unacknowledged(authority: Authority[R]) -> int:
    """The number of pages tried now. For a timer that runs about every half second.

    One pager at a time (advisory lock); a page that was sent and not marked is sent again.
    """
    if not await _is_anything_to_do(authority):
        return 0
    async with authority.unit_of_work.database.session() as session:
        if not await authority.unit_of_work.repository(session).authority.take_pager_lock():
            return 0
        for overdue in await _overdue(authority, None):
            with suppress(RetryableError):  # somebody has the case: the next run
                await _raise(authority, overdue)
        due = await _due(authority)
        for page in due:
            await _deliver(authority, page)
        return len(due)


def _cause(correlation_id: UUID) -> Cause:
    return Cause(actor=ACTOR, correlation_id=correlation_id)


async def _is_anything_to_do(authority: Authority[R]) -> bool:
    return bool(await _overdue(authority, None) or await _due(authority))


async def _overdue(authority: Authority[R], hold_id: UUID | None) -> list[OverdueHold]:
    now, times = authority.world.machine_clock.now(), authority.times
    async with authority.unit_of_work.begin(_cause(authority.world.ids.new())) as work:
        return await work.rows.authority.overdue_holds(
            now - timedelta(seconds=times.acknowledge_within_seconds),
            now - timedelta(seconds=times.stop_within_seconds),
            hold_id,
            PAGES_PER_RUN_MAX,
        )


async def _raise(authority: Authority[R], overdue: OverdueHold) -> None:
    now, times = authority.world.machine_clock.now(), authority.times
    async with authority.unit_of_work.begin(_cause(overdue.hold_id), urgent=True) as work:
        rows = work.rows.authority
        await rows.lock_case(overdue.case_id)
        still = await rows.overdue_holds(
            now - timedelta(seconds=times.acknowledge_within_seconds),
            now - timedelta(seconds=times.stop_within_seconds),
            overdue.hold_id,
            PAGES_PER_RUN_MAX,
        )
        if overdue not in still:
            return
        page_id = work.world.ids.new()
        await rows.raise_page(page_id, overdue.case_id, overdue.hold_id, None, overdue.cause, now)
        work.emit(
            HoldOverdue(case_id=overdue.case_id, hold_id=overdue.hold_id, overdue=overdue.cause)
        )
        work.note(
            "hold-overdue", overdue.case_id, hold_id=str(overdue.hold_id), overdue=overdue.cause
        )


async def _due(authority: Authority[R]) -> list[PageDue]:
    now = authority.world.machine_clock.now()
    async with authority.unit_of_work.begin(_cause(authority.world.ids.new())) as work:
        return await work.rows.authority.pages_due(now, PAGES_PER_RUN_MAX)


async def _deliver(authority: Authority[R], due: PageDue) -> None:
    is_taken = await authority.pager.page(due)
    by_mail = due.by_mail or (not is_taken and await authority.pager.mail(due))
    now = authority.world.machine_clock.now()
    next_try_at = now + timedelta(seconds=authority.times.page_retry_seconds)
    async with authority.unit_of_work.begin(_cause(due.page_id), urgent=True) as work:
        await work.rows.authority.page_tried(
            due.page_id, next_try_at, is_taken=is_taken, by_mail=by_mail
        )
