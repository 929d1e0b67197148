"""What information and consent ask of their store. Each method is one SQL statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from services.intake.domain.consent import Document, Explanation, Question


@dataclass(frozen=True, slots=True)
class SignedConsent:
    """A consent and the explanations that it rests on, by topic."""

    consent_id: UUID
    case_id: UUID
    document: str
    version: int
    language: str
    signed_on: date
    taken_by: str
    recorded_at: datetime
    rests_on: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Handover:
    """A red-flag card in somebody's hands."""

    handover_id: UUID
    case_id: UUID
    template: str
    version: int
    language: str
    given_to: Literal["patient", "caregiver"]
    handed_over_by: str
    handed_over_at: datetime


class InformationRows(Protocol):
    """The tables of information and consent."""

    async def insert_document(self, document: Document, by: str, at: datetime) -> bool:
        """Publishes a version; False: it is published already."""
        ...

    async def documents(self) -> Sequence[Document]:
        """All versions in the order of publication."""
        ...

    async def insert_explanation(self, case_id: UUID, explanation: Explanation) -> None:
        """Adds an explained topic."""
        ...

    async def explanations(self, case_id: UUID) -> Sequence[Explanation]:
        """The case's explained topics in order."""
        ...

    async def insert_question(self, case_id: UUID, question: Question) -> None:
        """Adds a question, or the statement that there are none."""
        ...

    async def answer_question(
        self, case_id: UUID, question_id: UUID, *, answer: str, by: str, at: datetime
    ) -> bool:
        """Whether an open question now has its answer."""
        ...

    async def questions(self, case_id: UUID) -> Sequence[Question]:
        """The case's questions in order."""
        ...

    async def insert_consent(self, consent: SignedConsent) -> None:
        """Adds a signed consent."""
        ...

    async def consents(self, case_id: UUID) -> Sequence[SignedConsent]:
        """The case's consents in order."""
        ...

    async def insert_handover(self, handover: Handover) -> None:
        """Adds a handed-over card."""
        ...

    async def handovers(self, case_id: UUID) -> Sequence[Handover]:
        """The case's cards in order."""
        ...
