"""A batch from the received material to the decision about its doses, one type per state.

Invariant: what a state does not allow does not exist on its type: only a formulated batch can be
released, nothing can be released after a rejection or a recall, and neither is ever left.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.manufacturing.domain.product import Form, ProductClocks
from services.manufacturing.domain.refusal import ReasonCode, RefusedError


class Step(StrEnum):
    """The manufacturing steps, in their order."""

    RECEIVE = "receive"
    ISOLATE = "isolate"
    ACTIVATE = "activate"
    EXPAND = "expand"
    HARVEST = "harvest"
    FORMULATE = "formulate"
    FREEZE = "freeze"


#: the mandatory steps of each form; a release needs all of them on record
MANDATORY: Final = {
    Form.FRESH: tuple(step for step in Step if step is not Step.FREEZE),
    Form.CRYOPRESERVED: tuple(Step),
}


@dataclass(frozen=True, slots=True)
class DoneStep:
    """A step on record, with the person who did it; one row per performance, oldest first."""

    step: Step
    performed_at: datetime
    performed_by: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a batch comes from: one case, one collection."""

    batch_id: UUID
    case_id: UUID
    collection_id: UUID
    collected_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Culture:
    """A culture: when it began, under which start, and when it is planned to be harvested."""

    started_at: datetime
    start_id: UUID
    forecast_on: date


@dataclass(frozen=True, slots=True)
class Formulation:
    """The formulated product. A cryopreserved one has no expiry until it is frozen."""

    form: Form
    formulated_at: datetime
    printed_expiry: datetime | None
    frozen_on: date | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """Material that is on the premises and identified; no culture yet."""

    origin: Origin

    def start(self, *, at: datetime, start_id: UUID, forecast_on: date) -> "GrowingBatch":
        """The batch in culture, once its permit was consumed (`start_id`)."""
        return GrowingBatch(self.origin, Culture(at, start_id, forecast_on))


@dataclass(frozen=True, slots=True)
class GrowingBatch:
    """A batch in culture."""

    origin: Origin
    culture: Culture

    def forecast(self, on: date) -> "GrowingBatch":
        """The batch with another planned harvest day."""
        culture = Culture(self.culture.started_at, self.culture.start_id, on)
        return GrowingBatch(self.origin, culture)

    def harvest(self, *, at: datetime) -> "HarvestedBatch":
        """The harvested batch. Outside the window (MFG-004) it is recorded and not releasable."""
        if at < self.culture.started_at:
            raise RefusedError.because(ReasonCode.TIME_ORDER, subject="harvested_at")
        return HarvestedBatch(self.origin, self.culture, at)

    def not_started(self) -> ReceivedBatch:
        """The batch before its culture: it never began although GO was shown."""
        return ReceivedBatch(self.origin)


@dataclass(frozen=True, slots=True)
class HarvestedBatch:
    """Cells out of culture, not yet in bags."""

    origin: Origin
    culture: Culture
    harvested_at: datetime

    def formulate(
        self, *, form: Form, at: datetime, printed_expiry: datetime | None, clocks: ProductClocks
    ) -> "FormulatedBatch":
        """The formulated batch; a fresh product's clock runs from `at`."""
        if at < self.harvested_at:
            raise RefusedError.because(ReasonCode.TIME_ORDER, subject="formulated_at")
        fresh = form is Form.FRESH
        expires_at = clocks.fresh_expiry(at, printed_expiry) if fresh else None
        made = Formulation(form, at, printed_expiry, None, expires_at)
        return FormulatedBatch(self.origin, self.culture, self.harvested_at, made)


