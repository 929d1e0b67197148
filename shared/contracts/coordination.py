"""Events of intake, on `tandem.coordination.v1`: case, facts, decisions, holds and permits."""

from datetime import date, datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.contracts.event import Event
from shared.contracts.vocabulary import (
    EffectiveBy,
    Gate,
    HoldKind,
    Lane,
    OnRunning,
    RefusalCode,
    Service,
    Verdict,
)

Version = Annotated[int, Field(ge=0, description="the case's clearance version")]
Epoch = Annotated[int, Field(ge=0, description="raised by `tandem recover`; voids older permits")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CoordinationEvent(Event):
    """The base of intake's events."""

    owner: ClassVar[Service] = Service.INTAKE


class CaseOpened(CoordinationEvent):
    """A case was opened for a referred patient."""

    type: ClassVar[str] = "tandem.coordination.case-opened.v1"
    protocol_version: str


class IdentityMerged(CoordinationEvent):
    """Two records were merged into this case; a hold stays until a person confirms."""

    type: ClassVar[str] = "tandem.coordination.identity-merged.v1"
    safety: ClassVar[bool] = True
    other_case_id: UUID
    hold_id: UUID


class IdentityUnmerged(CoordinationEvent):
    """A merge was taken back; a hold stays until a person confirms."""

    type: ClassVar[str] = "tandem.coordination.identity-unmerged.v1"
    safety: ClassVar[bool] = True
    other_case_id: UUID
    hold_id: UUID


class FactRecorded(CoordinationEvent):
    """A clinical fact or an oncology event joined the record. Its value is read by API."""

    type: ClassVar[str] = "tandem.coordination.fact-recorded.v1"
    fact_id: UUID
    kind: str
    effective_day: date | None
    gates: frozenset[Gate] = Field(description="gates whose decision this fact changed")


class FactCorrected(CoordinationEvent):
    """A fact was corrected, or withdrawn as entered in error; history stays."""

    type: ClassVar[str] = "tandem.coordination.fact-corrected.v1"
    fact_id: UUID
    superseded_by: UUID | None
    kind: str
    gates: frozenset[Gate]


class EligibilityDecided(CoordinationEvent):
    """A physician signed the eligibility decision; the engine's advice stands beside it."""

    type: ClassVar[str] = "tandem.coordination.eligibility-decided.v1"
    outcome: Literal["suitable", "postponed", "standard_treatment_first", "not_suitable"]
    advice: Literal["suitable", "postponed", "standard_treatment_first", "not_suitable"]
    reevaluate_on: date | None


class ConsentRecorded(CoordinationEvent):
    """The patient signed the consent, realistic expectations included."""

    type: ClassVar[str] = "tandem.coordination.consent-recorded.v1"
    document_version: str
    signed_on: date


class ConsentWithdrawn(CoordinationEvent):
    """The patient withdrew consent; a hold closes every open step."""

    type: ClassVar[str] = "tandem.coordination.consent-withdrawn.v1"
    safety: ClassVar[bool] = True
    withdrawn_on: date


class DueItem(_Part):
    """Evidence that a planned step still needs, and when it is useful."""

    item: str
    not_before: date
    not_after: date
    owner: str


class TimelineInterval(_Part):
    """`[from, to)` with one verdict for planning and one for starting."""

    starts_at: AwareDatetime
    ends_at: AwareDatetime
    start: Verdict
    plan: Verdict
    rules: tuple[str, ...]
    plan_rules: tuple[str, ...] = Field(
        default=(), description="those of the rules that also close planning"
    )
    due: tuple[DueItem, ...] = ()


class TimelinePublished(CoordinationEvent):
    """The intervals of one gate, as the record stands at `version`."""

    type: ClassVar[str] = "tandem.coordination.timeline-published.v1"
    gate: Gate
    epoch: Epoch
    version: Version
    timeline_version: int = Field(ge=1, description="rises by one with each publication per gate")
    protocol_version: str
    intervals: tuple[TimelineInterval, ...]


class HoldRecorded(CoordinationEvent):
    """A hold was placed, by a rule or by a person. Holders fence, suspend and acknowledge."""

    type: ClassVar[str] = "tandem.coordination.hold-recorded.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    hold_id: UUID
    epoch: Epoch
    version: Version
    kind: HoldKind
    rule: str | None = None
    gates: frozenset[Gate]
    dose_ids: frozenset[UUID] | None = Field(
        default=None, description="None: every dose; else only these"
    )
    on_running: OnRunning
    effective: bool = Field(description="True when no permit was out: nothing can start any more")
    may_be_running_until: AwareDatetime | None = None
    expected_until: AwareDatetime | None = Field(
        default=None,
        description="planned steps before it cannot stay; None: the timeline tells (rule) or no"
        " end is known (person)",
    )


class HoldEffective(CoordinationEvent):
    """No step in the hold's scope can start any more."""

    type: ClassVar[str] = "tandem.coordination.hold-effective.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    hold_id: UUID
    effective_by: EffectiveBy


class HoldOverdue(CoordinationEvent):
    """A hold was not acknowledged, or a step that it stops did not stop, in time; it is paged."""

    type: ClassVar[str] = "tandem.coordination.hold-overdue.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    hold_id: UUID
    overdue: Literal["unacknowledged", "not_stopped"]


class HoldReleased(CoordinationEvent):
    """A hold was released, by its rule or by a person."""

    type: ClassVar[str] = "tandem.coordination.hold-released.v1"
    safety: ClassVar[bool] = True
    hold_id: UUID
    epoch: Epoch
    version: Version
    gates: frozenset[Gate]
    kind: HoldKind
    rule: str | None = None


class PermitGranted(CoordinationEvent):
    """A start permit was granted; it lapses by itself."""

    type: ClassVar[str] = "tandem.coordination.permit-granted.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    permit_id: UUID
    gate: Gate
    holder: Service
    subject_id: UUID
    dose_id: UUID | None
    attempt: int = Field(ge=1)
    epoch: Epoch
    version: Version
    ttl_ms: int = Field(gt=0)


class PermitDenied(CoordinationEvent):
    """A start permit was refused, with all reasons."""

    type: ClassVar[str] = "tandem.coordination.permit-denied.v1"
    permit_id: UUID
    gate: Gate
    holder: Service
    subject_id: UUID
    codes: tuple[RefusalCode, ...]
    rules: tuple[str, ...]
    hold_ids: tuple[UUID, ...]


class PermitConsumed(CoordinationEvent):
    """The holder started on this permit."""

    type: ClassVar[str] = "tandem.coordination.permit-consumed.v1"
    safety: ClassVar[bool] = True
    permit_id: UUID
    gate: Gate
    subject_id: UUID


class PermitUndone(CoordinationEvent):
    """The step never began although GO was shown; the dose is free again."""

    type: ClassVar[str] = "tandem.coordination.permit-undone.v1"
    safety: ClassVar[bool] = True
    permit_id: UUID
    gate: Gate
    subject_id: UUID


class PermitLapsed(CoordinationEvent):
    """A permit's time passed without word from the holder."""

    type: ClassVar[str] = "tandem.coordination.permit-lapsed.v1"
    safety: ClassVar[bool] = True
    permit_id: UUID
    gate: Gate
    subject_id: UUID


class OpenHold(_Part):
    """One hold of the snapshot that opens an epoch."""

    hold_id: UUID
    version: Version
    gates: frozenset[Gate]
    dose_ids: frozenset[UUID] | None
    on_running: OnRunning


class EpochStarted(CoordinationEvent):
    """The authority was restored: older permits are void; this snapshot replaces the replica."""

    type: ClassVar[str] = "tandem.coordination.epoch-started.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    epoch: Epoch
    version: Version
    open_holds: tuple[OpenHold, ...]


class ReviewDecided(CoordinationEvent):
    """A clinician decided a review finding: proceed or wait."""

    type: ClassVar[str] = "tandem.coordination.review-decided.v1"
    rule: str
    gate: Gate
    decision: Literal["proceed", "wait"]
    valid_until: AwareDatetime


class OverrideRecorded(CoordinationEvent):
    """A soft rule was overridden, with a second signature, for at most a day."""

    type: ClassVar[str] = "tandem.coordination.override-recorded.v1"
    override_id: UUID
    rule: str
    gate: Gate
    valid_until: AwareDatetime


class OverrideEnded(CoordinationEvent):
    """An override no longer counts: its time passed or a new fact answered its rule."""

    type: ClassVar[str] = "tandem.coordination.override-ended.v1"
    override_id: UUID
    rule: str
    gate: Gate
    reason: Literal["expired", "new_fact", "withdrawn"]


class OncologyPlanAcknowledged(CoordinationEvent):
    """The treating oncologist acknowledged the coordination plan."""

    type: ClassVar[str] = "tandem.coordination.oncology-plan-acknowledged.v1"
    acknowledged_on: date


class SourceSilent(CoordinationEvent):
    """A source of this case's evidence is silent beyond its limit: what it supplies is unknown."""

    type: ClassVar[str] = "tandem.coordination.source-silent.v1"
    silence_id: str = Field(description="the same for every case that this silence concerns")
    source_name: str
    feed: str
    since: datetime = Field(description="when it was last heard, or first expected")


class SourceHeardAgain(CoordinationEvent):
    """A source that was silent is heard again; what it supplies counts as before."""

    type: ClassVar[str] = "tandem.coordination.source-heard-again.v1"
    silence_id: str = Field(description="the silence that ended")
    source_name: str
    feed: str


class RedFlagReported(CoordinationEvent):
    """A symptom that needs a physician now was reported."""

    type: ClassVar[str] = "tandem.coordination.red-flag-reported.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    fact_id: UUID
    flag: str
    level: Literal["L1", "L2", "L3", "L4"]
    reported_at: datetime


class CaseClosed(CoordinationEvent):
    """The case was closed; its history stays."""

    type: ClassVar[str] = "tandem.coordination.case-closed.v1"
    reason: Literal["completed", "not_suitable", "withdrawn", "deceased", "transferred"]


class CoordinationCaseParked(CoordinationEvent):
    """Intake could not process an event of this case; later ones wait in order."""

    type: ClassVar[str] = "tandem.coordination.case-parked.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    sequenced: ClassVar[bool] = False
    consumer: Service
    parked_source: Service
    parked_sequence: int | None


class CoordinationCaseUnparked(CoordinationEvent):
    """Intake has caught up with this case again."""

    type: ClassVar[str] = "tandem.coordination.case-unparked.v1"
    safety: ClassVar[bool] = True
    sequenced: ClassVar[bool] = False
    consumer: Service
