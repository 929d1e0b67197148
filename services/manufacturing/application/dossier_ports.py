"""The repository's part for batches and their dossiers, as a port over one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.manufacturing.domain.batch import Batch, DoneStep, Step
from services.manufacturing.domain.release import Dossier, QcResult, Signature
from services.manufacturing.domain.specification import Judgement, Reading


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
class ExpiryQuestion:
    """MFG-006 for a batch: it expires before its infusion can be given. Open without answer."""

    question_id: UUID
    case_id: UUID
    batch_id: UUID
    expires_at: datetime
    feasible_from: datetime | None
    asked_at: datetime
    answer: str | None = None


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
