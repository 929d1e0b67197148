"""What becomes of a start changes the infusion and is told, in the same transaction.

Called by `shared.permits` with the fence locked, for each change of a start at the infusion gate.
"""

from dataclasses import dataclass
from datetime import timedelta, tzinfo
from typing import Literal, assert_never

from services.infusion_scheduling.application.ports import (
    FollowUpRow,
    InfusionRow,
    InfusionState,
    ScheduleRows,
)
from services.infusion_scheduling.domain.follow_up import FollowUpPlan
from shared.contracts.infusion import (
    FollowUpDue,
    InfusionCompleted,
    InfusionStarted,
    InfusionStopped,
)
from shared.messaging.unit_of_work import Work
from shared.permits.starts import StartChange, StartChangeKind

StopOutcome = Literal["stopped", "paused", "never_opened"]


@dataclass(frozen=True, slots=True)
class FollowStart:
    """`Holder.on_change` of infusion scheduling."""

    follow_ups: tuple[FollowUpPlan, ...]
    zone: tzinfo

    async def __call__(self, work: Work[ScheduleRows], change: StartChange) -> None:
        """Brings the infusion in line with its start."""
        infusion = await work.rows.infusion_by_id(change.start.subject_id)
        if infusion is None:
            return
        match change.kind:
            case StartChangeKind.GO | StartChangeKind.ALREADY_RUNNING:
                await _started(work, infusion, change)
            case StartChangeKind.NOT_STARTED:
                await _never_opened(work, infusion, change)
            case StartChangeKind.STOPPED | StartChangeKind.PAUSED:
                await _stopped(work, infusion, change)
            case StartChangeKind.COMPLETED:
                await _completed(work, infusion, change)
                await self._place_follow_ups(work, infusion, change)
            case StartChangeKind.STOP_ORDERED:
                pass  # the start row says so; the person at the bedside answers with stop
            case _ as never:
                assert_never(never)

    async def _place_follow_ups(
        self, work: Work[ScheduleRows], infusion: InfusionRow, change: StartChange
    ) -> None:
        given_on = change.at.astimezone(self.zone).date()
        for plan in self.follow_ups:
            row = FollowUpRow(
                follow_up_id=work.world.ids.new(),
                case_id=infusion.case_id,
                infusion_id=infusion.infusion_id,
                rule=plan.rule,
                due_on=given_on + timedelta(days=plan.day),
                window_days=plan.window_days,
                items=plan.items,
            )
            await work.rows.insert_follow_up(row)
            work.emit(
                FollowUpDue(
                    case_id=row.case_id,
                    follow_up_id=row.follow_up_id,
                    infusion_id=row.infusion_id,
                    rule=row.rule,
                    due_on=row.due_on,
                    window_days=row.window_days,
                ),
                kind=f"{infusion.infusion_id}:{plan.rule}",
            )


async def _started(work: Work[ScheduleRows], infusion: InfusionRow, change: StartChange) -> None:
    start = change.start
    await work.rows.set_infusion_state(
        infusion.infusion_id, "running", start.attempt, start.start_id
    )
    dose_id = start.dose_id or infusion.dose_id
    if dose_id is None:
        return
    work.emit(
        InfusionStarted(
            case_id=infusion.case_id,
            infusion_id=infusion.infusion_id,
            start_id=start.start_id,
            permit_id=start.permit_id,
            dose_id=dose_id,
            attempt=start.attempt,
            number=infusion.number,
            go_at=start.go_at or change.at,
            unpermitted=start.unpermitted,
        ),
        kind=f"started:{start.start_id}",
    )


async def _never_opened(
    work: Work[ScheduleRows], infusion: InfusionRow, change: StartChange
) -> None:
    if not change.was_go:
        return  # nobody ever saw a GO: the infusion is as it was
    attempt = change.start.attempt - 1
    state: InfusionState = "planned" if attempt == 0 else "paused"
    await work.rows.set_infusion_state(infusion.infusion_id, state, attempt, None)
    _tell_stopped(work, infusion, change, "never_opened")


async def _stopped(work: Work[ScheduleRows], infusion: InfusionRow, change: StartChange) -> None:
    state: Literal["paused", "stopped"] = (
        "paused" if change.kind is StartChangeKind.PAUSED else "stopped"
    )
    await work.rows.set_infusion_state(
        infusion.infusion_id, state, change.start.attempt, change.start.start_id
    )
    _tell_stopped(work, infusion, change, state)


def _tell_stopped(
    work: Work[ScheduleRows], infusion: InfusionRow, change: StartChange, outcome: StopOutcome
) -> None:
    work.emit(
        InfusionStopped(
            case_id=infusion.case_id,
            infusion_id=infusion.infusion_id,
            start_id=change.start.start_id,
            permit_id=change.start.permit_id,
            outcome=outcome,
            stopped_at=change.at,
        ),
        kind=f"{outcome}:{change.start.start_id}",
    )


async def _completed(work: Work[ScheduleRows], infusion: InfusionRow, change: StartChange) -> None:
    start = change.start
    await work.rows.set_infusion_state(
        infusion.infusion_id, "completed", start.attempt, start.start_id
    )
    dose_id = start.dose_id or infusion.dose_id
    if dose_id is None:
        return
    await work.rows.set_dose_state(dose_id, "given")
    work.emit(
        InfusionCompleted(
            case_id=infusion.case_id,
            infusion_id=infusion.infusion_id,
            start_id=start.start_id,
            dose_id=dose_id,
            number=infusion.number,
            completed_at=change.at,
        ),
        kind=f"completed:{start.start_id}",
    )
