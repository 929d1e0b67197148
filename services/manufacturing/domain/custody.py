"""The chain of custody: who held a container, from hand to hand.

Invariant: giver and receiver differ, and the giver is the one who received it last.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.manufacturing.domain.refusal import ReasonCode, RefusedError


class Condition(StrEnum):
    """How the container was when it changed hands."""

    INTACT = "intact"
    DAMAGED = "damaged"
    OUT_OF_TEMPERATURE = "out_of_temperature"


@dataclass(frozen=True, slots=True)
class Handover:
    """One hand-over; both people are subjects of tokens."""

    handover_id: UUID
    container_id: UUID
    giver: str
    receiver: str
    place: str
    condition: Condition
    handed_over_at: datetime

    @property
    def failed(self) -> bool:
        """Whether the container must not be used on (a custody failure)."""
        return self.condition is not Condition.INTACT


def hand_over(last: Handover | None, new: Handover) -> Handover:
    """The new link of the chain. Raises `RefusedError` when it does not join on to the last."""
    if new.giver == new.receiver:
        raise RefusedError.because(ReasonCode.SAME_PERSON, lifted_by="another receiver")
    if last is not None and last.receiver != new.giver:
        raise RefusedError.because(ReasonCode.GIVER_HAS_IT_NOT)
    if last is not None and new.handed_over_at < last.handed_over_at:
        raise RefusedError.because(ReasonCode.TIME_ORDER, subject="handed_over_at")
    return new
