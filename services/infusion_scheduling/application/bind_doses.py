"""Released doses are bound to the infusions of the course, in order and for good.

An infusion whose dose ends before its place is suspended: it needs an earlier place.
"""

from uuid import UUID

from services.infusion_scheduling.application.plan_course import course_planned
from services.infusion_scheduling.application.planning import Site
from services.infusion_scheduling.application.ports import DoseRow, InfusionRow, ScheduleRows
from services.infusion_scheduling.application.propose_plan import MOVABLE, propose_if_possible
from shared.contracts.infusion import InfusionSuspended
from shared.messaging.unit_of_work import Work


async def bind_doses(work: Work[ScheduleRows], site: Site, case_id: UUID) -> int:
    """The number of infusions that got their dose. The fence is locked already."""
    course = await work.rows.open_course_of_case(case_id)
    if course is None:
        return 0
    infusions = await work.rows.infusions_of_course(course.course_id)
    bound = {row.dose_id for row in infusions if row.dose_id is not None}
    free = [
        dose
        for dose in await work.rows.doses_of_case(case_id)
        if dose.state == "released" and dose.dose_id not in bound
    ]
    waiting = [row for row in infusions if row.dose_id is None and row.state in MOVABLE]
    pairs = list(zip(waiting, free, strict=False))
    for infusion, dose in pairs:
        await work.rows.bind_dose(infusion.infusion_id, dose.dose_id)
    if not pairs:
        return 0
    unfit = [infusion for infusion, dose in pairs if not _fits(infusion, dose)]
    for infusion in unfit:
        await _suspend(work, infusion)
    version = await work.rows.raise_plan_version(course.course_id)
    planned = list(await work.rows.infusions_of_course(course.course_id))
    work.emit(
        course_planned(course.course_id, course.schedule, version, case_id, planned), kind="doses"
    )
    work.note("doses-bound", case_id, course_id=str(course.course_id), count=len(pairs))
    raised = await work.rows.course_by_id(course.course_id)
    if unfit and raised is not None:
        await propose_if_possible(work, site, raised)
    return len(pairs)


def _fits(infusion: InfusionRow, dose: DoseRow) -> bool:
    return dose.usable_from <= infusion.starts_at and infusion.ends_at <= dose.usable_until


async def _suspend(work: Work[ScheduleRows], infusion: InfusionRow) -> None:
    if await work.rows.suspend_infusions([(infusion.infusion_id, "dose", ())]):
        work.emit(
            InfusionSuspended(
                case_id=infusion.case_id,
                infusion_id=infusion.infusion_id,
                course_id=infusion.course_id,
                number=infusion.number,
                planned_at=infusion.starts_at,
                cause="dose",
            ),
            kind=str(infusion.infusion_id),
        )
