"""A course is booked as a whole or not at all: every infusion in an open interval with a chair."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from services.infusion_scheduling.application.planning import (
    NotPlannableError,
    Site,
    place_from,
    surroundings,
)
from services.infusion_scheduling.application.ports import CourseRow, InfusionRow, ScheduleRows
from services.infusion_scheduling.domain.check_plan import faults_of_plan
from services.infusion_scheduling.domain.placement import Placed
from services.infusion_scheduling.domain.schedule import ScheduleTemplate
from shared.contracts.infusion import CoursePlanned, PlannedInfusion
from shared.messaging.unit_of_work import Work
from shared.permits.rows import lock_fences


@dataclass(frozen=True, slots=True)
class PlanCourse:
    """Who asks for which schedule, from which clinic-local day on at the earliest."""

    case_id: UUID
    schedule: str
    not_before: date


async def plan_course(work: Work[ScheduleRows], site: Site, command: PlanCourse) -> UUID:
    """The id of the new course. Raises `NotPlannableError`, and then nothing is booked."""
    template = site.templates.get(command.schedule)
    if template is None:
        raise NotPlannableError("no-such-schedule", "The protocol has no such schedule.")
    await lock_fences(work.tx, [command.case_id])
    if await work.rows.open_course_of_case(command.case_id) is not None:
        raise NotPlannableError("course-open", "This case has an open course already.")
    plan = await _plan(work, site, template, command)
    course_id = await _book(work, command, plan)
    work.note("course-planned", command.case_id, course_id=str(course_id), infusions=len(plan))
    return course_id


async def _plan(
    work: Work[ScheduleRows], site: Site, template: ScheduleTemplate, command: PlanCourse
) -> tuple[Placed, ...]:
    now = work.world.clock.now()
    around = await surroundings(work.rows, site, command.case_id, (), now, moving=frozenset())
    placement = place_from(
        site,
        template,
        around,
        first_number=1,
        previous_on=None,
        not_before=max(command.not_before, site.day_of(now)),
    )
    if not placement.complete:
        reasons = placement.impossible[0].reasons
        number = placement.impossible[0].number
        raise NotPlannableError(
            "no-place", f"Infusion {number} finds no place; nothing was booked.", reasons
        )
    faults = faults_of_plan(
        placement.placed,
        template=template,
        parts=around.parts,
        taken=around.taken,
        doses=around.doses,
        previous_on=None,
        zone=site.zone,
    )
    if faults:
        raise AssertionError(f"the search made a faulty plan: {faults}")
    return placement.placed


async def _book(work: Work[ScheduleRows], command: PlanCourse, plan: tuple[Placed, ...]) -> UUID:
    course = CourseRow(
        course_id=work.world.ids.new(),
        case_id=command.case_id,
        schedule=command.schedule,
        status="open",
        plan_version=1,
        planned_by=work.cause.actor,
        created_at=work.world.clock.now(),
    )
    await work.rows.insert_course(course)
    infusions = [_row(work, course, placed) for placed in plan]
    for infusion in infusions:
        await work.rows.insert_infusion(infusion)
    work.emit(course_planned(course.course_id, course.schedule, 1, command.case_id, infusions))
    return course.course_id


def _row(work: Work[ScheduleRows], course: CourseRow, placed: Placed) -> InfusionRow:
    return InfusionRow(
        infusion_id=work.world.ids.new(),
        course_id=course.course_id,
        case_id=course.case_id,
        number=placed.number,
        state="planned",
        chair_id=placed.slot.chair_id,
        starts_at=placed.slot.starts_at,
        ends_at=placed.slot.ends_at,
        dose_id=placed.dose_id,
        cause=None,
        rules=(),
        attempt=0,
        start_id=None,
    )


def course_planned(
    course_id: UUID,
    schedule: str,
    plan_version: int,
    case_id: UUID,
    infusions: list[InfusionRow],
) -> CoursePlanned:
    """The event that tells a whole plan, or a new version of it."""
    return CoursePlanned(
        case_id=case_id,
        course_id=course_id,
        plan_version=plan_version,
        schedule=schedule,
        infusions=tuple(
            PlannedInfusion(
                infusion_id=row.infusion_id,
                number=row.number,
                planned_at=row.starts_at,
                dose_id=row.dose_id,
            )
            for row in infusions
        ),
    )
