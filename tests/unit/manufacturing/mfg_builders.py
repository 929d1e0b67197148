"""Manufacturing things with meaningful defaults: a batch whose every release test is in order."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from services.manufacturing.adapters.rulebook import manufacturing_rules
from services.manufacturing.domain.batch import (
    Culture,
    DoneStep,
    FormulatedBatch,
    Formulation,
    GrowingBatch,
    Origin,
    Step,
)
from services.manufacturing.domain.dose import AvailableDose, Bag, IssuedDose
from services.manufacturing.domain.product import Form
from services.manufacturing.domain.release import (
    Dossier,
    QcResult,
    Signature,
    SignatureMeaning,
)
from services.manufacturing.domain.specification import (
    Quantity,
    Reading,
    ResultStatus,
    Word,
)
from shared.contracts.vocabulary import Role
from shared.protocol import load_protocol

RULES = manufacturing_rules(load_protocol())
#: collected in the morning, clinic time 10:00 (UTC+3)
COLLECTED_AT = datetime(2027, 3, 1, 7, tzinfo=UTC)
STARTED_AT = COLLECTED_AT + timedelta(hours=6)
#: day 21, the protocol's target (manufacturing.plan.harvest_day_target)
HARVESTED_AT = STARTED_AT + timedelta(days=21)
FORMULATED_AT = HARVESTED_AT + timedelta(hours=3)
#: release happens within the 24 hours of REL-EXP-F
RELEASE_AT = FORMULATED_AT + timedelta(hours=6)
FRESH_UNTIL = FORMULATED_AT + timedelta(hours=24)

CASE, COLLECTION, BATCH, DOSE = (UUID(int=n) for n in (1, 2, 3, 4))
CONTAINER, INFUSION, OTHER_INFUSION = (UUID(int=n) for n in (5, 6, 7))
START = UUID(int=8)
OPERATOR, QA_ONE, QA_TWO = "u-lab", "u-qa-1", "u-qa-2"

#: one passing result per row of the protocol's `release` table
PASSING: dict[str, Reading] = {
    "viability_fresh": Quantity(Decimal(92), "%"),
    "sterility_rapid_and_gram": Word("no_growth"),
    "mycoplasma_nat": Word("not_detected"),
    "endotoxin_dose": Quantity(Decimal("0.7"), "[EU]/kg/h"),
    "cd3_pct": Quantity(Decimal(95), "%"),
    "cd3_cd56_pct": Quantity(Decimal(26), "%"),
    "cd19_pct": Quantity(Decimal(1), "%"),
    "k562_lysis_20to1": Quantity(Decimal(40), "%"),
    "total_viable_cells": Quantity(Decimal("6.4e9"), "1"),
    "appearance": Word("conforms"),
    "label_identity": Word("match"),
}


def origin() -> Origin:
    return Origin(BATCH, CASE, COLLECTION, COLLECTED_AT, COLLECTED_AT + timedelta(hours=2))


def growing() -> GrowingBatch:
    return GrowingBatch(origin(), Culture(STARTED_AT, START, date(2027, 3, 22)))


def formulated(
    *, form: Form = Form.FRESH, harvested_at: datetime = HARVESTED_AT
) -> FormulatedBatch:
    made = Formulation(form, FORMULATED_AT, None, None, FRESH_UNTIL)
    return FormulatedBatch(origin(), growing().culture, harvested_at, made)


def steps(*, without: Step | None = None, form: Form = Form.FRESH) -> tuple[DoneStep, ...]:
    times = {
        Step.RECEIVE: COLLECTED_AT + timedelta(hours=2),
        Step.ISOLATE: STARTED_AT,
        Step.ACTIVATE: STARTED_AT + timedelta(days=1),
        Step.EXPAND: STARTED_AT + timedelta(days=4),
        Step.HARVEST: HARVESTED_AT,
        Step.FORMULATE: FORMULATED_AT,
        Step.FREEZE: FORMULATED_AT + timedelta(hours=1),
    }
    if form is Form.FRESH:
        del times[Step.FREEZE]
    return tuple(DoneStep(s, at, OPERATOR) for s, at in times.items() if s is not without)


def result(
    test: str,
    reading: Reading,
    *,
    number: int = 0,
    status: ResultStatus = ResultStatus.FINAL,
    retest_of: UUID | None = None,
    deviation_id: UUID | None = None,
) -> QcResult:
    result_id = UUID(int=1000 + number)
    return QcResult(result_id, test, reading, status, RELEASE_AT, retest_of, deviation_id)


def dossier(**changes: Reading | None) -> Dossier:
    """A dossier in order; name a test to replace its result, None to leave it out."""
    readings = {**PASSING, **changes}
    results = tuple(
        result(test, reading, number=n)
        for n, (test, reading) in enumerate(readings.items())
        if reading is not None
    )
    return Dossier(steps(), results, ())


def signature(
    subject: str = QA_ONE, *, roles: tuple[Role, ...] = (Role.QA_RELEASE,), evidence: int = 7
) -> Signature:
    meaning = SignatureMeaning.APPROVED_FOR_USE
    return Signature(subject, subject, frozenset(roles), meaning, RELEASE_AT, evidence)


def bag(*, form: Form = Form.FRESH, expires_at: datetime | None = FRESH_UNTIL) -> Bag:
    return Bag(DOSE, BATCH, CASE, CONTAINER, 1, form, FORMULATED_AT, expires_at)


def available(**changes: object) -> AvailableDose:
    return AvailableDose(replace(bag(), **changes))


def issued() -> IssuedDose:
    return available().issue(INFUSION, START, at=RELEASE_AT)
