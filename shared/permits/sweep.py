"""End the starts whose second look never came: a process died between its two transactions."""

from typing import Final, TypeVar

from shared.messaging.unit_of_work import Cause
from shared.permits.holder import Holder
from shared.permits.replicate import end_unstarted
from shared.permits.rows import HolderRows
from shared.permits.starts import Start, StartState
from shared.persistence.database import RetryableError

R = TypeVar("R")

#: one run of the timer; the rest follows in the next
SWEPT_PER_RUN_MAX: Final = 100


async def sweep(holder: Holder[R]) -> int:
    """The number of starts without GO that are NOT_STARTED now. For a timer, about every second.

    A row of another boot or host is counted from the first time that this boot saw it: its
    process may live.
    """
    clock = holder.world.lease_clock
    boot_id, now_ns = clock.boot_id, clock.now_ns()
    due: list[Start] = []
    async with holder.unit_of_work.begin(_cause(holder)) as work:
        rows = HolderRows(work.tx)
        for start, seen_boot_id, seen_ns in await rows.starts_without_go(SWEPT_PER_RUN_MAX):
            if start.lease is None:
                continue
            if start.lease.boot_id == boot_id:
                since_ns = start.lease.sent_ns
            elif seen_boot_id == boot_id and seen_ns is not None:
                since_ns = seen_ns
            else:
                await rows.mark_seen(start.start_id, boot_id, now_ns)
                continue
            if now_ns >= since_ns + holder.times.lapse_after_ns(start.lease.ttl_ms):
                due.append(start)
    swept = 0
    for start in due:
        try:
            swept += await _end(holder, start)
        except RetryableError:
            continue  # somebody has the case: the next run, and the others now
    return swept


def _cause(holder: Holder[R]) -> Cause:
    return Cause(f"service:{holder.service.value}", holder.world.ids.new())


async def _end(holder: Holder[R], due: Start) -> int:
    async with holder.unit_of_work.begin(_cause(holder), urgent=True) as work:
        rows = HolderRows(work.tx)
        await rows.ensure_fences([due.case_id])
        await rows.lock_fences([due.case_id])
        start = await rows.start(due.start_id)
        if start is None or start.state is not StartState.RUNNING or start.go_at is not None:
            return 0
        await end_unstarted(holder, work, start, "swept")
    return 1
