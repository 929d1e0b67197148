"""An independent check of a plan: it shares no code with the search that made it.

Run on every proposal before it is shown and again when it is accepted.
"""

from collections.abc import Mapping, Sequence
from datetime import date, tzinfo
from itertools import pairwise
from uuid import UUID

from services.infusion_scheduling.domain.availability import TimelinePart
from services.infusion_scheduling.domain.placement import DoseWindow, Placed
from services.infusion_scheduling.domain.schedule import ScheduleTemplate
from shared.contracts.vocabulary import Verdict


def faults_of_plan(
    plan: Sequence[Placed],
    *,
    template: ScheduleTemplate,
    parts: Sequence[TimelinePart],
    taken: frozenset[tuple[UUID, object]],
    doses: Mapping[int, DoseWindow],
    previous_on: date | None,
    zone: tzinfo,
) -> tuple[str, ...]:
    """What is wrong with the plan, as codes with the infusion's number; empty when nothing is.

    `taken` holds (chair, start) pairs that others have; `previous_on` is the day of the infusion
    before the first of the plan.
    """
    faults = [
        *_gap_faults(plan, template, previous_on, zone),
        *_closed_faults(plan, parts),
        *_chair_faults(plan, taken),
        *_dose_faults(plan, doses),
    ]
    return tuple(faults)


def _gap_faults(
    plan: Sequence[Placed], template: ScheduleTemplate, previous_on: date | None, zone: tzinfo
) -> list[str]:
    days = [(p.number, p.slot.starts_at.astimezone(zone).date()) for p in plan]
    if previous_on is not None and days:
        days.insert(0, (days[0][0] - 1, previous_on))
    faults = []
    for (before, day_before), (number, day) in pairwise(days):
        weeks = template.intervals_weeks[before - 1]
        if number != before + 1:
            faults.append(f"order:{number}")
        if (day - day_before).days < max(7 * weeks, template.days_between_min):
            faults.append(f"too-close:{number}")
    return faults


def _closed_faults(plan: Sequence[Placed], parts: Sequence[TimelinePart]) -> list[str]:
    faults = []
    for placed in plan:
        start, end = placed.slot.starts_at, placed.slot.ends_at
        touching = [p for p in parts if p.starts_at < end and start < p.ends_at]
        covered = sum(
            (min(p.ends_at, end) - max(p.starts_at, start)).total_seconds() for p in touching
        )
        closed = any(p.plan is not Verdict.GO for p in touching)
        if closed or covered < (end - start).total_seconds():
            faults.append(f"closed:{placed.number}")
    return faults


def _chair_faults(plan: Sequence[Placed], taken: frozenset[tuple[UUID, object]]) -> list[str]:
    own: set[tuple[UUID, object]] = set()
    faults = []
    for placed in plan:
        key = (placed.slot.chair_id, placed.slot.starts_at)
        if key in taken or key in own:
            faults.append(f"chair-taken:{placed.number}")
        own.add(key)
    return faults


def _dose_faults(plan: Sequence[Placed], doses: Mapping[int, DoseWindow]) -> list[str]:
    faults = []
    for placed in plan:
        window = doses.get(placed.number)
        if window is None:
            continue
        usable = window.usable_from <= placed.slot.starts_at <= placed.slot.ends_at
        if not usable or placed.slot.ends_at > window.usable_until:
            faults.append(f"dose-unusable:{placed.number}")
    return faults
