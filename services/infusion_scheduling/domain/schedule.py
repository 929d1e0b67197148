"""The schedule templates of the protocol: how many infusions, and how far apart.

The numbers come from the rulebook (`schedules`); a template only says what it asks for.
"""

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class ScheduleTemplate:
    """`intervals_weeks[i]` lies between infusion i+1 and infusion i+2, at the least."""

    id: str
    intervals_weeks: tuple[int, ...]
    days_between_min: int

    @property
    def count(self) -> int:
        """How many infusions the course has."""
        return len(self.intervals_weeks) + 1

    def earliest_after(self, number: int, previous_on: date) -> date:
        """The first day that infusion `number` (≥ 2) may have after its predecessor's day."""
        days = max(self.intervals_weeks[number - 2] * 7, self.days_between_min)
        return previous_on + timedelta(days=days)
