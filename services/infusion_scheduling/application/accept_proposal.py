"""A person accepts a proposal: checked again against the world of now, then booked in one step."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.infusion_scheduling.application.plan_course import course_planned
from services.infusion_scheduling.application.planning import (
    NotPlannableError,
    Site,
    surroundings,
)
from services.infusion_scheduling.application.ports import (
    CourseRow,
    InfusionRow,
    ProposalRow,
    ScheduleRows,
)
from services.infusion_scheduling.application.propose_plan import day_before
from services.infusion_scheduling.domain.check_plan import faults_of_plan
from services.infusion_scheduling.domain.placement import Placed, Slot
from shared.contracts.infusion import InfusionRescheduled, PlanAccepted
from shared.messaging.unit_of_work import Work
from shared.permits.rows import lock_fences


async def accept_proposal(
    work: Work[ScheduleRows], site: Site, course_id: UUID, proposal_id: UUID
) -> int:
    """The new plan version. Raises `NotPlannableError`, and then nothing has moved."""
    course = await work.rows.course_by_id(course_id)
    if course is None:
        raise NotPlannableError("no-such-course", "There is no such course.")
    await lock_fences(work.tx, [course.case_id])
    course = await work.rows.course_by_id(course_id)
    proposal = await work.rows.proposal_by_id(proposal_id)
    if course is None or proposal is None or proposal.course_id != course_id:
        raise NotPlannableError("no-such-proposal", "There is no such proposal.")
    if proposal.status != "open" or proposal.base_version != course.plan_version:
        raise NotPlannableError("superseded", "The plan has changed since; look at the new one.")
    if proposal.body["impossible"]:
        raise NotPlannableError("incomplete", "Some infusions find no place; it cannot be taken.")
    infusions = await work.rows.infusions_of_course(course_id)
    plan = [_placed(entry) for entry in proposal.body["plan"]]
    await _check(work, site, course, infusions, plan)
    return await _book(work, course, infusions, plan, proposal)


def _placed(entry: Mapping[str, Any]) -> Placed:
    slot = Slot(
        datetime.fromisoformat(entry["starts_at"]),
        datetime.fromisoformat(entry["ends_at"]),
        UUID(entry["chair_id"]),
    )
    dose_id = None if entry["dose_id"] is None else UUID(entry["dose_id"])
    return Placed(int(entry["number"]), slot, dose_id)


async def _check(
    work: Work[ScheduleRows],
    site: Site,
    course: CourseRow,
    infusions: Sequence[InfusionRow],
    plan: Sequence[Placed],
) -> None:
    now = work.world.clock.now()
    moving = frozenset(placed.number for placed in plan)
    around = await surroundings(work.rows, site, course.case_id, infusions, now, moving=moving)
    faults = faults_of_plan(
        plan,
        template=site.templates[course.schedule],
        parts=around.parts,
        taken=around.taken,
        doses=around.doses,
        previous_on=day_before(site, infusions, plan[0].number),
        zone=site.zone,
    )
    if faults:
        raise NotPlannableError("no-longer-valid", "It no longer fits; ask anew.", faults)


async def _book(
    work: Work[ScheduleRows],
    course: CourseRow,
    infusions: Sequence[InfusionRow],
    plan: Sequence[Placed],
    proposal: ProposalRow,
) -> int:
    rows = {row.number: row for row in infusions}
    for placed in plan:
        await _move(work, rows[placed.number], placed)
    await work.rows.accept_proposal(proposal.proposal_id)
    version = await work.rows.raise_plan_version(course.course_id)
    work.emit(
        PlanAccepted(
            case_id=course.case_id,
            course_id=course.course_id,
            proposal_id=proposal.proposal_id,
            plan_version=version,
        )
    )
    now_planned = list(await work.rows.infusions_of_course(course.course_id))
    work.emit(
        course_planned(course.course_id, course.schedule, version, course.case_id, now_planned)
    )
    work.note("plan-accepted", course.case_id, course_id=str(course.course_id), version=version)
    return version


async def _move(work: Work[ScheduleRows], row: InfusionRow, placed: Placed) -> None:
    slot = placed.slot
    if not await work.rows.move_infusion(
        row.infusion_id, slot.chair_id, slot.starts_at, slot.ends_at
    ):
        raise NotPlannableError("begun", f"Infusion {row.number} has begun meanwhile.")
    if slot.starts_at != row.starts_at:
        work.emit(
            InfusionRescheduled(
                case_id=row.case_id,
                infusion_id=row.infusion_id,
                number=row.number,
                planned_at=slot.starts_at,
                previous_at=row.starts_at,
            )
        )
