"""Quality control: release tests and deviations join the dossier of a batch.

Invariants: a result is kept as stated and never replaced; one that fails after the release recalls
the batch by itself; a deviation is closed by quality assurance and not by who opened it.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.manufacturing.application.collect import not_in_future
from services.manufacturing.application.dossier_ports import DeviationRow
from services.manufacturing.application.lookup import locked_batch
from services.manufacturing.application.recall_batch import order_recall
from services.manufacturing.application.report_facts import report_result
from services.manufacturing.application.row_ports import NotFoundError, Rows
from services.manufacturing.domain.batch import (
    Batch,
    ConditionallyReleasedBatch,
    ReleasedBatch,
)
from services.manufacturing.domain.holds import HoldOrder, RecallReason
from services.manufacturing.domain.refusal import ReasonCode, RefusedError
from services.manufacturing.domain.release import Dossier, QcResult
from services.manufacturing.domain.rules import ManufacturingRules
from services.manufacturing.domain.specification import (
    Judgement,
    Requirement,
    ResultStatus,
    Verdict,
    judge,
    read_result,
)
from shared.contracts.manufacturing import DeviationClosed, DeviationOpened, QcResultRecorded
from shared.messaging.unit_of_work import Work


@dataclass(frozen=True, slots=True)
class ReportResult:
    """A release test as the laboratory states it; `unit` None for a qualitative one."""

    batch_id: UUID
    test: str
    value: str
    unit: str | None
    status: ResultStatus
    reported_at: datetime
    retest_of: UUID | None = None
    deviation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class RecordedResult:
    """The result as judged, and the recall that it ordered, if any."""

    result_id: UUID
    judgement: Judgement
    recall: HoldOrder | None


async def record_result(
    work: Work[Rows], rules: ManufacturingRules, command: ReportResult
) -> RecordedResult:
    """The recorded result. Raises `RefusedError` for a test that the specification lacks."""
    batch = await locked_batch(work, command.batch_id)
    requirement = rules.specification.for_test(command.test)
    if requirement is None:
        raise RefusedError.because(ReasonCode.UNKNOWN_TEST, subject="test")
    not_in_future(work, command.reported_at, "reported_at")
    _check_retest(command, await work.rows.batches.dossier(command.batch_id))
    result = _result(work, command)
    judgement = judge(requirement, result.reading, result.status)
    await work.rows.batches.add_result(
        command.batch_id, requirement.rule, result, judgement, work.cause.actor
    )
    await work.rows.batches.raise_evidence(command.batch_id)
    await report_result(work, batch.origin, result)
    _tell(work, batch, requirement, result, judgement)
    recall = await _recall_if_late(work, batch, requirement, judgement)
    return RecordedResult(result.result_id, judgement, recall)


def _check_retest(command: ReportResult, dossier: Dossier) -> None:
    """A retest names an earlier result of the same test and the deviation that explains it."""
    if (command.retest_of is None) != (command.deviation_id is None):
        raise RefusedError.because(ReasonCode.DEVIATION_UNKNOWN, lifted_by="name the deviation")
    if command.retest_of is None:
        return
    tests = {r.result_id: r.test for r in dossier.results}
    if tests.get(command.retest_of) != command.test:
        raise RefusedError.because(ReasonCode.UNKNOWN_TEST, subject="retest_of")
    if command.deviation_id not in {d.deviation_id for d in dossier.deviations}:
        raise RefusedError.because(ReasonCode.DEVIATION_UNKNOWN, subject="deviation_id")


def _result(work: Work[Rows], command: ReportResult) -> QcResult:
    return QcResult(
        result_id=work.world.ids.new(),
        test=command.test,
        reading=read_result(command.value, command.unit),
        status=command.status,
        reported_at=command.reported_at,
        retest_of=command.retest_of,
        deviation_id=command.deviation_id,
    )


def _tell(
    work: Work[Rows],
    batch: Batch,
    requirement: Requirement,
    result: QcResult,
    judgement: Judgement,
) -> None:
    origin = batch.origin
    work.emit(
        QcResultRecorded(
            case_id=origin.case_id,
            batch_id=origin.batch_id,
            rule=requirement.rule,
            passed=judgement.passed,
            reported_at=result.reported_at,
        )
    )
    work.note(
        "qc-result-recorded",
        origin.case_id,
        batch_id=str(origin.batch_id),
        rule=requirement.rule,
        result_id=str(result.result_id),
        verdict=judgement.verdict.value,
    )


async def _recall_if_late(
    work: Work[Rows], batch: Batch, requirement: Requirement, judgement: Judgement
) -> HoldOrder | None:
    """The recall that a failure orders when the batch is out already; the earlier one if any."""
    if judgement.verdict is not Verdict.FAIL:
        return None
    if not isinstance(batch, ReleasedBatch | ConditionallyReleasedBatch):
        return None
    sterility = not requirement.before_release or requirement.preliminary_counts
    reason = RecallReason.STERILITY if sterility else RecallReason.QC_RESULT
    return await order_recall(work, batch, reason)


async def open_deviation(work: Work[Rows], batch_id: UUID, kind: str) -> UUID:
    """The id of the new deviation; the batch cannot be released while it is open."""
    batch = await locked_batch(work, batch_id)
    deviation_id = work.world.ids.new()
    await add_deviation(work, batch.origin.case_id, batch_id, kind, deviation_id)
    return deviation_id


async def add_deviation(
    work: Work[Rows], case_id: UUID, batch_id: UUID | None, kind: str, deviation_id: UUID
) -> None:
    """The deviation of a case that is locked already is on record; the same id again is nothing."""
    deviation = DeviationRow(
        deviation_id, case_id, batch_id, kind, work.world.clock.now(), work.cause.actor
    )
    if not await work.rows.batches.add_deviation(deviation):
        return
    if batch_id is not None:
        await work.rows.batches.raise_evidence(batch_id)
    work.emit(
        DeviationOpened(case_id=case_id, deviation_id=deviation_id, batch_id=batch_id),
        kind=str(deviation_id),
    )
    work.note("deviation-opened", case_id, deviation_id=str(deviation_id), kind=kind)


async def close_deviation(
    work: Work[Rows], batch_id: UUID, deviation_id: UUID, conclusion: str
) -> None:
    """The deviation is closed. Raises `RefusedError` for who opened it."""
    batch = await locked_batch(work, batch_id)
    found = await work.rows.batches.deviation(deviation_id)
    if found is None or found.batch_id != batch_id:
        raise NotFoundError("deviation")
    if found.closed_at is not None:
        raise RefusedError.because(ReasonCode.WRONG_STATE, subject="closed")
    if found.opened_by == work.cause.actor:
        raise RefusedError.because(ReasonCode.SAME_PERSON, lifted_by="another person")
    await work.rows.batches.close_deviation(
        deviation_id, work.world.clock.now(), work.cause.actor, conclusion
    )
    await work.rows.batches.raise_evidence(batch_id)
    case_id = batch.origin.case_id
    work.emit(DeviationClosed(case_id=case_id, deviation_id=deviation_id, batch_id=batch_id))
    work.note("deviation-closed", case_id, deviation_id=str(deviation_id), conclusion=conclusion)
