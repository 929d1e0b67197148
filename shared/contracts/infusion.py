"""Events of infusion scheduling, on `tandem.infusion.v1`: the course, each infusion, follow-up."""

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.contracts.event import Event
from shared.contracts.vocabulary import Gate, InFlight, Lane, Service


class InfusionEvent(Event):
    """The base of infusion scheduling's events."""

    owner: ClassVar[Service] = Service.INFUSION_SCHEDULING


class PlannedInfusion(BaseModel):
    """One infusion of a course as planned."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    infusion_id: UUID
    number: int = Field(ge=1)
    planned_at: AwareDatetime
    dose_id: UUID | None = None


class PlanSigned(InfusionEvent):
    """A version of the personal plan was signed."""

    type: ClassVar[str] = "tandem.infusion.plan-signed.v1"
    course_id: UUID
    plan_version: int = Field(ge=1)


class CoursePlanned(InfusionEvent):
    """A whole series was placed, or placed anew; every infusion stands in a plan interval."""

    type: ClassVar[str] = "tandem.infusion.course-planned.v1"
    course_id: UUID
    plan_version: int = Field(ge=1)
    schedule: str
    infusions: tuple[PlannedInfusion, ...]


class ContinuationDecided(InfusionEvent):
    """A physician decided whether the rest of the course goes on."""

    type: ClassVar[str] = "tandem.infusion.continuation-decided.v1"
    course_id: UUID
    decision: Literal["continue", "change", "pause", "stop"]


class PlanProposed(InfusionEvent):
    """A proposal for the rest of the series; a person accepts it."""

    type: ClassVar[str] = "tandem.infusion.plan-proposed.v1"
    course_id: UUID
    proposal_id: UUID
    moved: tuple[PlannedInfusion, ...]
    impossible: tuple[int, ...] = Field(description="infusion numbers that no day was found for")
    rules: tuple[str, ...]


class PlanAccepted(InfusionEvent):
    """A proposal was accepted after it was checked again."""

    type: ClassVar[str] = "tandem.infusion.plan-accepted.v1"
    course_id: UUID
    proposal_id: UUID
    plan_version: int = Field(ge=1)


class InfusionSuspended(InfusionEvent):
    """A planned infusion no longer fits; it cannot be started until it is placed anew."""

    type: ClassVar[str] = "tandem.infusion.infusion-suspended.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    infusion_id: UUID
    course_id: UUID
    number: int = Field(ge=1)
    planned_at: AwareDatetime
    cause: Literal["hold", "timeline", "dose", "capacity", "person"]
    hold_id: UUID | None = None
    rules: tuple[str, ...] = ()


class InfusionReinstated(InfusionEvent):
    """What had suspended the infusion is gone; it stands again at its old place."""

    type: ClassVar[str] = "tandem.infusion.infusion-reinstated.v1"
    infusion_id: UUID
    course_id: UUID
    number: int = Field(ge=1)
    planned_at: AwareDatetime


class InfusionRescheduled(InfusionEvent):
    """An infusion moved to another time."""

    type: ClassVar[str] = "tandem.infusion.infusion-rescheduled.v1"
    infusion_id: UUID
    number: int = Field(ge=1)
    planned_at: AwareDatetime
    previous_at: AwareDatetime


class InfusionSlotFreed(InfusionEvent):
    """A chair's slot is free again."""

    type: ClassVar[str] = "tandem.infusion.slot-freed.v1"
    slot_id: UUID
    starts_at: AwareDatetime


class SlotOffered(InfusionEvent):
    """A freed slot was offered to this case."""

    type: ClassVar[str] = "tandem.infusion.slot-offered.v1"
    slot_id: UUID
    starts_at: AwareDatetime
    offer_ends_at: AwareDatetime


class StartRequested(InfusionEvent):
    """A person pressed start."""

    type: ClassVar[str] = "tandem.infusion.start-requested.v1"
    infusion_id: UUID
    permit_id: UUID
    attempt: int = Field(ge=1)


class StartRefused(InfusionEvent):
    """The start was refused, with all reasons."""

    type: ClassVar[str] = "tandem.infusion.start-refused.v1"
    infusion_id: UUID
    permit_id: UUID | None
    codes: tuple[str, ...]
    rules: tuple[str, ...]


