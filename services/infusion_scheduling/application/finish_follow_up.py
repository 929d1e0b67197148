"""A follow-up was carried out."""

from datetime import date
from uuid import UUID

from services.infusion_scheduling.application.ports import ScheduleRows
from shared.contracts.infusion import FollowUpDone
from shared.messaging.unit_of_work import Work
from shared.permits.rows import lock_fences


async def finish_follow_up(work: Work[ScheduleRows], follow_up_id: UUID, done_on: date) -> bool:
    """Whether the follow-up was open and is done now."""
    case_id = await work.rows.case_of_follow_up(follow_up_id)
    if case_id is None:
        return False
    await lock_fences(work.tx, [case_id])
    done = await work.rows.finish_follow_up(follow_up_id, done_on, work.cause.actor)
    if done is None:
        return False
    _, rule = done
    work.emit(FollowUpDone(case_id=case_id, follow_up_id=follow_up_id, rule=rule, done_on=done_on))
    work.note("follow-up-done", case_id, rule=rule)
    return True
