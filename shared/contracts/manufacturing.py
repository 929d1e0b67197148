"""Events of manufacturing, on `tandem.manufacturing.v1`: from collection to the dose handed out."""

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.contracts.event import Event
from shared.contracts.vocabulary import Gate, InFlight, Lane, Service


class ManufacturingEvent(Event):
    """The base of manufacturing's events."""

    owner: ClassVar[Service] = Service.MANUFACTURING


class CollectionBooked(ManufacturingEvent):
    """A collection was booked against a manufacturing slot."""

    type: ClassVar[str] = "tandem.manufacturing.collection-booked.v1"
    collection_id: UUID
    method: Literal["apheresis", "blood_draw"]
    planned_on: date


class CollectionDone(ManufacturingEvent):
    """Starting material was collected from the patient."""

    type: ClassVar[str] = "tandem.manufacturing.collection-done.v1"
    collection_id: UUID
    method: Literal["apheresis", "blood_draw"]
    collected_at: AwareDatetime


class MaterialReceived(ManufacturingEvent):
    """The labelled starting material arrived and its identity was matched."""

    type: ClassVar[str] = "tandem.manufacturing.material-received.v1"
    collection_id: UUID
    batch_id: UUID
    received_at: AwareDatetime


class BatchStarted(ManufacturingEvent):
    """The culture was started under a permit."""

    type: ClassVar[str] = "tandem.manufacturing.batch-started.v1"
    batch_id: UUID
    started_at: AwareDatetime
    harvest_forecast_on: date


class MeasureRecorded(ManufacturingEvent):
    """An in-process measure was taken; its value is read by API."""

    type: ClassVar[str] = "tandem.manufacturing.measure-recorded.v1"
    batch_id: UUID
    metric: str
    measured_at: AwareDatetime


class GrowthForecastChanged(ManufacturingEvent):
    """The forecast harvest day moved."""

    type: ClassVar[str] = "tandem.manufacturing.growth-forecast-changed.v1"
    batch_id: UUID
    forecast_on: date
    previous_on: date


class Harvested(ManufacturingEvent):
    """The culture was harvested."""

    type: ClassVar[str] = "tandem.manufacturing.harvested.v1"
    batch_id: UUID
    harvested_at: AwareDatetime


class QcResultRecorded(ManufacturingEvent):
    """A release test was reported; `passed` is None while the specification cannot judge it."""

    type: ClassVar[str] = "tandem.manufacturing.qc-result-recorded.v1"
    batch_id: UUID
    rule: str
    passed: bool | None
    reported_at: AwareDatetime


class DeviationOpened(ManufacturingEvent):
    """A deviation was opened; an open one blocks release."""

    type: ClassVar[str] = "tandem.manufacturing.deviation-opened.v1"
    deviation_id: UUID
    batch_id: UUID | None


class DeviationClosed(ManufacturingEvent):
    """A deviation was closed by quality assurance."""

    type: ClassVar[str] = "tandem.manufacturing.deviation-closed.v1"
    deviation_id: UUID
    batch_id: UUID | None


class BatchReleased(ManufacturingEvent):
    """Two people released the batch against its specification; its doses may be used."""

    type: ClassVar[str] = "tandem.manufacturing.batch-released.v1"
    batch_id: UUID
    certificate_id: UUID
    dose_ids: tuple[UUID, ...]
    form: Literal["fresh", "cryopreserved"]
    formulated_at: AwareDatetime
    expires_at: AwareDatetime


class BatchReleasedConditionally(ManufacturingEvent):
    """Released while the 14-day sterility result is pending."""

    type: ClassVar[str] = "tandem.manufacturing.batch-released-conditionally.v1"
    batch_id: UUID
    certificate_id: UUID
    dose_ids: tuple[UUID, ...]
    form: Literal["fresh", "cryopreserved"]
    formulated_at: AwareDatetime
    expires_at: AwareDatetime
    pending: tuple[str, ...]


class BatchRejected(ManufacturingEvent):
    """The batch will not be used."""

    type: ClassVar[str] = "tandem.manufacturing.batch-rejected.v1"
    safety: ClassVar[bool] = True
    batch_id: UUID
    rules: tuple[str, ...]


