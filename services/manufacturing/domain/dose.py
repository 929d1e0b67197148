"""A dose from quarantine to the patient or to destruction, one type per state.

Invariants: only a dose of a released batch can be issued; it is issued to one infusion of its own
case and to no other for good; a dose at or past one of its clocks is unusable with no override; a
blocked dose waits for its hold to be on record and can do nothing else.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.manufacturing.domain.product import Form, ProductClocks
from services.manufacturing.domain.refusal import ReasonCode, RefusedError


class DiscardReason(StrEnum):
    """Why a dose was destroyed."""

    EXPIRED = "expired"
    DAMAGED = "damaged"
    RECALLED = "recalled"
    IDENTITY = "identity"
    NOT_NEEDED = "not_needed"
    FAILED = "failed"


class BlockPurpose(StrEnum):
    """What a dose is blocked for, while its hold is on its way to the authority and after."""

    RECALL = "recall"
    #: the release is taken back so that the batch can be frozen
    REVOKE = "revoke"
    DISCARD = "discard"
    RETURN = "return"
    CUSTODY = "custody"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Bag:
    """What does not change with a dose's state.

    `expires_at` is None for a cryopreserved dose that is not frozen yet; `bound_to` is the one
    infusion that the dose was ever issued or thawed for.
    """

    dose_id: UUID
    batch_id: UUID
    case_id: UUID
    container_id: UUID
    number: int
    form: Form
    formulated_at: datetime
    expires_at: datetime | None
    bound_to: UUID | None = None

    def for_infusion(self, infusion_id: UUID) -> "Bag":
        """The bag bound to this infusion. Raises `RefusedError` when it is bound to another."""
        if self.bound_to not in {None, infusion_id}:
            raise RefusedError.because(ReasonCode.OTHER_INFUSION)
        return replace(self, bound_to=infusion_id)


@dataclass(frozen=True, slots=True)
class QuarantinedDose:
    """A dose of a batch that is not released."""

    bag: Bag

    def release(self) -> "AvailableDose":
        """The dose, usable."""
        return AvailableDose(self.bag)

    def refreeze(self, expires_at: datetime) -> "QuarantinedDose":
        """The dose after the batch was frozen, with its new expiry."""
        return QuarantinedDose(replace(self.bag, form=Form.CRYOPRESERVED, expires_at=expires_at))

    def discard(self, reason: DiscardReason) -> "DiscardedDose":
        """The dose destroyed; it never was usable, so no hold is needed."""
        return DiscardedDose(self.bag, reason)


@dataclass(frozen=True, slots=True)
class AvailableDose:
    """A dose that may be thawed or issued while its clock runs."""

    bag: Bag

    def check_issue(self, infusion_id: UUID, *, at: datetime) -> None:
        """Raises `RefusedError` unless the dose may be handed out now for this infusion."""
        if self.bag.form is not Form.FRESH:
            raise RefusedError.because(ReasonCode.NOT_THAWED, lifted_by="thaw the dose")
        self._check(infusion_id, at=at)

    def check_thaw(self, infusion_id: UUID, *, at: datetime) -> None:
        """Raises `RefusedError` unless the dose may be thawed now for this infusion."""
        if self.bag.form is not Form.CRYOPRESERVED:
            raise RefusedError.because(ReasonCode.WRONG_STATE, subject="fresh")
        self._check(infusion_id, at=at)

    def _check(self, infusion_id: UUID, *, at: datetime) -> None:
        self.bag.for_infusion(infusion_id)
        usable_until(self.bag, at=at)

    def issue(self, infusion_id: UUID, start_id: UUID, *, at: datetime) -> "IssuedDose":
        """The dose handed out under this start."""
        self.check_issue(infusion_id, at=at)
        until = usable_until(self.bag, at=at)
        return IssuedDose(self.bag.for_infusion(infusion_id), infusion_id, start_id, at, until)

    def thaw(
        self, infusion_id: UUID, start_id: UUID, *, at: datetime, clocks: ProductClocks
    ) -> "ThawedDose":
        """The dose thawed under this start; its short clock runs."""
        self.check_thaw(infusion_id, at=at)
        until = clocks.thawed_until(at, usable_until(self.bag, at=at))
        return ThawedDose(self.bag.for_infusion(infusion_id), infusion_id, start_id, at, until)

    def block(self, hold_id: UUID, purpose: BlockPurpose) -> "BlockedDose":
        """The dose out of use; its hold is being put on record."""
        return BlockedDose(self.bag, hold_id, purpose)


@dataclass(frozen=True, slots=True)
class ThawedDose:
    """A thawed dose, bound to one infusion, not handed out yet."""

    bag: Bag
    infusion_id: UUID
    start_id: UUID
    thawed_at: datetime
    usable_until: datetime

    def issue(self, infusion_id: UUID, *, at: datetime) -> "IssuedDose":
        """The dose handed out under the start of its thaw, for the same infusion."""
        if infusion_id != self.infusion_id:
            raise RefusedError.because(ReasonCode.OTHER_INFUSION)
        if at >= self.usable_until:
            raise RefusedError.because(ReasonCode.EXPIRED, subject="after_thaw")
        return IssuedDose(self.bag, infusion_id, self.start_id, at, self.usable_until)

    def block(self, hold_id: UUID, purpose: BlockPurpose) -> "BlockedDose":
        """The dose out of use; its hold is being put on record."""
        return BlockedDose(self.bag, hold_id, purpose, self.infusion_id, self.start_id)


@dataclass(frozen=True, slots=True)
class IssuedDose:
    """A dose handed out for one infusion."""

    bag: Bag
    infusion_id: UUID
    start_id: UUID
    issued_at: datetime
    usable_until: datetime

    def begin(self, *, at: datetime) -> "RunningDose":
        """The dose on its way into the patient."""
        return RunningDose(self.bag, self.infusion_id, at, self)

    def take_back(self, *, at: datetime) -> AvailableDose:
        """The dose usable again: fresh, unopened, unexpired; its binding to the infusion stays.

        Raises `RefusedError` for a thawed or expired dose, which can only come back unusable.
        """
        if self.bag.form is not Form.FRESH:
            raise RefusedError.because(ReasonCode.WRONG_STATE, subject="thawed")
        usable_until(self.bag, at=at)
        return AvailableDose(self.bag)

    def block(self, hold_id: UUID, purpose: BlockPurpose) -> "BlockedDose":
        """The dose out of use; its hold is being put on record."""
        return BlockedDose(self.bag, hold_id, purpose, self.infusion_id, self.start_id)


@dataclass(frozen=True, slots=True)
class RunningDose:
    """A dose that is being given, or was given in part and may go on.

    `issued` is the hand-out before it, None for a dose that was used without one.
    """

    bag: Bag
    infusion_id: UUID
    began_at: datetime
    issued: IssuedDose | None

    def complete(self, *, at: datetime) -> "GivenDose":
        """The dose given in full."""
        return GivenDose(self.bag, self.infusion_id, at)

    def never_opened(self) -> "IssuedDose | RunningDose":
        """The dose as it was handed out, when the infusion never began; else unchanged."""
        return self if self.issued is None else self.issued

    def block(self, hold_id: UUID, purpose: BlockPurpose) -> "BlockedDose":
        """The dose out of use; the hold also orders the running infusion to stop."""
        start_id = None if self.issued is None else self.issued.start_id
        return BlockedDose(self.bag, hold_id, purpose, self.infusion_id, start_id)


@dataclass(frozen=True, slots=True)
class GivenDose:
    """A dose that was given in full."""

    bag: Bag
    infusion_id: UUID
    completed_at: datetime


@dataclass(frozen=True, slots=True)
class BlockedDose:
    """A dose that is out of use while its hold is put on record at the authority."""

    bag: Bag
    hold_id: UUID
    purpose: BlockPurpose
    infusion_id: UUID | None = None
    start_id: UUID | None = None

    def requarantined(self) -> QuarantinedDose:
        """The dose in quarantine again: the hold is on record, the release taken back."""
        return QuarantinedDose(self.bag)

    def recalled(self) -> "RecalledDose":
        """The dose recalled: the hold is on record."""
        return RecalledDose(self.bag, self.hold_id)

    def returned(self) -> "ReturnedDose":
        """The dose back and unusable: the hold is on record."""
        return ReturnedDose(self.bag, self.hold_id)

    def discarded(self, reason: DiscardReason) -> "DiscardedDose":
        """The dose destroyed: the hold is on record."""
        return DiscardedDose(self.bag, reason)


@dataclass(frozen=True, slots=True)
class RecalledDose:
    """A recalled dose; it can only be destroyed."""

    bag: Bag
    hold_id: UUID

    def discard(self, reason: DiscardReason) -> "DiscardedDose":
        """The dose destroyed; its hold is on record already."""
        return DiscardedDose(self.bag, reason)


@dataclass(frozen=True, slots=True)
class ReturnedDose:
    """A dose that came back unusable; it can only be destroyed."""

    bag: Bag
    hold_id: UUID

    def discard(self, reason: DiscardReason) -> "DiscardedDose":
        """The dose destroyed; its hold is on record already."""
        return DiscardedDose(self.bag, reason)


@dataclass(frozen=True, slots=True)
class DiscardedDose:
    """A destroyed dose."""

    bag: Bag
    reason: DiscardReason


def began_without_issue(
    dose: QuarantinedDose | AvailableDose | ThawedDose, infusion_id: UUID, *, at: datetime
) -> RunningDose:
    """The dose in use although it was never handed out: recorded as it happened."""
    bag = replace(dose.bag, bound_to=infusion_id)
    return RunningDose(bag, infusion_id, at, None)


OutOfUseDose = RecalledDose | ReturnedDose | DiscardedDose
InUseDose = AvailableDose | ThawedDose | IssuedDose | RunningDose
Dose = QuarantinedDose | InUseDose | GivenDose | BlockedDose | OutOfUseDose


def usable_until(bag: Bag, *, at: datetime) -> datetime:
    """The bag's expiry. Raises `RefusedError` when it has passed or was never set."""
    if bag.expires_at is None:
        raise RefusedError.because(ReasonCode.STEP_MISSING, subject="freeze")
    if at >= bag.expires_at:
        raise RefusedError.because(ReasonCode.EXPIRED, subject="expiry")
    return bag.expires_at
