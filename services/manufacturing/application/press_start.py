"""The three starts of manufacturing under a permit: collection, culture, dose.

A press is: what can be refused here is refused here, then the authority is asked once, and only
its GO changes anything (`follow_starts.py`, in the transaction of the GO). Invariant: nothing
begins without a permit, and a repeated press never repeats the question.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.manufacturing.application.dossier_ports import Measure
from services.manufacturing.application.lookup import (
    locked_batch,
    locked_collection,
    locked_dose,
    material_of,
    wrong_state,
)
from services.manufacturing.application.ports import DoNotStart, Go, Press
from services.manufacturing.application.report_facts import (
    IDENTITY_CHECK,
    report_evidence,
    send_reports,
)
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.application.shell import Shell
from services.manufacturing.domain.batch import ReceivedBatch
from services.manufacturing.domain.collection import BookedCollection
from services.manufacturing.domain.dose import AvailableDose
from services.manufacturing.domain.product import Form
from services.manufacturing.domain.refusal import Reason, ReasonCode, RefusedError
from services.manufacturing.domain.rules import ManufacturingRules, StartLimit
from services.manufacturing.domain.specification import Verdict, judge_reading
from shared.contracts.vocabulary import Gate
from shared.messaging.unit_of_work import Cause, Work


@dataclass(frozen=True, slots=True)
class Pressed:
    """Who pressed start, on which view of the clearance, with whom as second checker."""

    permit_id: UUID
    seen: tuple[int, int]
    second_checker: str | None
    scanned_band: str | None = None
    place: str | None = None


async def start_collection(
    shell: Shell, collection_id: UUID, pressed: Pressed, cause: Cause
) -> Go | DoNotStart:
    """GO for a booked collection whose container is labelled, or not.

    The check of the person's identity by two people is put on the coordination record first.
    """
    async with shell.unit_of_work.begin(cause) as work:
        collection = await locked_collection(work, collection_id)
        if not isinstance(collection, BookedCollection):
            raise wrong_state(collection)
        await material_of(work, collection_id)
        _two_people(pressed, cause)
        attempt = await shell.permits.next_attempt(work, collection_id)
        case_id = collection.booking.case_id
        await report_evidence(work, case_id, IDENTITY_CHECK, pressed.permit_id)
    await send_reports(shell, case_id, cause)
    press = _press(case_id, Gate.COLLECTION, collection_id, None, attempt, pressed)
    return await shell.permits.press(press, cause)


async def start_culture(
    shell: Shell, batch_id: UUID, pressed: Pressed, cause: Cause
) -> Go | DoNotStart:
    """GO for the culture of received material, or not.

    What was measured must be on the coordination record first (the gate's rules read it there),
    as vital signs are before an infusion. Raises `AuthorityUnreachableError` when it is not.
    """
    async with shell.unit_of_work.begin(cause) as work:
        batch = await locked_batch(work, batch_id)
        if not isinstance(batch, ReceivedBatch):
            raise wrong_state(batch)
        measures = await work.rows.batches.measures(batch_id)
        reasons = [
            *_too_late(batch, shell.rules, work),
            *(r for limit in shell.rules.start_limits for r in _start_measure(limit, measures)),
        ]
        if reasons:
            raise RefusedError(*reasons)
        _two_people(pressed, cause)
        attempt = await shell.permits.next_attempt(work, batch_id)
    await send_reports(shell, batch.origin.case_id, cause)
    press = _press(batch.origin.case_id, Gate.MANUFACTURING_START, batch_id, None, attempt, pressed)
    return await shell.permits.press(press, cause)


async def start_dose(
    shell: Shell, dose_id: UUID, infusion_id: UUID, pressed: Pressed, cause: Cause, *, form: Form
) -> Go | DoNotStart:
    """GO for the hand-out of a fresh dose or the thaw of a frozen one, or not."""
    async with shell.unit_of_work.begin(cause) as work:
        dose = await locked_dose(work, dose_id)
        await check_infusion(work, infusion_id, dose.bag.case_id)
        if not isinstance(dose, AvailableDose):
            raise wrong_state(dose)
        now = work.world.clock.now()
        if form is Form.FRESH:
            dose.check_issue(infusion_id, at=now)
        else:
            dose.check_thaw(infusion_id, at=now)
        _two_people(pressed, cause)
        attempt = await shell.permits.next_attempt(work, infusion_id)
    press = _press(dose.bag.case_id, Gate.DOSE_ISSUE, infusion_id, dose_id, attempt, pressed)
    return await shell.permits.press(press, cause)


async def check_infusion(work: Work[Rows], infusion_id: UUID, case_id: UUID) -> None:
    """Raises `RefusedError` unless this infusion was planned for this very case."""
    planned_for = await work.rows.cases.case_of_infusion(infusion_id)
    if planned_for is None:
        raise RefusedError.because(ReasonCode.INFUSION_UNKNOWN, lifted_by="plan the infusion")
    if planned_for != case_id:
        raise RefusedError.because(ReasonCode.OTHER_INFUSION)


def _press(
    case_id: UUID, gate: Gate, subject_id: UUID, dose_id: UUID | None, attempt: int, by: Pressed
) -> Press:
    return Press(
        case_id=case_id,
        gate=gate,
        subject_id=subject_id,
        dose_id=dose_id,
        attempt=attempt,
        permit_id=by.permit_id,
        seen=by.seen,
        second_checker=by.second_checker,
        scanned_band=by.scanned_band,
        place=by.place,
    )


def _two_people(pressed: Pressed, cause: Cause) -> None:
    if pressed.second_checker == cause.actor:
        raise RefusedError.because(ReasonCode.SAME_PERSON, lifted_by="another second checker")


def _too_late(
    batch: ReceivedBatch, rules: ManufacturingRules, work: Work[Rows]
) -> Sequence[Reason]:
    age = work.world.clock.now() - batch.origin.collected_at
    if age <= rules.start_after_collection_max:
        return ()
    return (Reason(ReasonCode.START_TOO_LATE, rule=rules.start_after_collection_rule),)


def _start_measure(limit: StartLimit, measures: Sequence[Measure]) -> Sequence[Reason]:
    newest = _newest(limit.metric, measures)
    if newest is None:
        return (Reason(ReasonCode.MEASURE_MISSING, limit.rule, limit.metric, "take the measure"),)
    verdict = judge_reading(limit.limits, newest.reading).verdict
    if verdict in {Verdict.FAIL, Verdict.UNKNOWN}:
        return (Reason(ReasonCode.MEASURE_FAILED, limit.rule, limit.metric),)
    return ()  # a review finding is answered at the authority, by name


def _newest(metric: str, measures: Sequence[Measure]) -> Measure | None:
    found = [m for m in measures if m.metric == metric]
    return max(found, key=lambda m: m.measured_at, default=None)