class DoseIssued(ManufacturingEvent):
    """A dose was handed out under a permit, for one infusion of its own case."""

    type: ClassVar[str] = "tandem.manufacturing.dose-issued.v1"
    safety: ClassVar[bool] = True
    dose_id: UUID
    batch_id: UUID
    infusion_id: UUID
    permit_id: UUID
    attempt: int = Field(ge=1)
    label: str | None = Field(default=None, description="the bag's label, to be scanned again")
    issued_at: AwareDatetime
    usable_until: AwareDatetime


class DoseThawed(ManufacturingEvent):
    """A cryopreserved dose was thawed under a permit; its short clock runs."""

    type: ClassVar[str] = "tandem.manufacturing.dose-thawed.v1"
    safety: ClassVar[bool] = True
    dose_id: UUID
    batch_id: UUID
    thawed_at: AwareDatetime
    usable_until: AwareDatetime


class DoseReturned(ManufacturingEvent):
    """A dose came back unused."""

    type: ClassVar[str] = "tandem.manufacturing.dose-returned.v1"
    safety: ClassVar[bool] = True
    dose_id: UUID
    batch_id: UUID
    permit_id: UUID | None
    usable: bool


class DoseDiscarded(ManufacturingEvent):
    """A dose was destroyed; it can never be used."""

    type: ClassVar[str] = "tandem.manufacturing.dose-discarded.v1"
    safety: ClassVar[bool] = True
    dose_id: UUID
    batch_id: UUID
    reason: Literal["expired", "damaged", "recalled", "identity", "not_needed", "failed"]


class RecallOrdered(ManufacturingEvent):
    """A batch or some of its doses were recalled; the hold was committed before this was sent."""

    type: ClassVar[str] = "tandem.manufacturing.recall-ordered.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    batch_id: UUID
    dose_ids: tuple[UUID, ...]
    hold_id: UUID
    reason: Literal[
        "sterility", "identity", "qc_result", "deviation", "supplier", "custody", "other"
    ]


class CustodyHandedOver(ManufacturingEvent):
    """A container changed hands; giver, receiver and condition are on record."""

    type: ClassVar[str] = "tandem.manufacturing.custody-handed-over.v1"
    container_id: UUID
    place: str
    handed_over_at: AwareDatetime


class IdentityMismatch(ManufacturingEvent):
    """A scanned label did not belong to the case; the step was refused."""

    type: ClassVar[str] = "tandem.manufacturing.identity-mismatch.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    hold_id: UUID
    step: str
    deviation_id: UUID


class ExpiryQuestionAsked(ManufacturingEvent):
    """A fresh product expires before its infusion can be given: freeze it, or not (MFG-006)."""

    type: ClassVar[str] = "tandem.manufacturing.expiry-question-asked.v1"
    question_id: UUID
    batch_id: UUID
    rule: str
    expires_at: AwareDatetime
    feasible_from: AwareDatetime | None = Field(
        description="the first instant at which an infusion may be planned; None: none is known"
    )


class ExpiryQuestionAnswered(ManufacturingEvent):
    """The question was answered, or withdrawn because the infusion became possible in time."""

    type: ClassVar[str] = "tandem.manufacturing.expiry-question-answered.v1"
    question_id: UUID
    batch_id: UUID
    answer: Literal["freeze", "keep", "withdrawn"]


class ManufacturingSlotFreed(ManufacturingEvent):
    """A manufacturing slot is free again."""

    type: ClassVar[str] = "tandem.manufacturing.slot-freed.v1"
    slot_id: UUID
    day: date


class ManufacturingHoldAcknowledged(ManufacturingEvent):
    """Manufacturing has fenced its steps against this hold."""

    type: ClassVar[str] = "tandem.manufacturing.hold-acknowledged.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    hold_id: UUID
    epoch: int = Field(ge=0)
    version: int = Field(ge=0)
    in_flight: InFlight


class ManufacturingStartAnswered(ManufacturingEvent):
    """What became of a permit that manufacturing asked for."""

    type: ClassVar[str] = "tandem.manufacturing.permit-outcome.v1"
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


class ManufacturingCaseParked(ManufacturingEvent):
    """Manufacturing could not process an event of this case; later ones wait in order."""

    type: ClassVar[str] = "tandem.manufacturing.case-parked.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    sequenced: ClassVar[bool] = False
    consumer: Service
    parked_source: Service
    parked_sequence: int | None


class ManufacturingCaseUnparked(ManufacturingEvent):
    """Manufacturing has caught up with this case again."""

    type: ClassVar[str] = "tandem.manufacturing.case-unparked.v1"
    safety: ClassVar[bool] = True
    sequenced: ClassVar[bool] = False
    consumer: Service
