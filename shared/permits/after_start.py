"""What becomes of a start after GO: never opened, stopped, paused, completed, or found running.

All of it is accepted in a parked case too, and in every race with a hold: what has happened is
recorded as it happened. Each function works in the caller's transaction and locks the case's fence
first; call it before anything else is locked.
"""

from typing import Final, TypeVar
from uuid import UUID

from shared.contracts.vocabulary import Gate, OnRunning
from shared.messaging.unit_of_work import Work
from shared.permits.holder import Holder
from shared.permits.replicate import end_unstarted, order_stop
from shared.permits.rows import HolderRows
from shared.permits.starts import Start, StartChange, StartChangeKind, StartState

R = TypeVar("R")

_WORDS: Final = {
    StartState.STOPPED: StartChangeKind.STOPPED,
    StartState.PAUSED: StartChangeKind.PAUSED,
    StartState.COMPLETED: StartChangeKind.COMPLETED,
}
#: from where each end can be reached; completing what was paused means that it had gone on
_FROM: Final = {
    StartState.STOPPED: frozenset({StartState.RUNNING, StartState.STOP_ORDERED, StartState.PAUSED}),
    StartState.PAUSED: frozenset({StartState.RUNNING, StartState.STOP_ORDERED}),
    StartState.COMPLETED: frozenset(
        {StartState.RUNNING, StartState.STOP_ORDERED, StartState.PAUSED}
    ),
}


class UnknownStartError(LookupError):
    """There is no such start of this case."""


class WrongStateError(Exception):
    """The start is not in a state from which this can follow. `start` is as it is."""

    def __init__(self, start: Start) -> None:
        super().__init__(start.state.value)
        self.start = start


async def never_opened(
    holder: Holder[R], work: Work[R], case_id: UUID, start_id: UUID, reason: str
) -> Start:
    """The start as NOT_STARTED: GO was shown and nothing began; the attempt is free again.

    Said twice, it is once. Raises `UnknownStartError`, `WrongStateError`.
    """
    start = await _locked(work, case_id, start_id)
    if start.state is StartState.NOT_STARTED:
        return start
    if start.state not in (StartState.RUNNING, StartState.STOP_ORDERED):
        raise WrongStateError(start)
    return await end_unstarted(holder, work, start, reason)


async def stop(
    holder: Holder[R], work: Work[R], case_id: UUID, start_id: UUID, reason: str
) -> Start:
    """The start as STOPPED. Raises `UnknownStartError`, `WrongStateError`."""
    return await _come_to(holder, work, case_id, start_id, StartState.STOPPED, reason)


async def pause(
    holder: Holder[R], work: Work[R], case_id: UUID, start_id: UUID, reason: str
) -> Start:
    """The start as PAUSED; going on needs a permit for the next attempt. Raises as `stop`."""
    return await _come_to(holder, work, case_id, start_id, StartState.PAUSED, reason)


async def complete(holder: Holder[R], work: Work[R], case_id: UUID, start_id: UUID) -> Start:
    """The start as COMPLETED. Raises as `stop`."""
    return await _come_to(holder, work, case_id, start_id, StartState.COMPLETED, None)


async def _come_to(
    holder: Holder[R],
    work: Work[R],
    case_id: UUID,
    start_id: UUID,
    state: StartState,
    reason: str | None,
) -> Start:
    start = await _locked(work, case_id, start_id)
    if start.state is state:
        return start
    if start.go_at is None and start.state is StartState.RUNNING:
        return await end_unstarted(holder, work, start, reason or "no-go")
    if start.state not in _FROM[state]:
        raise WrongStateError(start)
    now = work.world.clock.now()
    ended = await HolderRows(work.tx).set_state(start_id, state, reason, now)
    work.note(f"start-{state.value.lower()}", case_id, start_id=str(start_id), reason=reason)
    change = StartChange(_WORDS[state], ended, now, was_go=True, reason=reason)
    await holder.on_change(work, change)
    return ended


async def _locked(work: Work[R], case_id: UUID, start_id: UUID) -> Start:
    rows = HolderRows(work.tx)
    await rows.ensure_fences([case_id])
    await rows.lock_fences([case_id])
    start = await rows.start(start_id)
    if start is None or start.case_id != case_id:
        raise UnknownStartError(start_id)
    return start


async def already_running(
    holder: Holder[R],
    work: Work[R],
    *,
    start_id: UUID,
    case_id: UUID,
    gate: Gate,
    subject_id: UUID,
    attempt: int,
    dose_id: UUID | None,
    place: str | None,
) -> Start:
    """The step as it runs, begun without us: always recorded, counted apart, and paged.

    Under an open hold that stops what runs, the stop is ordered at once. Said twice with one id,
    it is once. Raises `UnknownStartError` when the id names another case's start.
    """
    rows = HolderRows(work.tx)
    await rows.ensure_fences([case_id])
    await rows.lock_fences([case_id])
    now = work.world.clock.now()
    start = Start(
        start_id=start_id,
        permit_id=None,
        case_id=case_id,
        gate=gate,
        subject_id=subject_id,
        attempt=attempt,
        dose_id=dose_id,
        granted=None,
        lease=None,
        place=place,
        go_at=now,
        state=StartState.RUNNING,
        reason=None,
        unpermitted=True,
        created_at=now,
    )
    if not await rows.insert_start(start):
        known = await rows.start(start_id)
        if known is None or known.case_id != case_id:
            raise UnknownStartError(start_id)
        return known
    work.emit(holder.outcome(start, "unpermitted", now))
    work.note("start-unpermitted", case_id, start_id=str(start_id), gate=gate.value)
    await holder.on_change(
        work, StartChange(StartChangeKind.ALREADY_RUNNING, start, now, was_go=False)
    )
    return await _stop_under_hold(holder, work, rows, start)


async def _stop_under_hold(
    holder: Holder[R], work: Work[R], rows: HolderRows, start: Start
) -> Start:
    for hold in await rows.open_replicas(start.case_id, start.gate, start.dose_id):
        if hold.on_running is OnRunning.STOP:
            return await order_stop(holder, work, start, hold.hold_id)
    return start
