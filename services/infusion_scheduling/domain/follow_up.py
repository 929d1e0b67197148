"""What is done when after an infusion; the days come from the rulebook (`follow_up`)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FollowUpPlan:
    """One row: due `day` days after the infusion, with `window_days` on either side."""

    rule: str
    day: int
    window_days: int
    items: tuple[str, ...]
