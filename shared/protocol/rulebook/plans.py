"""The parts of the rulebook that other services plan and work by: schedules, follow-up, alerts.

Invariant: these are read, never judged, by the engine; each row keeps its id and source.
"""

from dataclasses import dataclass
from fractions import Fraction

from shared.protocol.findings import RuleSource


@dataclass(frozen=True, slots=True)
class Schedule:
    """A template of a course: `n` infusions with the weeks between them."""

    id: str
    use: str
    n: int
    intervals_weeks: tuple[int, ...]
    source: RuleSource


@dataclass(frozen=True, slots=True)
class HarvestPlan:
    """Day of culture on which a harvest is planned."""

    day_min: int
    day_target: int
    day_max: int


@dataclass(frozen=True, slots=True)
class ProcessStep:
    """A step of the culture, for planning only."""

    day: str
    step: str
    source: RuleSource


@dataclass(frozen=True, slots=True)
class CollectionMethod:
    """A way to collect; the volume is a range in mL, or None when not a draw."""

    id: str
    volume_mL: tuple[int, int] | None
    source: RuleSource


@dataclass(frozen=True, slots=True)
class MonitoringStep:
    """When vitals are due around an infusion. `first_infusion_only` None: always."""

    id: str
    phase: str
    at: str | None
    every_minutes: int | None
    until_minutes: int | None
    then_every_minutes: int | None
    for_minutes: int | None
    first_infusion_only: bool | None
    source: RuleSource


@dataclass(frozen=True, slots=True)
class StopTrigger:
    """Signs at which an infusion is stopped or paused, and how loudly that is told."""

    id: str
    any_of: tuple[str, ...]
    action: str
    escalate: str
    source: RuleSource


@dataclass(frozen=True, slots=True)
class ReactionGrade:
    """One grade of one scale, what is done, and what it means for the next infusion."""

    id: str
    scale: str
    grade: int
    definition: str | None
    action: str | None
    next_step: str | None
    escalate: str | None
    range_celsius: tuple[Fraction, Fraction | None] | None
    source: RuleSource


@dataclass(frozen=True, slots=True)
class InfusionRate:
    """How long an infusion takes."""

    min_minutes: int
    target_minutes: int
    first_15_minutes_fraction: Fraction


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What is done when after an infusion; `window_days` on either side."""

    id: str
    day: int
    window_days: int
    items: tuple[str, ...]
    source: RuleSource


@dataclass(frozen=True, slots=True)
class ResponseCode:
    """A code of tumour response and its definition."""

    id: str
    scale: str
    code: str
    definition: str
    confirm_weeks: tuple[int, int] | None
    source: RuleSource


@dataclass(frozen=True, slots=True)
class EscalationLevel:
    """Who is told, and within how many minutes somebody must answer (None: see `ack`)."""

    id: str
    name: str
    ack: str | None
    ack_minutes: int | None
    to: tuple[str, ...]
    patient_text: str | None
    source: RuleSource


@dataclass(frozen=True, slots=True)
class RedFlagRule:
    """A warning symptom and how urgent it is."""

    id: str
    symptom: str
    level: str
    detail: str | None
    source: RuleSource


@dataclass(frozen=True, slots=True)
class ChecklistRow:
    """An item of the evaluation checklist and what answers it."""

    item: str
    title: str
    items: tuple[str, ...]
    indications: bool
    asks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Principle:
    """A sentence that always holds (COORD-001..004)."""

    id: str
    text: str
    source: RuleSource


@dataclass(frozen=True, slots=True)
class Plans:
    """Everything above, in the rulebook's order."""

    schedules: tuple[Schedule, ...]
    harvest: HarvestPlan
    process: tuple[ProcessStep, ...]
    methods: tuple[CollectionMethod, ...]
    monitored_vitals: tuple[str, ...]
    monitoring: tuple[MonitoringStep, ...]
    stop_triggers: tuple[StopTrigger, ...]
    reactions: tuple[ReactionGrade, ...]
    rate: InfusionRate
    premedication: tuple[str, ...]
    premedication_avoid: tuple[str, ...]
    follow_up: tuple[FollowUp, ...]
    responses: tuple[ResponseCode, ...]
    escalation: tuple[EscalationLevel, ...]
    red_flags: tuple[RedFlagRule, ...]
    principles: tuple[Principle, ...]
