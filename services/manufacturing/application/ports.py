"""What manufacturing's use cases need of the world, as narrow ports.

`Rows` is the repository inside one transaction; its parts are implemented over `Tx` in
`adapters/`, one awaited call being one SQL statement. `StartPermits` is the start-permit protocol,
`Authority` the few calls to intake that must be on record there before we answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from services.manufacturing.domain.batch import Batch, DoneStep, Step
from services.manufacturing.domain.collection import BookedCollection, Collection
from services.manufacturing.domain.custody import Handover
from services.manufacturing.domain.dose import Dose
from services.manufacturing.domain.holds import HoldOrder
from services.manufacturing.domain.labels import Container, Scan
from services.manufacturing.domain.planning import Timeline
from services.manufacturing.domain.release import (
    Dossier,
    QcResult,
    Signature,
)
from services.manufacturing.domain.specification import Judgement, Reading
from shared.contracts.coordination import TimelinePublished
from shared.contracts.vocabulary import Gate
from shared.messaging.unit_of_work import Cause, Work


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
class Measure:
    """An in-process measure, as it was stated and read."""

    measure_id: UUID
    metric: str
    reading: Reading
    measured_at: datetime
    measured_by: str


@dataclass(frozen=True, slots=True)
class DeviationRow:
    """A deviation as stored. `batch_id` None: it is about the case before there was a batch."""

    deviation_id: UUID
    case_id: UUID
    batch_id: UUID | None
    kind: str
    opened_at: datetime
    opened_by: str
    closed_at: datetime | None = None
    closed_by: str | None = None
    conclusion: str | None = None


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A release test as stored, with the verdict of the day."""

    result: QcResult
    rule: str
    judgement: Judgement
    recorded_by: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """A release: who signed, over which evidence and specification."""

    certificate_id: UUID
    batch_id: UUID
    evidence_version: int
    first_signer: str
    second_signer: str
    conditional: bool
    protocol_version: str
    released_at: datetime


@dataclass(frozen=True, slots=True)
class Issue:
    """A dose handed out, or thawed, under a permit."""

    start_id: UUID
    permit_id: UUID
    dose_id: UUID
    case_id: UUID
    infusion_id: UUID
    attempt: int
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class ExpiryQuestion:
    """MFG-006 for a batch: it expires before its infusion can be given. Open without answer."""

    question_id: UUID
    case_id: UUID
    batch_id: UUID
    expires_at: datetime
    feasible_from: datetime | None
    asked_at: datetime
    answer: str | None = None


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


class Batches(Protocol):
    """Batches and the evidence that their release is judged on."""

    async def insert(self, batch: Batch) -> None:
        """The batch is on record."""
        ...

    async def find(self, batch_id: UUID) -> Batch | None:
        """The batch."""
        ...

    async def of_collection(self, collection_id: UUID) -> UUID | None:
        """The batch made from a collection."""
        ...

    async def save(self, batch: Batch) -> None:
        """The batch in its new state; its version rises."""
        ...

    async def versions(self, batch_id: UUID) -> tuple[int, int]:
        """The batch's version and that of its evidence."""
        ...

    async def raise_evidence(self, batch_id: UUID) -> int:
        """The evidence version after something joined the dossier; signatures before are void."""
        ...

    async def page(self, case_id: UUID | None, after: UUID | None, limit: int) -> Sequence[Batch]:
        """Batches in the order of their ids."""
        ...

    async def of_case(self, case_id: UUID) -> Sequence[Batch]:
        """All batches of a case."""
        ...

    async def add_step(self, step_id: UUID, batch_id: UUID, step: DoneStep, at: datetime) -> None:
        """The step is on record."""
        ...

    async def void_step(self, batch_id: UUID, step: Step) -> None:
        """The step's performances stay on record and do not count: it never began."""
        ...

    async def add_measure(self, batch_id: UUID, measure: Measure) -> None:
        """The measure is on record."""
        ...

    async def measures(self, batch_id: UUID) -> Sequence[Measure]:
        """In-process measures, oldest first."""
        ...

    async def add_result(
        self, batch_id: UUID, rule: str, result: QcResult, judgement: Judgement, by: str
    ) -> None:
        """The result is on record, as stated and as judged when it came."""
        ...

    async def results(self, batch_id: UUID) -> Sequence[ResultRow]:
        """Results as stored and as judged when they came, oldest first."""
        ...

    async def dossier(self, batch_id: UUID) -> Dossier:
        """Steps, results and deviations (one statement each)."""
        ...

    async def add_deviation(self, deviation: DeviationRow) -> bool:
        """Whether the deviation is new; it is on record, open."""
        ...

    async def deviations(self, batch_id: UUID) -> Sequence[DeviationRow]:
        """The deviations of a batch, oldest first."""
        ...

    async def deviation(self, deviation_id: UUID) -> DeviationRow | None:
        """The deviation."""
        ...

    async def close_deviation(
        self, deviation_id: UUID, at: datetime, by: str, conclusion: str
    ) -> None:
        """The deviation is closed."""
        ...

    async def signatures(self, batch_id: UUID) -> Sequence[Signature]:
        """All signatures, oldest first."""
        ...

    async def add_signature(
        self, batch_id: UUID, signature: Signature, reviews: frozenset[str]
    ) -> None:
        """The signature is on record. Raises `ConstraintError` for an operator of the batch."""
        ...

    async def add_certificate(self, certificate: Certificate) -> None:
        """The certificate is on record. Raises `ConstraintError` for one signer twice."""
        ...

    async def certificate(self, certificate_id: UUID) -> Certificate | None:
        """The certificate."""
        ...

    async def ask(self, question: ExpiryQuestion) -> bool:
        """Whether the question is new; a batch has at most one open."""
        ...

    async def open_question(self, batch_id: UUID) -> ExpiryQuestion | None:
        """The batch's open question."""
        ...

    async def answer(self, question_id: UUID, answer: str, by: str, at: datetime) -> None:
        """The question is answered."""
        ...

    async def issues(self, batch_id: UUID) -> Sequence[Issue]:
        """The hand-outs of a batch's doses, those taken back included, oldest first."""
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


