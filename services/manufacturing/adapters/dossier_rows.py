"""Batches and the evidence that their release is judged on, over one transaction."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import assert_never
from uuid import UUID

from services.manufacturing.adapters.batch_rows import batch_of, columns_of
from services.manufacturing.adapters.statements import STATEMENTS
from services.manufacturing.application.dossier_ports import (
    Certificate,
    DeviationRow,
    ExpiryQuestion,
    Issue,
    Measure,
    ResultRow,
)
from services.manufacturing.domain.batch import Batch, DoneStep, Step
from services.manufacturing.domain.release import (
    Deviation,
    Dossier,
    QcResult,
    Signature,
    SignatureMeaning,
)
from services.manufacturing.domain.specification import (
    Doubt,
    Judgement,
    Quantity,
    Reading,
    ResultStatus,
    Unparsable,
    Verdict,
    Word,
    read_result,
)
from shared.contracts.vocabulary import Role
from shared.persistence.database import Row, Tx


class BatchRows:
    """The port `Batches`."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def insert(self, batch: Batch) -> None:
        """The batch is on record, as received."""
        o = batch.origin
        await self._tx.run(
            STATEMENTS["insert_batch"],
            o.batch_id, o.case_id, o.collection_id, o.collected_at, o.received_at,
        )  # fmt: skip

    async def find(self, batch_id: UUID) -> Batch | None:
        """The batch."""
        row = await self._tx.row(STATEMENTS["batch_by_id"], batch_id)
        return None if row is None else batch_of(row)

    async def of_collection(self, collection_id: UUID) -> UUID | None:
        """The batch made from a collection."""
        found: UUID | None = await self._tx.value(STATEMENTS["batch_of_collection"], collection_id)
        return found

    async def save(self, batch: Batch) -> None:
        """The batch in its new state."""
        await self._tx.run(STATEMENTS["save_batch"], batch.origin.batch_id, *columns_of(batch))

    async def versions(self, batch_id: UUID) -> tuple[int, int]:
        """The batch's version and that of its evidence."""
        row = await self._tx.row(STATEMENTS["batch_versions"], batch_id)
        return (0, 0) if row is None else (row["version"], row["evidence_version"])

    async def raise_evidence(self, batch_id: UUID) -> int:
        """The evidence version after something joined."""
        return int(await self._tx.value(STATEMENTS["raise_evidence"], batch_id) or 0)

    async def page(self, case_id: UUID | None, after: UUID | None, limit: int) -> Sequence[Batch]:
        """Batches by id."""
        rows = await self._tx.rows(STATEMENTS["page_batches"], case_id, after, limit)
        return [batch_of(row) for row in rows]

    async def of_case(self, case_id: UUID) -> Sequence[Batch]:
        """All batches of a case."""
        return [batch_of(r) for r in await self._tx.rows(STATEMENTS["batches_of_case"], case_id)]

    async def add_step(self, step_id: UUID, batch_id: UUID, step: DoneStep, at: datetime) -> None:
        """The step is on record."""
        await self._tx.run(
            STATEMENTS["add_step"],
            step_id, batch_id, step.step.value, step.performed_at, step.performed_by, at,
        )  # fmt: skip

    async def void_step(self, batch_id: UUID, step: Step) -> None:
        """The step does not count."""
        await self._tx.run(STATEMENTS["void_step"], batch_id, step.value)

    async def add_measure(self, batch_id: UUID, measure: Measure) -> None:
        """The measure is on record."""
        reading, unit = _stated(measure.reading)
        await self._tx.run(
            STATEMENTS["add_measure"],
            measure.measure_id, batch_id, measure.metric, reading, unit, measure.measured_at,
            measure.measured_by,
        )  # fmt: skip

    async def measures(self, batch_id: UUID) -> Sequence[Measure]:
        """In-process measures, oldest first."""
        rows = await self._tx.rows(STATEMENTS["measures"], batch_id)
        return [
            Measure(
                r["measure_id"], r["metric"], read_result(r["reading"], r["unit"]),
                r["measured_at"], r["measured_by"],
            )
            for r in rows
        ]  # fmt: skip

    async def add_result(
        self, batch_id: UUID, rule: str, result: QcResult, judgement: Judgement, by: str
    ) -> None:
        """The result is on record."""
        reading, unit = _stated(result.reading)
        doubt = None if judgement.doubt is None else judgement.doubt.value
        await self._tx.run(
            STATEMENTS["add_result"],
            result.result_id, batch_id, rule, result.test, reading, unit, result.status.value,
            judgement.verdict.value, doubt, result.reported_at, by, result.retest_of,
            result.deviation_id,
        )  # fmt: skip

    async def results(self, batch_id: UUID) -> Sequence[ResultRow]:
        """Results as stored, oldest first."""
        return [_result_row(r) for r in await self._tx.rows(STATEMENTS["results"], batch_id)]

    async def dossier(self, batch_id: UUID) -> Dossier:
        """Steps, results and deviations."""
        steps = await self._tx.rows(STATEMENTS["steps"], batch_id)
        results = await self._tx.rows(STATEMENTS["results"], batch_id)
        deviations = await self._tx.rows(STATEMENTS["deviations"], batch_id)
        return Dossier(
            steps=tuple(
                DoneStep(Step(r["step"]), r["performed_at"], r["performed_by"]) for r in steps
            ),
            results=tuple(_result_row(r).result for r in results),
            deviations=tuple(
                Deviation(r["deviation_id"], r["closed_at"] is None) for r in deviations
            ),
        )

    async def add_deviation(self, deviation: DeviationRow) -> bool:
        """Whether the deviation is new; it is on record, open."""
        added = await self._tx.run(
            STATEMENTS["add_deviation"],
            deviation.deviation_id, deviation.case_id, deviation.batch_id, deviation.kind,
            deviation.opened_at, deviation.opened_by,
        )  # fmt: skip
        return added > 0

    async def deviation(self, deviation_id: UUID) -> DeviationRow | None:
        """The deviation."""
        row = await self._tx.row(STATEMENTS["deviation_by_id"], deviation_id)
        return None if row is None else _deviation(row)

    async def deviations(self, batch_id: UUID) -> Sequence[DeviationRow]:
        """The deviations of a batch, oldest first."""
        return [_deviation(r) for r in await self._tx.rows(STATEMENTS["deviations"], batch_id)]

    async def close_deviation(
        self, deviation_id: UUID, at: datetime, by: str, conclusion: str
    ) -> None:
        """The deviation is closed."""
        await self._tx.run(STATEMENTS["close_deviation"], deviation_id, at, by, conclusion)

    async def signatures(self, batch_id: UUID) -> Sequence[Signature]:
        """All signatures, oldest first."""
        return [_signature(r) for r in await self._tx.rows(STATEMENTS["signatures"], batch_id)]

    async def add_signature(
        self, batch_id: UUID, signature: Signature, reviews: frozenset[str]
    ) -> None:
        """The signature is on record."""
        await self._tx.run(
            STATEMENTS["add_signature"],
            batch_id, signature.evidence_version, signature.subject, signature.name,
            sorted(signature.roles), signature.meaning.value, sorted(reviews),
            signature.signed_at,
        )  # fmt: skip

    async def add_certificate(self, certificate: Certificate) -> None:
        """The certificate is on record."""
        await self._tx.run(STATEMENTS["add_certificate"], *asdict(certificate).values())

    async def certificate(self, certificate_id: UUID) -> Certificate | None:
        """The certificate."""
        row = await self._tx.row(STATEMENTS["certificate_by_id"], certificate_id)
        return None if row is None else Certificate(**row)

    async def issues(self, batch_id: UUID) -> Sequence[Issue]:
        """The hand-outs of a batch's doses, those taken back included, oldest first."""
        rows = await self._tx.rows(STATEMENTS["issues_of_batch"], batch_id)
        return [Issue(**{k: v for k, v in dict(r).items() if k != "undone_at"}) for r in rows]

    async def ask(self, question: ExpiryQuestion) -> bool:
        """Whether the question is new."""
        asked = await self._tx.run(
            STATEMENTS["ask_expiry"],
            question.question_id, question.case_id, question.batch_id, question.expires_at,
            question.feasible_from, question.asked_at,
        )  # fmt: skip
        return asked > 0

    async def open_question(self, batch_id: UUID) -> ExpiryQuestion | None:
        """The batch's open question."""
        row = await self._tx.row(STATEMENTS["open_question"], batch_id)
        if row is None:
            return None
        return ExpiryQuestion(
            row["question_id"], row["case_id"], row["batch_id"], row["expires_at"],
            row["feasible_from"], row["asked_at"],
        )  # fmt: skip

    async def answer(self, question_id: UUID, answer: str, by: str, at: datetime) -> None:
        """The question is answered."""
        await self._tx.run(STATEMENTS["answer_expiry"], question_id, answer, by, at)


