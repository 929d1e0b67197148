"""What a holder does when the authority's word arrives: hold, release, new epoch.

Invariant: when the acknowledgement of a hold commits, no start in its scope with an older permit
can get its GO any more (fence and replica, under the fence lock), and every one that had it is
told to stop if the hold says so (start permit, step 7).
"""

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from shared.contracts.coordination import EpochStarted, HoldRecorded, HoldReleased
from shared.contracts.event import Envelope, Event
from shared.contracts.vocabulary import InFlight, OnRunning
from shared.messaging.reactions import Reaction
from shared.messaging.unit_of_work import Work
from shared.permits.clearance import ClearanceVersion
from shared.permits.holder import Holder
from shared.permits.rows import HolderRows
from shared.permits.starts import (
    ReplicatedHold,
    Scope,
    Start,
    StartChange,
    StartChangeKind,
    StartState,
)

R = TypeVar("R")


def holder_reactions(holder: Holder[R]) -> Mapping[type[Event], Reaction[R]]:
    """The reactions to the authority's events, for the service's REACTIONS table.

    `hold-recorded` goes into `safe_half` as well: it is never held back, and again it is a no-op.
    The table's `lock_cases` is `shared.permits.rows.lock_fences`.
    """

    async def on_hold_recorded(work: Work[R], envelope: Envelope[Any]) -> None:
        event: HoldRecorded = envelope.data
        await apply_hold(holder, work, ReplicatedHold.of_event(event))

    async def on_hold_released(work: Work[R], envelope: Envelope[Any]) -> None:
        await apply_release(work, envelope.data)

    async def on_epoch_started(work: Work[R], envelope: Envelope[Any]) -> None:
        await apply_epoch(holder, work, envelope.data)

    return {
        HoldRecorded: on_hold_recorded,
        HoldReleased: on_hold_released,
        EpochStarted: on_epoch_started,
    }


async def apply_hold(holder: Holder[R], work: Work[R], hold: ReplicatedHold) -> InFlight | None:
    """What was in flight when the hold was applied, or None when there was nothing left to do.

    Called by the consumer (also for a parked case) and by the authority's direct call; the second
    of them is a no-op.
    """
    rows = HolderRows(work.tx)
    await rows.ensure_fences([hold.case_id])
    fences = await rows.lock_fences([hold.case_id])
    fence = fences.get(hold.case_id, ClearanceVersion(0, 0))
    if hold.clearance.epoch < fence.epoch:
        return None  # a past that the snapshot of the newer epoch has replaced
    known = await rows.replica(hold.hold_id)
    if known is not None and known.acknowledged and known.epoch >= hold.clearance.epoch:
        return None
    return await _fence_off(holder, work, rows, hold)


async def _fence_off(
    holder: Holder[R], work: Work[R], rows: HolderRows, hold: ReplicatedHold
) -> InFlight:
    if hold.scope.gates & holder.gates:
        await rows.raise_fence(hold.case_id, hold.clearance)
    await rows.put_replica(hold, released=False, acknowledged=True)
    known = await rows.replica(hold.hold_id)
    in_flight = InFlight.NONE
    if known is None or not known.released:  # a tombstone orders nobody to stop
        in_flight = await _meet_starts(holder, work, rows, hold)
    work.emit(holder.acknowledged(hold, in_flight), kind=f"acknowledged:{hold.hold_id}")
    work.note("hold-acknowledged", hold.case_id, hold_id=str(hold.hold_id), in_flight=in_flight)
    return in_flight


async def _meet_starts(
    holder: Holder[R], work: Work[R], rows: HolderRows, hold: ReplicatedHold
) -> InFlight:
    found = InFlight.NONE
    for start in await rows.starts_in_scope(hold.case_id, hold.scope):
        if not start.older_than(hold.clearance):
            continue
        if start.go_at is None:
            await end_unstarted(holder, work, start, f"hold:{hold.hold_id}")
            found = InFlight.STOPPED if found is InFlight.NONE else found
            continue
        found = InFlight.RUNNING
        if hold.on_running is OnRunning.STOP and start.state is StartState.RUNNING:
            await order_stop(holder, work, start, hold.hold_id)
    return found


async def order_stop(holder: Holder[R], work: Work[R], start: Start, hold_id: UUID) -> Start:
    """The start with its stop ordered; a person carries it out and says so."""
    now = work.world.clock.now()
    ordered = await HolderRows(work.tx).set_state(
        start.start_id, StartState.STOP_ORDERED, f"hold:{hold_id}", now
    )
    work.note("stop-ordered", start.case_id, start_id=str(start.start_id), hold_id=str(hold_id))
    change = StartChange(StartChangeKind.STOP_ORDERED, ordered, now, was_go=True, hold_id=hold_id)
    await holder.on_change(work, change)
    return ordered


async def end_unstarted(holder: Holder[R], work: Work[R], start: Start, reason: str) -> Start:
    """The start as NOT_STARTED; the authority is told that its permit came to nothing."""
    now = work.world.clock.now()
    ended = await HolderRows(work.tx).set_state(start.start_id, StartState.NOT_STARTED, reason, now)
    work.emit(
        holder.outcome(ended, "undone", now), kind=holder.outcome_kind(start.start_id, "undone")
    )
    work.note("start-not-started", start.case_id, start_id=str(start.start_id), reason=reason)
    change = StartChange(StartChangeKind.NOT_STARTED, ended, now,
                         was_go=start.go_at is not None, reason=reason)  # fmt: skip
    await holder.on_change(work, change)
    return ended


async def apply_release(work: Work[R], event: HoldReleased) -> None:
    """The hold is released here; one that comes before its hold leaves a tombstone."""
    rows = HolderRows(work.tx)
    await rows.ensure_fences([event.case_id])
    fences = await rows.lock_fences([event.case_id])
    if event.epoch < fences.get(event.case_id, ClearanceVersion(0, 0)).epoch:
        return
    if not await rows.release_replica(event.hold_id, event.epoch):
        tombstone = ReplicatedHold(
            event.hold_id,
            event.case_id,
            ClearanceVersion(event.epoch, event.version),
            Scope(event.gates),
            OnRunning.TELL,
        )
        await rows.put_replica(tombstone, released=True, acknowledged=False)


async def apply_epoch(holder: Holder[R], work: Work[R], event: EpochStarted) -> None:
    """The authority was restored: its snapshot replaces the replica, older permits are fenced off.

    Every hold of the snapshot is acknowledged anew, since the authority waits for that.
    """
    rows = HolderRows(work.tx)
    await rows.ensure_fences([event.case_id])
    fences = await rows.lock_fences([event.case_id])
    if event.epoch < fences.get(event.case_id, ClearanceVersion(0, 0)).epoch:
        return
    await rows.drop_older_replicas(event.case_id, event.epoch)
    await rows.raise_fence(event.case_id, ClearanceVersion(event.epoch, event.version))
    for hold in event.open_holds:
        await apply_hold(holder, work, ReplicatedHold.of_snapshot(hold, event.case_id, event.epoch))
