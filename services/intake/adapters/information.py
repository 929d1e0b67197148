"""The tables of information and consent behind `InformationRows`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.intake.application.information_ports import Handover, SignedConsent
from services.intake.domain.consent import Document, Explanation, Question
from shared.persistence.database import Tx
from shared.persistence.mapping import made
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.intake.adapters", "information_queries.sql")


class PostgresInformationRows:
    """`InformationRows` over one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def insert_document(self, document: Document, by: str, at: datetime) -> bool:
        """See the port."""
        done = await self._tx.run(
            STATEMENTS["insert_document"],
            document.document,
            document.version,
            list(document.topics),
            by,
            at,
        )
        return done == 1

    async def documents(self) -> Sequence[Document]:
        """See the port."""
        return [made(Document, row) for row in await self._tx.rows(STATEMENTS["documents"])]

    async def insert_explanation(self, case_id: UUID, explanation: Explanation) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_explanation"],
            explanation.explanation_id,
            case_id,
            explanation.topic,
            explanation.document,
            explanation.version,
            explanation.language,
            explanation.explained_by,
            explanation.explained_at,
        )

    async def explanations(self, case_id: UUID) -> Sequence[Explanation]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["explanations"], case_id)
        return [made(Explanation, row) for row in rows]

    async def insert_question(self, case_id: UUID, question: Question) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_question"],
            question.question_id,
            case_id,
            question.question,
            question.recorded_by,
            question.recorded_at,
        )

    async def answer_question(
        self, case_id: UUID, question_id: UUID, *, answer: str, by: str, at: datetime
    ) -> bool:
        """See the port."""
        done = await self._tx.run(
            STATEMENTS["answer_question"], case_id, question_id, answer, by, at
        )
        return done == 1

    async def questions(self, case_id: UUID) -> Sequence[Question]:
        """See the port."""
        return [made(Question, r) for r in await self._tx.rows(STATEMENTS["questions"], case_id)]

    async def insert_consent(self, consent: SignedConsent) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_consent"],
            consent.consent_id,
            consent.case_id,
            consent.document,
            consent.version,
            consent.language,
            consent.signed_on,
            consent.taken_by,
            consent.recorded_at,
            dict(consent.rests_on),
        )

    async def consents(self, case_id: UUID) -> Sequence[SignedConsent]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["consents"], case_id)
        return [made(SignedConsent, row) for row in rows]

    async def insert_handover(self, handover: Handover) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_handover"],
            handover.handover_id,
            handover.case_id,
            handover.template,
            handover.version,
            handover.language,
            handover.given_to,
            handover.handed_over_by,
            handover.handed_over_at,
        )

    async def handovers(self, case_id: UUID) -> Sequence[Handover]:
        """See the port."""
        return [made(Handover, r) for r in await self._tx.rows(STATEMENTS["handovers"], case_id)]
