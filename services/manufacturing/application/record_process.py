"""The manufacturing process as it is carried out: steps, in-process measures, harvest, bags.

Steps are recorded as they happened and are not refused for one that is missing: the gap stays
visible and blocks the release. Invariant: no step stands at a time before an earlier step of the
process, and every recording voids the release signatures made before it.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from services.manufacturing.application.ask_expiry import ExpiryAnswer, answer_if_open
from services.manufacturing.application.collect import not_in_future
from services.manufacturing.application.dossier_ports import Measure
from services.manufacturing.application.lookup import locked_batch, material_of, wrong_state
from services.manufacturing.application.ports import StartPermits
from services.manufacturing.application.report_facts import report_measure
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.domain.batch import (
    DoneStep,
    FormulatedBatch,
    GrowingBatch,
    HarvestedBatch,
    ReceivedBatch,
    Step,
    UnfinishedBatch,
)
from services.manufacturing.domain.dose import Bag, QuarantinedDose
from services.manufacturing.domain.labels import Container, ContainerKind
from services.manufacturing.domain.product import Form
from services.manufacturing.domain.refusal import ReasonCode, RefusedError
from services.manufacturing.domain.release import first_performed
from services.manufacturing.domain.rules import ManufacturingRules
from services.manufacturing.domain.specification import read_result
from shared.contracts.manufacturing import (
    GrowthForecastChanged,
    Harvested,
    MeasureRecorded,
)
from shared.messaging.unit_of_work import Work

#: the steps that only leave their mark; the others change the batch's state
PLAIN_STEPS: Final = frozenset({Step.ACTIVATE, Step.EXPAND})
#: more bags than any batch fills: a slip of the keyboard
DOSES_PER_BATCH_MAX: Final = 60


async def batch_container(work: Work[Rows], batch_id: UUID) -> Container:
    """The labelled container that a batch grows from, for a scan."""
    batch = await locked_batch(work, batch_id)
    return await material_of(work, batch.origin.collection_id)


async def record_step(
    permits: StartPermits, work: Work[Rows], batch_id: UUID, step: Step, *, performed_at: datetime
) -> None:
    """The step is on record. Late entries are accepted while the batch is not decided.

    A culture that goes on is no start under way any more: a hold finds nothing to stop.
    """
    batch = await locked_batch(work, batch_id)
    if step not in PLAIN_STEPS or isinstance(batch, ReceivedBatch):
        raise wrong_state(batch)
    if not isinstance(batch, UnfinishedBatch):
        raise wrong_state(batch)
    await _add_step(work, batch, step, performed_at)
    if isinstance(batch, GrowingBatch):
        await permits.complete(work, batch.culture.start_id)


async def harvest(
    permits: StartPermits, work: Work[Rows], batch_id: UUID, *, performed_at: datetime
) -> HarvestedBatch:
    """The harvested batch; outside its window it is recorded and cannot be released."""
    batch = await locked_batch(work, batch_id)
    if not isinstance(batch, GrowingBatch):
        raise wrong_state(batch)
    harvested = batch.harvest(at=performed_at)
    await _add_step(work, batch, Step.HARVEST, performed_at)
    await work.rows.batches.save(harvested)
    await permits.complete(work, batch.culture.start_id)
    work.emit(Harvested(case_id=batch.origin.case_id, batch_id=batch_id, harvested_at=performed_at))
    return harvested


@dataclass(frozen=True, slots=True)
class Formulate:
    """How the harvest was filled into bags."""

    batch_id: UUID
    performed_at: datetime
    form: Form
    doses: int
    printed_expiry: datetime | None


async def formulate(
    work: Work[Rows], rules: ManufacturingRules, command: Formulate
) -> tuple[QuarantinedDose, ...]:
    """The doses, in quarantine, each with a labelled container of its own."""
    batch = await locked_batch(work, command.batch_id)
    if not isinstance(batch, HarvestedBatch):
        raise wrong_state(batch)
    made = batch.formulate(
        form=command.form,
        at=command.performed_at,
        printed_expiry=command.printed_expiry,
        clocks=rules.clocks,
    )
    await _add_step(work, batch, Step.FORMULATE, command.performed_at)
    await work.rows.batches.save(made)
    doses = tuple([await _fill(work, made, n + 1) for n in range(command.doses)])
    work.note("doses-filled", batch.origin.case_id, batch_id=str(command.batch_id),
              count=command.doses)  # fmt: skip
    return doses


async def _fill(work: Work[Rows], batch: FormulatedBatch, number: int) -> QuarantinedDose:
    origin, now = batch.origin, work.world.clock.now()
    dose_id = work.world.ids.new()
    container = Container(
        work.world.ids.new(), origin.case_id, ContainerKind.DOSE, origin.collection_id, dose_id
    )
    dose = QuarantinedDose(
        Bag(
            dose_id=dose_id,
            batch_id=origin.batch_id,
            case_id=origin.case_id,
            container_id=container.container_id,
            number=number,
            form=batch.formulation.form,
            formulated_at=batch.formulation.formulated_at,
            expires_at=batch.formulation.expires_at,
        )
    )
    await work.rows.doses.insert(dose)
    await work.rows.containers.add(container, now, work.cause.actor)
    return dose


async def freeze(
    work: Work[Rows], rules: ManufacturingRules, batch_id: UUID, *, performed_at: datetime
) -> FormulatedBatch:
    """The frozen batch with its new expiry; an open question of MFG-006 is answered by it."""
    batch = await locked_batch(work, batch_id)
    if not isinstance(batch, FormulatedBatch):
        raise wrong_state(batch)
    frozen = batch.freeze(at=performed_at, clocks=rules.clocks)
    await _add_step(work, batch, Step.FREEZE, performed_at)
    await work.rows.batches.save(frozen)
    expires_at = frozen.formulation.expires_at
    for dose in await work.rows.doses.of_batch(batch_id):
        if isinstance(dose, QuarantinedDose) and expires_at is not None:
            await work.rows.doses.save(dose.refreeze(expires_at))
    await answer_if_open(work, batch_id, ExpiryAnswer.FREEZE)
    return frozen


async def record_measure(
    work: Work[Rows],
    rules: ManufacturingRules,
    batch_id: UUID,
    *,
    metric: str,
    value: str,
    unit: str,
    measured_at: datetime,
) -> Measure:
    """The measure, kept as stated even when it cannot be read (then it clears nothing).

    Those of the starting material that the protocol judges join the coordination record.
    """
    batch = await locked_batch(work, batch_id)
    not_in_future(work, measured_at, "measured_at")
    measure = Measure(
        work.world.ids.new(), metric, read_result(value, unit), measured_at, work.cause.actor
    )
    await work.rows.batches.add_measure(batch_id, measure)
    await work.rows.batches.raise_evidence(batch_id)
    case_id = batch.origin.case_id
    if rules.start_limit(metric) is not None:
        await report_measure(work, case_id, measure)
    work.emit(
        MeasureRecorded(case_id=case_id, batch_id=batch_id, metric=metric, measured_at=measured_at)
    )
    work.note("measure-recorded", case_id, batch_id=str(batch_id), metric=metric)
    return measure


async def change_forecast(work: Work[Rows], batch_id: UUID, on: date) -> GrowingBatch:
    """The batch with another planned harvest day; told when it differs."""
    batch = await locked_batch(work, batch_id)
    if not isinstance(batch, GrowingBatch):
        raise wrong_state(batch)
    previous = batch.culture.forecast_on
    if on == previous:
        return batch
    changed = batch.forecast(on)
    await work.rows.batches.save(changed)
    case_id = batch.origin.case_id
    work.emit(
        GrowthForecastChanged(
            case_id=case_id, batch_id=batch_id, forecast_on=on, previous_on=previous
        )
    )
    work.note("forecast-changed", case_id, batch_id=str(batch_id), forecast_on=on.isoformat())
    return changed


async def _add_step(
    work: Work[Rows], batch: UnfinishedBatch, step: Step, performed_at: datetime
) -> None:
    not_in_future(work, performed_at, "performed_at")
    dossier = await work.rows.batches.dossier(batch.origin.batch_id)
    first = first_performed(dossier.steps)
    earlier = [at for known, at in first.items() if _order(known) < _order(step)]
    later = [at for known, at in first.items() if _order(known) > _order(step)]
    if step in first:
        later = []  # a repetition may go on while the next step has begun
    if any(performed_at < at for at in earlier) or any(performed_at > at for at in later):
        raise RefusedError.because(ReasonCode.TIME_ORDER, subject="performed_at")
    done = DoneStep(step, performed_at, work.cause.actor)
    await work.rows.batches.add_step(
        work.world.ids.new(), batch.origin.batch_id, done, work.world.clock.now()
    )
    await work.rows.batches.raise_evidence(batch.origin.batch_id)
    work.note(
        "step-recorded", batch.origin.case_id, batch_id=str(batch.origin.batch_id), step=step.value
    )


def _order(step: Step) -> int:
    return list(Step).index(step)