@dataclass(frozen=True, slots=True)
class Press:
    """What a person asks when pressing start; `seen` is the clearance that the person saw."""

    case_id: UUID
    gate: Gate
    subject_id: UUID
    dose_id: UUID | None
    attempt: int
    permit_id: UUID
    seen: tuple[int, int]
    second_checker: str | None = None
    scanned_band: str | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """GO: the step may begin now; our own rows have followed in the same transaction."""

    start_id: UUID
    permit_id: UUID
    go_at: datetime


@dataclass(frozen=True, slots=True)
class DoNotStart:
    """Do not start, with all reasons. `status` and `code` are those of the problem answer."""

    status: int
    code: str
    title: str
    extra: Mapping[str, object]


class StartPermits(Protocol):
    """The holder's side of the start permit."""

    async def press(self, press: Press, cause: Cause) -> Go | DoNotStart:
        """Asks once, starts if granted; opens its own transactions."""
        ...

    async def next_attempt(self, work: Work[Rows], subject_id: UUID) -> int:
        """The attempt that the next press for this subject is."""
        ...

    async def never_began(self, work: Work[Rows], start_id: UUID, reason: str) -> None:
        """The step never began although GO was shown: the permit is undone."""
        ...

    async def complete(self, work: Work[Rows], start_id: UUID) -> None:
        """The step is over."""
        ...

    async def stop(self, work: Work[Rows], start_id: UUID, reason: str) -> None:
        """The step ended before it was complete."""
        ...

    async def under_way(self, work: Work[Rows], start_id: UUID) -> bool:
        """Whether the start runs, with no stop ordered."""
        ...

    async def open_holds(
        self, work: Work[Rows], case_id: UUID, gate: Gate, dose_id: UUID | None
    ) -> Sequence[UUID]:
        """The open holds that are known here and cover this gate and dose."""
        ...


class AuthorityUnreachableError(Exception):
    """Intake did not take the request; it is not on record there as far as we know."""


@dataclass(frozen=True, slots=True)
class HoldOnRecord:
    """The authority has committed the hold."""

    effective: bool


@dataclass(frozen=True, slots=True)
class StatedMeasure:
    """A measure as the coordination record takes it."""

    measure_id: UUID
    metric: str
    value: str
    unit: str
    measured_at: datetime


class Authority(Protocol):
    """Intake, as far as manufacturing must write there or ask before it answers."""

    async def place_hold(self, order: HoldOrder) -> HoldOnRecord:
        """Returns when the hold is committed there. Raises `AuthorityUnreachableError`."""
        ...

    async def blocking_rules(self, case_id: UUID, gate: Gate) -> Sequence[str]:
        """The rules that shut a gate now. Raises `AuthorityUnreachableError`."""
        ...

    async def report_measure(self, case_id: UUID, measure: StatedMeasure) -> None:
        """The measure is on the record. Raises `AuthorityUnreachableError`."""
        ...
