"""What planning works with: the rows of a case as the domain sees them, and the rules of the site.

Shared by planning a course, proposing and accepting; every function here reads only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final
from uuid import UUID

from services.infusion_scheduling.application.ports import DoseRow, InfusionRow, ScheduleRows
from services.infusion_scheduling.domain.availability import Availability, TimelinePart
from services.infusion_scheduling.domain.chairs import FreeSlots
from services.infusion_scheduling.domain.course import Begun, Infusion, Planned, Suspended
from services.infusion_scheduling.domain.placement import (
    DoseWindow,
    Placed,
    Placement,
    SeriesRequest,
    Slot,
    place_series,
)
from services.infusion_scheduling.domain.schedule import ScheduleTemplate

#: as far as intake publishes timelines; a longer search could not find an open interval
HORIZON: Final = timedelta(days=540)


@dataclass(frozen=True, slots=True)
class Site:
    """What planning must know of the clinic: its zone and the protocol's schedule templates."""

    zone: tzinfo
    templates: Mapping[str, ScheduleTemplate]

    def day_of(self, instant: datetime) -> date:
        """The clinic-local day of an instant."""
        return instant.astimezone(self.zone).date()


class NotPlannableError(Exception):
    """No plan can be made. `code` is stable; `reasons` are rule ids or planning codes."""

    def __init__(self, code: str, title: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(title)
        self.code = code
        self.title = title
        self.reasons = tuple(reasons)


def slot_of(row: InfusionRow) -> Slot:
    """The chair and time of an infusion."""
    return Slot(row.starts_at, row.ends_at, row.chair_id)


def infusion_of(row: InfusionRow) -> Infusion:
    """The infusion in the state that it is in."""
    place = (row.infusion_id, row.number, slot_of(row), row.dose_id)
    match row.state:
        case "planned":
            return Planned(*place)
        case "suspended":
            return Suspended(*place, row.cause or "", tuple(row.rules))
        case _:
            return Begun(*place)


def dose_windows(
    infusions: Sequence[InfusionRow], doses: Sequence[DoseRow]
) -> Mapping[int, DoseWindow]:
    """The dose of each number that has one bound."""
    known = {dose.dose_id: dose for dose in doses}
    return {
        row.number: DoseWindow(dose.dose_id, dose.usable_from, dose.usable_until)
        for row in infusions
        if row.dose_id is not None and (dose := known.get(row.dose_id)) is not None
    }


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything around a series that does not move: timeline, chairs of others, doses."""

    parts: Sequence[TimelinePart]
    taken: frozenset[tuple[UUID, datetime]]
    slots: FreeSlots
    doses: Mapping[int, DoseWindow]


async def surroundings(
    rows: ScheduleRows,
    site: Site,
    case_id: UUID,
    infusions: Sequence[InfusionRow],
    now: datetime,
    *,
    moving: frozenset[int],
) -> Surroundings:
    """What stands around the infusions `moving` (numbers) of a course.

    Raises `NotPlannableError` while intake has published no timeline for the case: what is not
    known to be open is not planned.
    """
    parts = await rows.timeline_of_case(case_id)
    if parts is None:
        raise NotPlannableError("no-timeline", "Intake has not published this case's timeline yet.")
    course_id = infusions[0].course_id if infusions else None
    others = await rows.taken_slots(now, course_id)
    own = {(i.chair_id, i.starts_at) for i in infusions if i.number not in moving}
    taken = others | frozenset(own)
    chairs = await rows.chairs()
    today = site.day_of(now)
    slots = FreeSlots(chairs, taken, first=today, last=today + HORIZON, after=now, zone=site.zone)
    doses = dose_windows(infusions, await rows.doses_of_case(case_id))
    return Surroundings(parts, taken, slots, doses)


def place_from(
    site: Site,
    template: ScheduleTemplate,
    around: Surroundings,
    *,
    first_number: int,
    previous_on: date | None,
    not_before: date,
) -> Placement:
    """The series from `first_number` on, each at its earliest place."""
    request = SeriesRequest(template, first_number, previous_on, not_before, around.doses)
    return place_series(request, Availability(around.parts), around.slots, site.zone)


def placed_rows(plan: Sequence[Placed]) -> list[dict[str, object]]:
    """A plan in the form in which proposals are kept and shown."""
    return [
        {
            "number": placed.number,
            "chair_id": str(placed.slot.chair_id),
            "starts_at": placed.slot.starts_at.isoformat(),
            "ends_at": placed.slot.ends_at.isoformat(),
            "dose_id": None if placed.dose_id is None else str(placed.dose_id),
        }
        for placed in plan
    ]
