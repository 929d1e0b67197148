"""A proposal for the rest of a series after something changed; people accept it or not.

Only infusions that have not begun move, and only to later or equal places of the series' order.
Standard treatment is never asked to move: what finds no place is told as impossible, with rules.
"""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from services.infusion_scheduling.application.planning import (
    NotPlannableError,
    Site,
    place_from,
    placed_rows,
    slot_of,
    surroundings,
)
from services.infusion_scheduling.application.ports import (
    CourseRow,
    InfusionRow,
    ProposalRow,
    ScheduleRows,
)
from services.infusion_scheduling.domain.placement import Placed, Placement
from shared.contracts.infusion import PlannedInfusion, PlanProposed
from shared.messaging.unit_of_work import Work

MOVABLE = frozenset({"planned", "suspended"})


async def propose_plan(
    work: Work[ScheduleRows], site: Site, course: CourseRow, *, kind: str | None = None
) -> ProposalRow | None:
    """The new proposal, or None when every infusion stands. The fence is locked already.

    It begins with the first suspended infusion; those before it keep their places. `kind` makes the
    event's id the same on a redelivery of its cause. Raises `NotPlannableError`.
    """
    infusions = await work.rows.infusions_of_course(course.course_id)
    first = next((row for row in infusions if row.state == "suspended"), None)
    if first is None:
        return None
    moving = [row for row in infusions if row.number >= first.number and row.state in MOVABLE]
    placement = await _place(work, site, course, infusions, moving)
    proposal = _proposal(work, course, moving, placement)
    await work.rows.supersede_proposals(course.course_id)
    await work.rows.insert_proposal(proposal)
    work.emit(_proposed(course, proposal, moving, placement), kind=kind)
    return proposal


async def _place(
    work: Work[ScheduleRows],
    site: Site,
    course: CourseRow,
    infusions: Sequence[InfusionRow],
    moving: Sequence[InfusionRow],
) -> Placement:
    now = work.world.clock.now()
    numbers = frozenset(row.number for row in moving)
    around = await surroundings(work.rows, site, course.case_id, infusions, now, moving=numbers)
    template = site.templates.get(course.schedule)
    if template is None:
        raise NotPlannableError("no-such-schedule", "The protocol has no such schedule any more.")
    return place_from(
        site,
        template,
        around,
        first_number=moving[0].number,
        previous_on=day_before(site, infusions, moving[0].number),
        not_before=site.day_of(now),
    )


def day_before(site: Site, infusions: Sequence[InfusionRow], number: int) -> date | None:
    """The clinic-local day of the infusion before `number`, or None for the first."""
    before = [row for row in infusions if row.number == number - 1]
    return site.day_of(before[0].starts_at) if before else None


def _moved(moving: Sequence[InfusionRow], placement: Placement) -> list[Placed]:
    """The placements that differ from where the infusion stands unsuspended now."""
    at = {row.number: row for row in moving}
    return [
        placed
        for placed in placement.placed
        if at[placed.number].state == "suspended" or placed.slot != slot_of(at[placed.number])
    ]


def _proposal(
    work: Work[ScheduleRows],
    course: CourseRow,
    moving: Sequence[InfusionRow],
    placement: Placement,
) -> ProposalRow:
    body = {
        "plan": placed_rows(placement.placed),
        "moved": [placed.number for placed in _moved(moving, placement)],
        "impossible": [
            {"number": i.number, "reasons": list(i.reasons)} for i in placement.impossible
        ],
        "because": sorted({rule for row in moving for rule in row.rules}),
    }
    return ProposalRow(
        proposal_id=work.world.ids.new(),
        course_id=course.course_id,
        base_version=course.plan_version,
        body=body,
        status="open",
        created_at=work.world.clock.now(),
    )


def _proposed(
    course: CourseRow,
    proposal: ProposalRow,
    moving: Sequence[InfusionRow],
    placement: Placement,
) -> PlanProposed:
    ids: dict[int, UUID] = {row.number: row.infusion_id for row in moving}
    return PlanProposed(
        case_id=course.case_id,
        course_id=course.course_id,
        proposal_id=proposal.proposal_id,
        moved=tuple(
            PlannedInfusion(
                infusion_id=ids[placed.number],
                number=placed.number,
                planned_at=placed.slot.starts_at,
                dose_id=placed.dose_id,
            )
            for placed in _moved(moving, placement)
        ),
        impossible=tuple(i.number for i in placement.impossible),
        rules=tuple(proposal.body["because"]),
    )


async def propose_if_possible(work: Work[ScheduleRows], site: Site, course: CourseRow) -> None:
    """A proposal where one can be made; where none can, the suspensions stand for themselves."""
    try:
        await propose_plan(work, site, course, kind="proposal")
    except NotPlannableError as error:
        work.note("no-proposal", course.case_id, code=error.code)
