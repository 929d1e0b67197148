"""The clinic's calendar: local days, and the instants at which they begin.

Invariant: a day rule counts local dates, an hour rule counts exact elapsed time between instants;
the two meet only here. A day that begins with a clock change begins at its first existing instant.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from shared.protocol.facts import When

TICK = timedelta(microseconds=1)
"""The resolution of an instant: the first moment after t is t + TICK."""
MONTHS_OF_YEAR = 12
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant (UTC) and the local day on which it falls."""

    instant: datetime
    day: date


class ClinicTime:
    """Conversions between local days and instants in one zone; answers are remembered."""

    __slots__ = ("_starts", "zone")

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self._starts: dict[date, datetime] = {}

    def start_of(self, day: date) -> datetime:
        """Return the first instant of a local day."""
        found = self._starts.get(day)
        if found is None:
            # A midnight that a clock change skips is read with the offset before the change, which
            # gives the instant of the change itself: the first one of that day.
            local = datetime(day.year, day.month, day.day, tzinfo=self.zone)
            found = self._starts[day] = local.astimezone(UTC)
        return found

    def end_of(self, day: date) -> datetime:
        """Return the last instant of a local day."""
        return self.start_of(day + _DAY) - TICK

    def day_of(self, when: When) -> date:
        """Return the local day of a day or an instant."""
        return when.astimezone(self.zone).date() if isinstance(when, datetime) else when

    def earliest(self, when: When) -> datetime:
        """Return the first instant that a time can mean."""
        return when if isinstance(when, datetime) else self.start_of(when)

    def latest(self, when: When) -> datetime:
        """Return the last instant that a time can mean."""
        return when if isinstance(when, datetime) else self.end_of(when)

    def moment(self, at: date | datetime) -> Moment:
        """Return the moment asked about; a day is asked about at its last second."""
        if isinstance(at, datetime):
            if at.tzinfo is None:
                raise ValueError("an instant needs an offset")
            instant = at.astimezone(UTC)
            return Moment(instant, self.day_of(instant))
        return Moment(self.start_of(at + _DAY) - _SECOND, at)


def plus_months(day: date, months: int) -> date:
    """Return the same day so many calendar months later, or the last day of a shorter month."""
    year, month = divmod(day.year * MONTHS_OF_YEAR + day.month - 1 + months, MONTHS_OF_YEAR)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def full_years(born: date, day: date) -> int:
    """Return the age in completed years."""
    had_birthday = (day.month, day.day) >= (born.month, born.day)
    return day.year - born.year - (not had_birthday)


def birthday(born: date, years: int) -> date:
    """Return the day on which so many years are completed; 29 February counts as 1 March."""
    try:
        return born.replace(year=born.year + years)
    except ValueError:
        return date(born.year + years, born.month + 1, 1)