def _stated(reading: Reading) -> tuple[str, str | None]:
    """The text and unit that are read back to the same reading."""
    match reading:
        case Quantity(value, unit):
            return str(value), unit
        case Word(text):
            return text, None
        case Unparsable(text, unit):
            return text, unit
        case _:
            assert_never(reading)


def _result_row(row: Row) -> ResultRow:
    result = QcResult(
        result_id=row["result_id"],
        test=row["test"],
        reading=read_result(row["reading"], row["unit"]),
        status=ResultStatus(row["status"]),
        reported_at=row["reported_at"],
        retest_of=row["retest_of"],
        deviation_id=row["deviation_id"],
    )
    doubt = None if row["doubt"] is None else Doubt(row["doubt"])
    judgement = Judgement(Verdict(row["verdict"]), doubt)
    return ResultRow(result, row["rule"], judgement, row["recorded_by"])


def _deviation(row: Row) -> DeviationRow:
    return DeviationRow(
        row["deviation_id"], row["case_id"], row["batch_id"], row["kind"], row["opened_at"],
        row["opened_by"], row["closed_at"], row["closed_by"], row["conclusion"],
    )  # fmt: skip


def _signature(row: Row) -> Signature:
    return Signature(
        subject=row["subject"],
        name=row["name"],
        roles=frozenset(Role(role) for role in row["roles"]),
        meaning=SignatureMeaning(row["meaning"]),
        signed_at=row["signed_at"],
        evidence_version=row["evidence_version"],
    )
