"""Vital signs at the chair: kept, judged against the stop triggers, and told.

What a trigger asks for is shown at once; whether the drip is stopped is the nurse's act.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from services.infusion_scheduling.application.ports import (
    InfusionRow,
    Phase,
    ScheduleRows,
    VitalsRow,
)
from services.infusion_scheduling.domain.monitoring import Trigger, triggers_met
from shared.contracts.infusion import ReactionGraded, VitalsRecorded
from shared.messaging.unit_of_work import Work
from shared.permits.rows import lock_fences


class UnknownInfusionError(LookupError):
    """There is no such infusion."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What was measured. `measures` maps the metric to {value, unit}, in the rulebook's units."""

    infusion_id: UUID
    phase: Phase
    taken_at: datetime
    measures: Mapping[str, Mapping[str, Any]]
    signs: frozenset[str]


async def locked_infusion(work: Work[ScheduleRows], infusion_id: UUID) -> InfusionRow:
    """The infusion as it is once its case is locked. Raises `UnknownInfusionError`."""
    seen = await work.rows.infusion_by_id(infusion_id)
    if seen is None:
        raise UnknownInfusionError(infusion_id)
    await lock_fences(work.tx, [seen.case_id])
    infusion = await work.rows.infusion_by_id(infusion_id)
    if infusion is None:
        raise UnknownInfusionError(infusion_id)
    return infusion


async def record_vitals(
    work: Work[ScheduleRows], triggers: Sequence[Trigger], vitals: Vitals
) -> tuple[Trigger, ...]:
    """The stop and pause triggers that these vital signs meet. Raises `UnknownInfusionError`."""
    infusion = await locked_infusion(work, vitals.infusion_id)
    baseline = await _baseline(work, infusion.infusion_id)
    met = triggers_met(triggers, _numbers(vitals.measures), baseline, vitals.signs)
    row = VitalsRow(
        vitals_id=work.world.ids.new(),
        infusion_id=infusion.infusion_id,
        phase=vitals.phase,
        taken_at=vitals.taken_at,
        taken_by=work.cause.actor,
        measures=vitals.measures,
        triggers=[trigger.rule for trigger in met],
    )
    await work.rows.insert_vitals(row)
    work.emit(
        VitalsRecorded(
            case_id=infusion.case_id,
            infusion_id=infusion.infusion_id,
            phase=vitals.phase,
            taken_at=vitals.taken_at,
            triggers=tuple(trigger.rule for trigger in met),
        )
    )
    work.note("vitals-recorded", infusion.case_id, infusion_id=str(infusion.infusion_id))
    return met


async def _baseline(work: Work[ScheduleRows], infusion_id: UUID) -> Mapping[str, Fraction]:
    """The last values taken before the start."""
    taken = await work.rows.vitals_of_infusion(infusion_id)
    before = [row for row in taken if row.phase == "before"]
    return _numbers(before[-1].measures) if before else {}


def _numbers(measures: Mapping[str, Mapping[str, Any]]) -> dict[str, Fraction]:
    return {metric: Fraction(str(measure["value"])) for metric, measure in measures.items()}


async def grade_reaction(
    work: Work[ScheduleRows], infusion_id: UUID, *, scale: str, grade: int, rule: str
) -> UUID:
    """The id of the graded reaction. Raises `UnknownInfusionError`."""
    infusion = await locked_infusion(work, infusion_id)
    reaction_id = work.world.ids.new()
    await work.rows.insert_reaction(
        reaction_id,
        infusion_id,
        scale=scale,
        grade=grade,
        rule=rule,
        graded_by=work.cause.actor,
        graded_at=work.world.clock.now(),
    )
    work.emit(
        ReactionGraded(
            case_id=infusion.case_id, infusion_id=infusion_id, scale=scale, grade=grade, rule=rule
        )
    )
    work.note("reaction-graded", infusion.case_id, rule=rule, grade=grade)
    return reaction_id
