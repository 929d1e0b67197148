"""What manufacturing's own rows do when a start changes, inside the transaction of that change.

Called by the start-permit protocol with the case locked. Invariant: the state of a collection,
a batch or a dose and its start's `go_at` commit together; a state that does not allow the step
any more makes the GO fail with it.
"""

from typing import assert_never
from uuid import UUID

from services.manufacturing.application.dossier_ports import Issue
from services.manufacturing.application.lookup import wrong_state
from services.manufacturing.application.row_ports import NotFoundError, Rows
from services.manufacturing.domain.batch import DoneStep, GrowingBatch, ReceivedBatch, Step
from services.manufacturing.domain.collection import BookedCollection, RunningCollection
from services.manufacturing.domain.dose import AvailableDose, IssuedDose, ThawedDose
from services.manufacturing.domain.product import Form
from services.manufacturing.domain.rules import ManufacturingRules
from shared.contracts.manufacturing import BatchStarted, DoseIssued, DoseReturned, DoseThawed
from shared.contracts.vocabulary import Gate
from shared.messaging.unit_of_work import Work
from shared.permits.starts import Start, StartChange, StartChangeKind


class StartFollower:
    """Keeps manufacturing's rows in step with its starts."""

    def __init__(self, rules: ManufacturingRules) -> None:
        self._rules = rules

    async def __call__(self, work: Work[Rows], change: StartChange) -> None:
        """Follows one change. Raises `RefusedError` when the step is not possible any more."""
        match change.kind:
            case StartChangeKind.GO | StartChangeKind.ALREADY_RUNNING:
                await self._began(work, change.start)
            case StartChangeKind.NOT_STARTED if change.was_go:
                await _never_began(work, change.start)
            case _:
                return  # a stop order or an end changes nothing but the start itself

    async def _began(self, work: Work[Rows], start: Start) -> None:
        match start.gate:
            case Gate.COLLECTION:
                await _collection_began(work, start)
            case Gate.MANUFACTURING_START:
                await self._culture_began(work, start)
            case Gate.DOSE_ISSUE:
                await self._dose_left(work, start)
            case Gate.ELIGIBILITY | Gate.RELEASE | Gate.INFUSION:
                raise ValueError(f"manufacturing does not act at {start.gate}")
            case _:
                assert_never(start.gate)

    async def _culture_began(self, work: Work[Rows], start: Start) -> None:
        batch = await work.rows.batches.find(start.subject_id)
        if not isinstance(batch, ReceivedBatch):
            raise wrong_state(batch)
        now = work.world.clock.now()
        day = self._rules.harvest_forecast(self._rules.clocks.local_day(now))
        await work.rows.batches.save(batch.start(at=now, start_id=start.start_id, forecast_on=day))
        step = DoneStep(Step.ISOLATE, now, work.cause.actor)
        await work.rows.batches.add_step(work.world.ids.new(), start.subject_id, step, now)
        await work.rows.batches.raise_evidence(start.subject_id)
        work.emit(
            BatchStarted(
                case_id=start.case_id,
                batch_id=start.subject_id,
                started_at=now,
                harvest_forecast_on=day,
            )
        )
        work.note("culture-started", start.case_id, batch_id=str(start.subject_id))

    async def _dose_left(self, work: Work[Rows], start: Start) -> None:
        dose = await work.rows.doses.find(_dose_id(start))
        if not isinstance(dose, AvailableDose):
            raise wrong_state(dose)
        now = work.world.clock.now()
        if dose.bag.form is Form.FRESH:
            issued = dose.issue(start.subject_id, start.start_id, at=now)
            await work.rows.doses.save(issued)
            issue = await _record_issue(work, start)
            await emit_issued(work, issued, issue)
            return
        thawed = dose.thaw(start.subject_id, start.start_id, at=now, clocks=self._rules.clocks)
        await work.rows.doses.save(thawed)
        await _record_issue(work, start)
        _emit_thawed(work, thawed)


async def _collection_began(work: Work[Rows], start: Start) -> None:
    collection = await work.rows.collections.find(start.subject_id)
    if not isinstance(collection, BookedCollection):
        raise wrong_state(collection)
    now = work.world.clock.now()
    await work.rows.collections.save(collection.start(start_id=start.start_id, at=now))
    work.note("collection-started", start.case_id, collection_id=str(start.subject_id))


async def _record_issue(work: Work[Rows], start: Start) -> Issue:
    issue = Issue(
        start_id=start.start_id,
        permit_id=start.permit_id or start.start_id,
        dose_id=_dose_id(start),
        case_id=start.case_id,
        infusion_id=start.subject_id,
        attempt=start.attempt,
        issued_at=work.world.clock.now(),
    )
    await work.rows.doses.add_issue(issue)
    return issue


async def emit_issued(work: Work[Rows], dose: IssuedDose, issue: Issue) -> None:
    """Tells of a hand-out, with the label that the bedside scans again."""
    container = await work.rows.containers.of_dose(dose.bag.dose_id)
    work.emit(
        DoseIssued(
            case_id=dose.bag.case_id,
            dose_id=dose.bag.dose_id,
            batch_id=dose.bag.batch_id,
            infusion_id=dose.infusion_id,
            permit_id=issue.permit_id,
            attempt=issue.attempt,
            label=None if container is None else container.label,
            issued_at=dose.issued_at,
            usable_until=dose.usable_until,
        )
    )
    work.note(
        "dose-issued",
        dose.bag.case_id,
        dose_id=str(dose.bag.dose_id),
        infusion_id=str(dose.infusion_id),
    )


def _emit_thawed(work: Work[Rows], dose: ThawedDose) -> None:
    work.emit(
        DoseThawed(
            case_id=dose.bag.case_id,
            dose_id=dose.bag.dose_id,
            batch_id=dose.bag.batch_id,
            thawed_at=dose.thawed_at,
            usable_until=dose.usable_until,
        )
    )
    work.note("dose-thawed", dose.bag.case_id, dose_id=str(dose.bag.dose_id))


async def _never_began(work: Work[Rows], start: Start) -> None:
    """GO was shown and nobody acted on it: the thing is as it was."""
    match start.gate:
        case Gate.COLLECTION:
            collection = await work.rows.collections.find(start.subject_id)
            if isinstance(collection, RunningCollection):
                await work.rows.collections.save(collection.not_started())
        case Gate.MANUFACTURING_START:
            batch = await work.rows.batches.find(start.subject_id)
            if isinstance(batch, GrowingBatch):
                await work.rows.batches.save(batch.not_started())
                await work.rows.batches.void_step(start.subject_id, Step.ISOLATE)
        case Gate.DOSE_ISSUE:
            await _dose_came_back(work, start)
        case _:
            return


async def _dose_came_back(work: Work[Rows], start: Start) -> None:
    dose = await work.rows.doses.find(_dose_id(start))
    if not isinstance(dose, IssuedDose):
        return
    now = work.world.clock.now()
    await work.rows.doses.save(dose.take_back(at=now))
    await work.rows.doses.undo_issue(start.start_id, now)
    work.emit(
        DoseReturned(
            case_id=start.case_id,
            dose_id=dose.bag.dose_id,
            batch_id=dose.bag.batch_id,
            permit_id=start.permit_id,
            usable=True,
        )
    )
    work.note("dose-taken-back", start.case_id, dose_id=str(dose.bag.dose_id))


def _dose_id(start: Start) -> UUID:
    if start.dose_id is None:
        raise NotFoundError("dose")
    return start.dose_id
