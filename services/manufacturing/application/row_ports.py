"""The repository that manufacturing's use cases need, as narrow ports over one transaction.

Implemented over `Tx` in `adapters/`, one awaited call being one SQL statement unless it says
otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from services.manufacturing.application.dossier_ports import Batches, Issue
from services.manufacturing.domain.collection import BookedCollection, Collection
from services.manufacturing.domain.custody import Handover
from services.manufacturing.domain.dose import Dose
from services.manufacturing.domain.holds import HoldOrder
from services.manufacturing.domain.labels import Container, Scan
from services.manufacturing.domain.planning import Timeline
from shared.contracts.coordination import TimelinePublished
from shared.contracts.vocabulary import Gate


class NotFoundError(LookupError):
    """There is no such thing. `what` names its kind."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class KnownCase:
    """A case that intake has opened."""

    case_id: UUID
    consent_withdrawn_on: date | None
    closed: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """One culture place on one day."""

    slot_id: UUID
    day: date
    place: str
    collection_id: UUID | None


@dataclass(frozen=True, slots=True)
class Report:
    """A statement for the coordination record; `statement` is in the form that intake reads.

    Its `id` is the same on every sending, so that intake records it once.
    """

    report_id: UUID
    case_id: UUID
    statement: Mapping[str, object]


class Cases(Protocol):
    """Cases, their timelines and their planned infusions."""

    async def lock(self, *case_ids: UUID) -> None:
        """Locks these cases (the fence rows), ascending and alone. First in every transaction."""
        ...

    async def find(self, case_id: UUID) -> KnownCase | None:
        """The case, or None when intake has opened no such case."""
        ...

    async def open(self, case_id: UUID) -> None:
        """The case is known afterwards."""
        ...

    async def withdraw_consent(self, case_id: UUID, on: date) -> None:
        """Consent is withdrawn afterwards."""
        ...

    async def restore_consent(self, case_id: UUID, signed_on: date) -> None:
        """A withdrawal up to the day of this signature does not count any more."""
        ...

    async def close(self, case_id: UUID) -> None:
        """The case is closed afterwards."""
        ...

    async def put_timeline(self, published: TimelinePublished) -> bool:
        """Whether the timeline was newer than the one on record, and replaced it."""
        ...

    async def timeline(self, case_id: UUID, gate: Gate) -> Timeline | None:
        """The newest timeline, or None when none was published."""
        ...

    async def put_infusion(self, infusion_id: UUID, case_id: UUID, planned_at: datetime) -> None:
        """The infusion is known afterwards, with its newest time."""
        ...

    async def case_of_infusion(self, infusion_id: UUID) -> UUID | None:
        """The case that an infusion was planned for."""
        ...


class Collections(Protocol):
    """Collections and the slots that they take."""

    async def insert(self, collection: BookedCollection) -> None:
        """The booking is on record."""
        ...

    async def find(self, collection_id: UUID) -> Collection | None:
        """The collection."""
        ...

    async def save(self, collection: Collection) -> None:
        """The collection in its new state; its version rises."""
        ...

    async def version(self, collection_id: UUID) -> int:
        """How often the collection changed."""
        ...

    async def last_collected_at(self, case_id: UUID) -> datetime | None:
        """When material was last collected from this patient."""
        ...

    async def page(
        self, case_id: UUID | None, after: UUID | None, limit: int
    ) -> Sequence[Collection]:
        """Collections in the order of their ids."""
        ...

    async def add_slot(self, slot: Slot) -> bool:
        """Whether the slot is new; day and place are unique."""
        ...

    async def slot(self, slot_id: UUID) -> Slot | None:
        """The slot."""
        ...

    async def take_slot(self, slot_id: UUID, collection_id: UUID) -> bool:
        """Whether the slot was free and is now this collection's."""
        ...

    async def free_slot(self, collection_id: UUID) -> Slot | None:
        """The slot that the collection held, free now."""
        ...

    async def slots(self, from_day: date, limit: int, *, free_only: bool) -> Sequence[Slot]:
        """Slots from a day on, by day and place."""
        ...


