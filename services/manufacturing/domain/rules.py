"""What manufacturing reads from the rulebook, as one immutable value.

Built in the shell from the protocol that is in force; the domain holds no clinical number.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from services.manufacturing.domain.product import ProductClocks
from services.manufacturing.domain.specification import Range, ReleaseSpecification


@dataclass(frozen=True, slots=True)
class StartLimit:
    """A measure of the starting material that the culture start needs (MFG-002, MFG-003)."""

    rule: str
    metric: str
    limits: Range


@dataclass(frozen=True, slots=True)
class HarvestWindow:
    """MFG-004: clinic days from the start of the culture, both inclusive."""

    rule: str
    day_min: int
    day_max: int

    def contains(self, started_on: date, harvested_on: date) -> bool:
        """Whether the harvest lies within the window."""
        return self.day_min <= (harvested_on - started_on).days <= self.day_max


@dataclass(frozen=True, slots=True)
class ManufacturingRules:
    """The numbers and rows that manufacturing needs, of one protocol version."""

    protocol_version: str
    specification: ReleaseSpecification
    start_limits: tuple[StartLimit, ...]
    start_after_collection_max: timedelta
    start_after_collection_rule: str
    harvest: HarvestWindow
    harvest_target_days: int
    days_between_collections_min: int
    days_between_collections_rule: str
    freeze_question_rule: str
    clocks: ProductClocks
    #: rules of the gate `release` that are judged here, on evidence that only manufacturing has
    judged_here: frozenset[str]

    def start_limit(self, metric: str) -> StartLimit | None:
        """The limit of a measure, or None when the rulebook names no such metric."""
        return next((limit for limit in self.start_limits if limit.metric == metric), None)

    def harvest_forecast(self, started_on: date) -> date:
        """The planned harvest day of a culture."""
        return started_on + timedelta(days=self.harvest_target_days)
