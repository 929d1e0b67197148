"""A hold or a new timeline meets a course: what no longer fits is suspended, and a proposal made.

Idempotent by result: suspending a suspended infusion changes nothing and tells nothing.
"""

from collections.abc import Sequence
from uuid import UUID

from services.infusion_scheduling.application.planning import Site, infusion_of
from services.infusion_scheduling.application.ports import CourseRow, ScheduleRows
from services.infusion_scheduling.application.propose_plan import propose_if_possible
from services.infusion_scheduling.domain.availability import Availability
from services.infusion_scheduling.domain.course import Revision, Suspension, revise
from shared.contracts.infusion import InfusionReinstated, InfusionSuspended
from shared.messaging.unit_of_work import Work


async def revise_course(work: Work[ScheduleRows], site: Site, case_id: UUID) -> Revision | None:
    """What changed, or None when the case has no open course. The fence is locked already."""
    course = await work.rows.open_course_of_case(case_id)
    if course is None:
        return None
    revision = await _revision(work, course)
    await _suspend(work, course, revision.suspensions)
    for infusion in revision.reinstated:
        if await work.rows.reinstate_infusion(infusion.infusion_id):
            work.emit(
                InfusionReinstated(
                    case_id=case_id,
                    infusion_id=infusion.infusion_id,
                    course_id=course.course_id,
                    number=infusion.number,
                    planned_at=infusion.slot.starts_at,
                ),
                kind=str(infusion.infusion_id),
            )
    if revision.suspensions or revision.reinstated:
        work.note(
            "course-revised",
            case_id,
            suspended=len(revision.suspensions),
            reinstated=len(revision.reinstated),
        )
        await propose_if_possible(work, site, course)
    return revision


async def _revision(work: Work[ScheduleRows], course: CourseRow) -> Revision:
    parts = await work.rows.timeline_of_case(course.case_id)
    infusions = await work.rows.infusions_of_course(course.course_id)
    return revise(
        [infusion_of(row) for row in infusions],
        availability=None if parts is None else Availability(parts),
        holds=await work.rows.open_holds_of_case(course.case_id),
        now=work.world.clock.now(),
    )


async def _suspend(
    work: Work[ScheduleRows], course: CourseRow, suspensions: Sequence[Suspension]
) -> None:
    suspended = await work.rows.suspend_infusions(
        [(each.infusion.infusion_id, each.cause, each.rules) for each in suspensions]
    )
    for suspension in suspensions:
        infusion = suspension.infusion
        if infusion.infusion_id not in suspended:
            continue
        work.emit(
            InfusionSuspended(
                case_id=course.case_id,
                infusion_id=infusion.infusion_id,
                course_id=course.course_id,
                number=infusion.number,
                planned_at=infusion.slot.starts_at,
                cause=suspension.cause,
                hold_id=suspension.hold_id,
                rules=suspension.rules,
            ),
            kind=str(infusion.infusion_id),
        )