class Containers(Protocol):
    """Labels, scans and the chain of custody."""

    async def add(self, container: Container, at: datetime, by: str) -> bool:
        """Whether the container is new; a collection has one, a dose has one."""
        ...

    async def find(self, container_id: UUID) -> Container | None:
        """The container that a label names."""
        ...

    async def of_collection(self, collection_id: UUID) -> Container | None:
        """The container of the collected material."""
        ...

    async def of_dose(self, dose_id: UUID) -> Container | None:
        """The dose's bag."""
        ...

    async def add_scan(
        self, scan_id: UUID, expected: Container, scan: Scan, step: str, at: datetime, by: str
    ) -> None:
        """The scan is on record."""
        ...

    async def last_handover(self, container_id: UUID) -> Handover | None:
        """The newest link of the chain of custody."""
        ...

    async def add_handover(self, handover: Handover) -> None:
        """The link is on record."""
        ...

    async def handovers(self, container_id: UUID) -> Sequence[Handover]:
        """The chain, oldest first."""
        ...


class Doses(Protocol):
    """Doses and their hand-outs."""

    async def insert(self, dose: Dose) -> None:
        """The dose is on record."""
        ...

    async def find(self, dose_id: UUID) -> Dose | None:
        """The dose."""
        ...

    async def version(self, dose_id: UUID) -> int:
        """How often the dose changed."""
        ...

    async def of_batch(self, batch_id: UUID) -> Sequence[Dose]:
        """A batch's doses, by number."""
        ...

    async def of_infusion(self, infusion_id: UUID) -> Sequence[Dose]:
        """The doses bound to an infusion."""
        ...

    async def save(self, dose: Dose) -> None:
        """The dose in its new state; its version rises."""
        ...

    async def add_issue(self, issue: Issue) -> None:
        """The hand-out is on record. Raises `ConstraintError` when the dose was handed out."""
        ...

    async def issue_of(self, dose_id: UUID) -> Issue | None:
        """The hand-out that stands."""
        ...

    async def undo_issue(self, start_id: UUID, at: datetime) -> None:
        """The hand-out never was."""
        ...


class Holds(Protocol):
    """Holds ordered at the authority."""

    async def add(self, order: HoldOrder) -> None:
        """The order is durable."""
        ...

    async def find(self, hold_id: UUID) -> HoldOrder | None:
        """The order."""
        ...

    async def recall_of(self, batch_id: UUID) -> HoldOrder | None:
        """The recall of a batch, whether on record at the authority or still on its way."""
        ...

    async def put_on_record(self, hold_id: UUID, at: datetime, *, effective: bool) -> bool:
        """Whether the order was still waiting; it is on record now."""
        ...

    async def waiting(self, limit: int) -> Sequence[HoldOrder]:
        """Orders that are not on record, oldest first."""
        ...


class Reports(Protocol):
    """Statements on their way to the coordination record."""

    async def add(self, report: Report, at: datetime) -> None:
        """The statement is durable."""
        ...

    async def waiting(self, case_id: UUID | None, limit: int) -> Sequence[Report]:
        """Statements that intake has not taken, oldest first; of one case or of all."""
        ...

    async def sent(self, report_ids: Sequence[UUID]) -> None:
        """Intake has taken these."""
        ...


class Rows(Protocol):
    """The repository of manufacturing over one transaction."""

    @property
    def cases(self) -> Cases:
        """Cases."""
        ...

    @property
    def collections(self) -> Collections:
        """Collections and slots."""
        ...

    @property
    def containers(self) -> Containers:
        """Labels, scans, custody."""
        ...

    @property
    def batches(self) -> Batches:
        """Batches and dossiers."""
        ...

    @property
    def doses(self) -> Doses:
        """Doses and hand-outs."""
        ...

    @property
    def holds(self) -> Holds:
        """Orders of holds."""
        ...

    @property
    def reports(self) -> Reports:
        """Statements for the coordination record."""
        ...
