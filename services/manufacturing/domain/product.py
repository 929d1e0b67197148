"""The product's forms and its clocks: until when a dose may be used.

Invariant: every limit comes from the rulebook (REL-EXP-F, REL-EXP-T, REL-EXP-C); the earliest
clock wins; a dose at or past its limit is unusable, and nothing here takes an override.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Form(StrEnum):
    """How the product is kept."""

    FRESH = "fresh"
    CRYOPRESERVED = "cryopreserved"


@dataclass(frozen=True, slots=True)
class ProductClocks:
    """The limits of the rulebook, with the clinic's zone for those in calendar months."""

    fresh_max: timedelta
    after_thaw_max: timedelta
    cryo_max_months: int
    zone: ZoneInfo

    def fresh_expiry(self, formulated_at: datetime, printed: datetime | None) -> datetime:
        """REL-EXP-F: the earlier of the limit from formulation and the printed expiry."""
        limit = formulated_at + self.fresh_max
        return limit if printed is None else min(limit, printed)

    def cryo_expiry(self, frozen_on: date, printed: datetime | None) -> datetime:
        """REL-EXP-C: calendar months from freezing, to the end of that clinic day."""
        last_day = _add_months(frozen_on, self.cryo_max_months)
        limit = datetime.combine(last_day + timedelta(days=1), time.min, self.zone)
        return limit if printed is None else min(limit, printed)

    def thawed_until(self, thawed_at: datetime, expires_at: datetime) -> datetime:
        """REL-EXP-T: the short clock after the thaw, never longer than the expiry."""
        return min(thawed_at + self.after_thaw_max, expires_at)

    def local_day(self, instant: datetime) -> date:
        """The clinic's calendar day of an instant."""
        return instant.astimezone(self.zone).date()


def _add_months(day: date, months: int) -> date:
    year, month0 = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month0 + 1, last)
        except ValueError:
            continue
    raise ValueError(f"no such day: {day} + {months} months")
