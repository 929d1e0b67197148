"""What draft orders bring, as the use cases see it; the reader stands behind `ReadOrders`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.intake.domain.cards import NotCompared


@dataclass(frozen=True, slots=True)
class OrderProblem:
    """Why the request is refused. `pointer` is a JSON pointer into the request."""

    pointer: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class IncomingOrders:
    """Orders that were read as if they were carried out as ordered.

    With problems, nothing of it may be used. `identifiers` are the patient's (system, value).
    """

    identifiers: Sequence[tuple[str, str]] = ()
    statements: Sequence[Mapping[str, Any]] = ()
    not_compared: Sequence[NotCompared] = ()
    problems: Sequence[OrderProblem] = ()


@dataclass(frozen=True, slots=True)
class DraftOrders:
    """What a clinician's system sends: the patient and a Bundle, each with its place.

    `patient_id` is the patient's id in that system; both must be about that patient.
    """

    patient_id: str
    patient: Mapping[str, Any]
    patient_pointer: str
    bundle: Mapping[str, Any]
    bundle_pointer: str


class ReadOrders(Protocol):
    """Reads draft orders."""

    def __call__(self, orders: DraftOrders, received_at: datetime) -> IncomingOrders:
        """What the orders would bring; never raises for bad input."""
        ...