@dataclass(frozen=True, slots=True)
class FormulatedBatch:
    """Doses exist in quarantine; quality control is under way."""

    origin: Origin
    culture: Culture
    harvested_at: datetime
    formulation: Formulation

    def freeze(self, *, at: datetime, clocks: ProductClocks) -> "FormulatedBatch":
        """The batch frozen on the clinic day of `at`.

        A fresh product may be frozen before its expiry (the answer to MFG-006); it is then a
        cryopreserved one and needs that form's tests. Raises `RefusedError` when it is frozen
        already, expired, or `at` lies before the formulation.
        """
        made = self.formulation
        if made.frozen_on is not None:
            raise RefusedError.because(ReasonCode.WRONG_STATE, subject=Step.FREEZE.value)
        if at < made.formulated_at:
            raise RefusedError.because(ReasonCode.TIME_ORDER, subject="performed_at")
        if made.expires_at is not None and at >= made.expires_at:
            raise RefusedError.because(ReasonCode.EXPIRED, subject=Step.FREEZE.value)
        day = clocks.local_day(at)
        printed = made.printed_expiry if made.form is Form.CRYOPRESERVED else None
        expiry = clocks.cryo_expiry(day, printed)
        frozen = Formulation(Form.CRYOPRESERVED, made.formulated_at, printed, day, expiry)
        return FormulatedBatch(self.origin, self.culture, self.harvested_at, frozen)

    def release(self, certificate_id: UUID, at: datetime) -> "ReleasedBatch":
        """The released batch; `domain.release` says whether that may be."""
        return ReleasedBatch(self, certificate_id, at)

    def release_conditionally(
        self, certificate_id: UUID, at: datetime, pending: tuple[str, ...]
    ) -> "ConditionallyReleasedBatch":
        """Released while the tests named in `pending` are not back."""
        return ConditionallyReleasedBatch(self, certificate_id, at, pending)


@dataclass(frozen=True, slots=True)
class ReleasedBatch:
    """Two people released the batch against every row of the specification."""

    product: FormulatedBatch
    certificate_id: UUID
    released_at: datetime

    @property
    def origin(self) -> Origin:
        """Where the batch comes from."""
        return self.product.origin

    def revoke(self) -> FormulatedBatch:
        """The batch in quarantine again; the hold on its doses is on record."""
        return self.product

    def recall(self, *, at: datetime) -> "RecalledBatch":
        """The recalled batch; its hold is on record at the authority."""
        return RecalledBatch(self.product, at)


@dataclass(frozen=True, slots=True)
class ConditionallyReleasedBatch:
    """Released, sterility pending: a state of its own, shown as such everywhere."""

    product: FormulatedBatch
    certificate_id: UUID
    released_at: datetime
    pending: tuple[str, ...]

    @property
    def origin(self) -> Origin:
        """Where the batch comes from."""
        return self.product.origin

    def release(self, certificate_id: UUID, at: datetime) -> ReleasedBatch:
        """The released batch, when what was pending has passed and two people signed again."""
        return ReleasedBatch(self.product, certificate_id, at)

    def revoke(self) -> FormulatedBatch:
        """The batch in quarantine again; the hold on its doses is on record."""
        return self.product

    def recall(self, *, at: datetime) -> "RecalledBatch":
        """The recalled batch; its hold is on record at the authority."""
        return RecalledBatch(self.product, at)


@dataclass(frozen=True, slots=True)
class RejectedBatch:
    """The batch will not be used. `stage` is how far it had come."""

    stage: "UnfinishedBatch"
    rejected_at: datetime

    @property
    def origin(self) -> Origin:
        """Where the batch comes from."""
        return self.stage.origin


@dataclass(frozen=True, slots=True)
class RecalledBatch:
    """The batch was released and is recalled; nothing leaves this state."""

    product: FormulatedBatch
    recalled_at: datetime

    @property
    def origin(self) -> Origin:
        """Where the batch comes from."""
        return self.product.origin


UnfinishedBatch = ReceivedBatch | GrowingBatch | HarvestedBatch | FormulatedBatch
UsableBatch = ReleasedBatch | ConditionallyReleasedBatch
Batch = UnfinishedBatch | UsableBatch | RejectedBatch | RecalledBatch


def reject(batch: UnfinishedBatch, *, at: datetime) -> RejectedBatch:
    """The rejected batch. A released one is recalled instead."""
    return RejectedBatch(batch, at)