class InfusionStarted(InfusionEvent):
    """The start is committed (`go_at`), under a permit or recorded afterwards without one."""

    type: ClassVar[str] = "tandem.infusion.infusion-started.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    infusion_id: UUID
    start_id: UUID
    permit_id: UUID | None
    dose_id: UUID
    attempt: int = Field(ge=1)
    number: int = Field(ge=1)
    go_at: AwareDatetime
    unpermitted: bool = False


class InfusionStopped(InfusionEvent):
    """The infusion was stopped or paused, or never began."""

    type: ClassVar[str] = "tandem.infusion.infusion-stopped.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    infusion_id: UUID
    start_id: UUID
    permit_id: UUID | None
    outcome: Literal["stopped", "paused", "never_opened"]
    stopped_at: AwareDatetime


class InfusionCompleted(InfusionEvent):
    """The dose was given in full."""

    type: ClassVar[str] = "tandem.infusion.infusion-completed.v1"
    safety: ClassVar[bool] = True
    infusion_id: UUID
    start_id: UUID
    dose_id: UUID
    number: int = Field(ge=1)
    completed_at: AwareDatetime


class VitalsRecorded(InfusionEvent):
    """Vital signs were taken; their values are read by API."""

    type: ClassVar[str] = "tandem.infusion.vitals-recorded.v1"
    infusion_id: UUID
    phase: Literal["before", "during", "after"]
    taken_at: AwareDatetime
    triggers: tuple[str, ...] = Field(default=(), description="stop or pause rules that were met")


class VitalsOverdue(InfusionEvent):
    """A monitoring time passed without vital signs."""

    type: ClassVar[str] = "tandem.infusion.vitals-overdue.v1"
    infusion_id: UUID
    due_at: AwareDatetime


class ReactionGraded(InfusionEvent):
    """A reaction to the infusion was graded."""

    type: ClassVar[str] = "tandem.infusion.reaction-graded.v1"
    safety: ClassVar[bool] = True
    infusion_id: UUID
    scale: str
    grade: int = Field(ge=1, le=5)
    rule: str


class FollowUpDue(InfusionEvent):
    """A follow-up was placed after an infusion."""

    type: ClassVar[str] = "tandem.infusion.follow-up-due.v1"
    follow_up_id: UUID
    infusion_id: UUID
    rule: str
    due_on: date
    window_days: int = Field(ge=0)


class FollowUpDone(InfusionEvent):
    """A follow-up was carried out."""

    type: ClassVar[str] = "tandem.infusion.follow-up-done.v1"
    follow_up_id: UUID
    rule: str
    done_on: date


class ResponseAssessed(InfusionEvent):
    """The objective response was assessed; how the patient feels is another field elsewhere."""

    type: ClassVar[str] = "tandem.infusion.response-assessed.v1"
    scale: Literal["recist_1_1", "irecist"]
    rule: str
    assessed_on: date


class InfusionHoldAcknowledged(InfusionEvent):
    """Infusion scheduling has fenced its starts against this hold."""

    type: ClassVar[str] = "tandem.infusion.hold-acknowledged.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    hold_id: UUID
    epoch: int = Field(ge=0)
    version: int = Field(ge=0)
    in_flight: InFlight


class InfusionStartAnswered(InfusionEvent):
    """What became of a permit that infusion scheduling asked for."""

    type: ClassVar[str] = "tandem.infusion.permit-outcome.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    permit_id: UUID | None
    start_id: UUID
    gate: Gate
    subject_id: UUID
    dose_id: UUID | None
    attempt: int = Field(ge=1)
    outcome: Literal["consumed", "undone", "unpermitted"]
    decided_at: AwareDatetime


class InfusionCaseParked(InfusionEvent):
    """Infusion scheduling could not process an event of this case; later ones wait in order."""

    type: ClassVar[str] = "tandem.infusion.case-parked.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    sequenced: ClassVar[bool] = False
    consumer: Service
    parked_source: Service
    parked_sequence: int | None


class InfusionCaseUnparked(InfusionEvent):
    """Infusion scheduling has caught up with this case again."""

    type: ClassVar[str] = "tandem.infusion.case-unparked.v1"
    safety: ClassVar[bool] = True
    sequenced: ClassVar[bool] = False
    consumer: Service
