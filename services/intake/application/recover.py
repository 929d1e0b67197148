"""After a restore or fail-over of the authority: a new epoch in which every older permit is void.

Invariants: nothing of the old epoch passes a fence of the new one; until the old permits are
certainly over nothing becomes effective merely because no permit is known; each case's stream of
the new epoch opens with a snapshot of its open holds (start permit, step 11). An old primary that
goes on granting is outside the claim, so its stop must be confirmed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from services.intake.application.authority_ports import Authority, R
from services.intake.application.holding import insert_hold
from services.intake.application.place_hold import insisting
from services.intake.domain.holds import ALL_GATES, POLICY, Hold, HoldOrder, HoldScope
from shared.contracts.coordination import EpochStarted, OpenHold, PermitLapsed
from shared.contracts.vocabulary import HoldKind, PermitState, Service
from shared.messaging.unit_of_work import Cause, Work
from shared.permits.clearance import HOLDERS, ClearanceVersion

#: what a re-verification hold is about: everything the database may have lost
AUTHORITY_RESTORED: Final = "authority-restored"
#: transactions under way are waited for that often
TRIES_MAX: Final = 10


class OldPrimaryError(Exception):
    """Nobody has confirmed that the old primary is stopped: two authorities would both grant."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What `recover` did."""

    epoch: int
    cases: int
    permits_voided: int


async def recover(
    authority: Authority[R],
    *,
    reason: str,
    old_primary_is_stopped: bool,
    cause: Cause,
    epoch_min: int = 0,
) -> Recovered:
    """The new epoch, in force for every case in one transaction; others wait for it or are told.

    `epoch_min` is one more than the highest epoch that anybody remembers (heartbeats, holders), so
    that a database restored twice does not use one epoch twice. Raises `OldPrimaryError`, and
    `RetryableError` when the cases stay locked by others: then nothing has changed.
    """
    if not old_primary_is_stopped:
        raise OldPrimaryError("stop the old primary and confirm it")
    return await insisting(
        authority,
        cause,
        lambda work: recover_in(work, reason=reason, epoch_min=epoch_min),
        tries_max=TRIES_MAX,
    )


async def recover_in(
    work: Work[R], *, reason: str, epoch_min: int = 0, second: str | None = None
) -> Recovered:
    """The new epoch, in this transaction, which locks all cases first.

    Call it only after somebody has confirmed that the old primary is stopped. `second` is who
    signed with the person behind the work.
    """
    clock = work.world.lease_clock
    rows = work.rows.authority
    await rows.lock_all_cases()
    epoch = await rows.raise_epoch(epoch_min)
    await rows.keep_history()
    now = work.world.machine_clock.now()
    await rows.open_window(epoch, clock.boot_id, clock.now_ns(), now, reason, work.cause.actor)
    work.note("authority-recovered", None, epoch=epoch, reason=reason, second=second)
    case_ids = await rows.all_cases()
    voided = 0
    for case_id in case_ids:
        voided += await _reopen(work, case_id, epoch)
    return Recovered(epoch, len(case_ids), voided)


async def _reopen(work: Work[R], case_id: UUID, epoch: int) -> int:
    """The number of permits voided: the case is in the new epoch, its stream opened anew."""
    rows = work.rows.authority
    view = await rows.move_to_epoch(case_id, epoch)
    holds = await rows.open_holds(case_id)
    for hold in holds:
        await rows.stop_waiting(hold.hold_id)
        await rows.wait_for_holders(hold.hold_id, HOLDERS)
    await rows.record_anew(case_id, epoch)
    order = _reverification(work, case_id, holds)
    _open_stream(work, case_id, view, holds, order)
    voided = await _void_permits(work, case_id)
    if order is not None:
        await insert_hold(work, order)
    return voided


def _reverification(work: Work[R], case_id: UUID, holds: Sequence[Hold]) -> HoldOrder | None:
    """The hold that a person clears after having checked the case; None when one is open."""
    kind = HoldKind.REVERIFICATION
    if any((h.kind, h.episode) == (kind, AUTHORITY_RESTORED) for h in holds):
        return None
    return HoldOrder(
        hold_id=work.world.ids.new(),
        case_id=case_id,
        kind=kind,
        scope=HoldScope(ALL_GATES),
        on_running=POLICY[kind].on_running,
        reporter=f"service:{Service.INTAKE.value}",
        episode=AUTHORITY_RESTORED,
    )


def _open_stream(
    work: Work[R],
    case_id: UUID,
    view: ClearanceVersion,
    holds: Sequence[Hold],
    order: HoldOrder | None,
) -> None:
    """`epoch-started`, first in the case's new stream, with all that is open in it."""
    snapshot = [
        OpenHold(
            hold_id=hold.hold_id,
            version=hold.clearance.version,
            gates=hold.scope.gates,
            dose_ids=hold.scope.dose_ids,
            on_running=hold.on_running,
        )
        for hold in holds
    ]
    version = view.version
    if order is not None:
        version += 1
        snapshot.append(
            OpenHold(
                hold_id=order.hold_id,
                version=version,
                gates=order.scope.gates,
                dose_ids=order.scope.dose_ids,
                on_running=order.on_running,
            )
        )
    work.emit(
        EpochStarted(case_id=case_id, epoch=view.epoch, version=version, open_holds=tuple(snapshot))
    )


async def _void_permits(work: Work[R], case_id: UUID) -> int:
    rows = work.rows.authority
    out = await rows.granted_permits(case_id)
    for permit in out:
        now = work.world.machine_clock.now()
        await rows.set_permit_state(permit.permit_id, PermitState.LAPSED, now)
        work.emit(
            PermitLapsed(
                case_id=case_id,
                permit_id=permit.permit_id,
                gate=permit.gate,
                subject_id=permit.subject_id,
            )
        )
        work.note("permit-voided", case_id, permit_id=str(permit.permit_id))
    return len(out)


async def hold_cases_of_restored_holder(
    authority: Authority[R], holder: Service, cause: Cause
) -> list[Hold]:
    """Every open hold of every case, after each case that the holder may have acted in is held.

    Called by a holder whose database was restored: rows that it lost cannot mark themselves, so
    each case with a permit of it that has no outcome is held until a person has looked.
    """
    async with authority.unit_of_work.begin(cause) as work:
        touched = await work.rows.authority.cases_of_unfinished_permits(holder)
    for case_id in touched:
        async with authority.unit_of_work.begin(cause, urgent=True) as work:
            await work.rows.authority.lock_case(case_id)
            await _hold_for_holder(work, case_id, holder)
    async with authority.unit_of_work.begin(cause) as work:
        return await work.rows.authority.all_open_holds()


async def _hold_for_holder(work: Work[R], case_id: UUID, holder: Service) -> None:
    kind, episode = HoldKind.REVERIFICATION, f"{holder.value}-restored"
    if await work.rows.authority.open_hold_of(case_id, kind, None, episode) is not None:
        return
    order = _reverification(work, case_id, ())
    if order is not None:
        await insert_hold(work, replace(order, episode=episode))
