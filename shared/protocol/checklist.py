"""The evaluation checklist and the advice on eligibility (being filled in)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from shared.protocol.facts import Fact, When
from shared.protocol.findings import Finding
from shared.protocol.loader import Protocol
from shared.protocol.record import Record


class ItemState(StrEnum):
    """What is on file for an item of the evaluation."""

    PRESENT = "present"
    MISSING = "missing"
    TOO_OLD = "too old"
    CONTRADICTORY = "contradictory"


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """One of the ten items; `facts` are the ids it rests on, `sources` where they come from."""

    item: str
    state: ItemState
    message: str
    facts: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    dated: When | None = None
    questions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the item as `tandem checklist --json` shows it."""
        raise NotImplementedError


class EligibilityOutcome(StrEnum):
    """The engine's advice; a physician decides."""

    SUITABLE = "suitable"
    POSTPONED = "postponed"
    STANDARD_TREATMENT_FIRST = "standard_treatment_first"
    NOT_SUITABLE = "not_suitable"


@dataclass(frozen=True, slots=True)
class EligibilityAdvice:
    """Advice with its findings; `reevaluate_on` is set when postponed."""

    outcome: EligibilityOutcome
    reevaluate_on: date | None
    findings: tuple[Finding, ...]


def checklist(
    protocol: Protocol, facts: Iterable[Fact] | Record, at: date | datetime
) -> tuple[ChecklistItem, ...]:
    """Return the ten items in the rulebook's order."""
    raise NotImplementedError


def eligibility_advice(
    protocol: Protocol, facts: Iterable[Fact] | Record, at: date | datetime
) -> EligibilityAdvice:
    """Return suitable, postponed, standard treatment first or not suitable, with reasons."""
    raise NotImplementedError
