"""Holds inside a transaction whose case is locked: recorded, settled, withdrawn, and what may run.

Invariant: a permit granted before the hold, and still out, is waited for; the hold is effective
when the last such wait is gone, and not before (start permit, step 5).
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.intake.application.authority_ports import AuthorityRows, MayBeRunning, R
from services.intake.domain.holds import Hold, HoldOrder, HoldScope
from shared.contracts.coordination import HoldEffective, HoldRecorded, HoldReleased
from shared.contracts.vocabulary import EffectiveBy
from shared.messaging.unit_of_work import Work
from shared.permits.clearance import HOLDERS


async def insert_hold(work: Work[R], order: HoldOrder) -> None:
    """The hold is on record with its waits and its events."""
    rows = work.rows.authority
    machine_now = work.world.machine_clock.now()
    clearance = await rows.raise_version(order.case_id)
    await rows.insert_hold(order, clearance, work.world.clock.now(), machine_now)
    await rows.wait_for_permits(order)
    if await _are_permits_unknown(rows):
        await rows.wait_for_holders(order.hold_id, HOLDERS)
    settled = await rows.settle(order.case_id, EffectiveBy.NO_PERMIT, machine_now)
    running = await running_in(work, order.scope, order.case_id)
    event = HoldRecorded(
        case_id=order.case_id,
        hold_id=order.hold_id,
        epoch=clearance.epoch,
        version=clearance.version,
        kind=order.kind,
        rule=order.rule,
        gates=order.scope.gates,
        dose_ids=order.scope.dose_ids,
        on_running=order.on_running,
        effective=any(hold.hold_id == order.hold_id for hold in settled),
        may_be_running_until=latest_start(running),
        expected_until=order.expected_until,
    )
    work.emit(event, kind=f"hold:{order.hold_id}")
    work.note(
        "hold-recorded",
        order.case_id,
        hold_id=str(order.hold_id),
        kind=order.kind.value,
        version=clearance.version,
        reason=order.reason,
    )
    _announce(work, order.case_id, [hold.hold_id for hold in settled], EffectiveBy.NO_PERMIT)


async def _are_permits_unknown(rows: AuthorityRows) -> bool:
    """Whether permits may be out that this database does not know, after a restore."""
    recovery = await rows.recovery()
    if recovery is not None and not recovery.closed:
        return True
    return not await rows.is_own_history()


async def settle_waits(work: Work[R], case_id: UUID, by: EffectiveBy) -> None:
    """Recorded holds of the case that wait for nothing any more become effective."""
    settled = await work.rows.authority.settle(case_id, by, work.world.machine_clock.now())
    _announce(work, case_id, [hold.hold_id for hold in settled], by)


def _announce(work: Work[R], case_id: UUID, hold_ids: Sequence[UUID], by: EffectiveBy) -> None:
    for hold_id in hold_ids:
        event = HoldEffective(case_id=case_id, hold_id=hold_id, effective_by=by)
        work.emit(event, kind=f"effective:{hold_id}:{by.value}")
        work.note("hold-effective", case_id, hold_id=str(hold_id), by=by.value)


async def withdraw_hold(work: Work[R], hold: Hold, releaser: str, reason: str | None) -> None:
    """The hold is released, nothing waits for it any more, and the version has risen."""
    rows = work.rows.authority
    clearance = await rows.raise_version(hold.case_id)
    await rows.stop_waiting(hold.hold_id)
    await rows.release_hold(hold.hold_id, releaser, reason, work.world.clock.now())
    event = HoldReleased(
        case_id=hold.case_id,
        hold_id=hold.hold_id,
        epoch=clearance.epoch,
        version=clearance.version,
        gates=hold.scope.gates,
        kind=hold.kind,
        rule=hold.rule,
    )
    work.emit(event, kind=f"released:{hold.hold_id}")
    work.note(
        "hold-released",
        hold.case_id,
        hold_id=str(hold.hold_id),
        version=clearance.version,
        releaser=releaser,
        reason=reason,
    )


async def running_in(work: Work[R], scope: HoldScope, case_id: UUID) -> tuple[MayBeRunning, ...]:
    """What may be under way in this scope, newest first, with the latest time of a start."""
    found = await work.rows.authority.may_be_running(case_id)
    return tuple(one for one in found if scope.covers(one.gate, one.dose_id))


def latest_start(running: Sequence[MayBeRunning]) -> datetime | None:
    """The latest time of day at which one of these may still begin; None: none of them can."""
    return max((one.until for one in running if one.until is not None), default=None)
