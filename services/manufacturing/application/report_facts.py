"""What manufacturing measured or checked joins the coordination record, where the gates read it.

A statement is durable with the change that it tells of and is sent until intake has taken it; a
start waits for the statements of its case. Values go by API and never ride in events. What could
not be read is not sent: for the gates it is missing, and missing never opens one.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from services.manufacturing.application.dossier_ports import Measure
from services.manufacturing.application.ports import AuthorityUnreachableError
from services.manufacturing.application.row_ports import Report, Rows
from services.manufacturing.application.shell import Shell
from services.manufacturing.domain.batch import Origin
from services.manufacturing.domain.release import QcResult
from services.manufacturing.domain.specification import Quantity, Unparsable, Word
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import Cause, Work

#: items of the protocol's evidence (COL-001)
IDENTITY_CHECK: Final = "identity_check"
COI_LABEL: Final = "coi_label"
#: intake takes at most 200 statements in one request
SENT_PER_REQUEST_MAX: Final = 100


async def report_evidence(work: Work[Rows], case_id: UUID, item: str, about: UUID) -> None:
    """The item of evidence will be on the record, as of now."""
    await _add(work, case_id, evidence_statement(item, about, work.world.clock.now()))


async def report_measure(work: Work[Rows], case_id: UUID, measure: Measure) -> None:
    """The measure will be on the record, if it can be read."""
    statement = measure_statement(measure)
    if statement is not None:
        await _add(work, case_id, statement)


async def report_result(work: Work[Rows], origin: Origin, result: QcResult) -> None:
    """The release test will be on the record, if it can be read."""
    statement = result_statement(origin, result)
    if statement is not None:
        await _add(work, origin.case_id, statement)


def evidence_statement(item: str, about: UUID, at: datetime) -> Mapping[str, object]:
    """An item of evidence, as the record takes it."""
    return {
        "kind": "evidence",
        "id": f"{item}/{about}",
        "item": item,
        "effective": at.isoformat(),
    }


def measure_statement(measure: Measure) -> Mapping[str, object] | None:
    """A measure of the starting material, as the record takes it; None when unreadable."""
    if not isinstance(measure.reading, Quantity):
        return None
    return {
        "kind": "lab",
        "id": f"measure/{measure.measure_id}",
        "metric": measure.metric,
        "effective": measure.measured_at.isoformat(),
        "status": "final",
        **_stated(measure.reading),
    }


def result_statement(origin: Origin, result: QcResult) -> Mapping[str, object] | None:
    """A release test of a lot, as the record takes it; None when unreadable."""
    if isinstance(result.reading, Unparsable):
        return None
    return {
        "kind": "release_test",
        "id": f"release-test/{result.result_id}",
        "lot": str(origin.batch_id),
        "test": result.test,
        "reported": result.reported_at.isoformat(),
        "effective": result.reported_at.isoformat(),
        "status": result.status.value,
        **_stated(result.reading),
    }


async def send_reports(shell: Shell, case_id: UUID, cause: Cause) -> None:
    """Returns when nothing of the case waits. Raises `AuthorityUnreachableError`."""
    while reports := await _waiting(shell, case_id, cause):
        await shell.authority.record_facts(case_id, reports)
        async with shell.unit_of_work.begin(cause) as work:
            await work.rows.reports.sent([r.report_id for r in reports])


async def send_waiting_reports(shell: Shell) -> int:
    """The number of cases whose statements were sent. For a timer.

    A case whose statements intake does not take is left for the next run, without the others.
    """
    world = shell.unit_of_work.world
    cause = Cause(f"service:{Service.MANUFACTURING.value}", world.ids.new())
    cases = sorted({r.case_id for r in await _waiting(shell, None, cause)})
    return sum([await _sent(shell, case_id, cause) for case_id in cases])


async def _sent(shell: Shell, case_id: UUID, cause: Cause) -> bool:
    try:
        await send_reports(shell, case_id, cause)
    except AuthorityUnreachableError:
        return False
    return True


async def _waiting(shell: Shell, case_id: UUID | None, cause: Cause) -> list[Report]:
    async with shell.unit_of_work.begin(cause) as work:
        return list(await work.rows.reports.waiting(case_id, SENT_PER_REQUEST_MAX))


async def _add(work: Work[Rows], case_id: UUID, statement: Mapping[str, object]) -> None:
    report = Report(work.world.ids.new(), case_id, statement)
    await work.rows.reports.add(report, work.world.clock.now())


def _stated(reading: Quantity | Word) -> dict[str, object]:
    if isinstance(reading, Quantity):
        return {"value": str(reading.value), "unit": reading.unit}
    return {"result": reading.text}
