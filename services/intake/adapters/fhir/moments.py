"""FHIR dates, dateTimes and instants, with the precision that they were given in.

Invariant: a Moment never claims more precision than its text. A year or a month covers all its
days, and the caller picks the day that is on the safe side.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from services.intake.adapters.fhir.access import Rejected
from services.intake.adapters.fhir.reading import Reason

INSTANT_TOLERANCE = timedelta(minutes=5)
"""How far a sender's clock may run ahead of ours before a time counts as future."""
EARLIEST_DAY_TOLERANCE = timedelta(hours=14)
"""A date alone is future only when that day has begun nowhere on earth (UTC+14 is the first)."""

YEAR_MIN, YEAR_MAX = 1850, 2200
"""Years in which anything about a patient can lie; others are slips or placeholders."""
OPEN_END = "9999-12-31"
"""What some systems write for "no end"; it reads as absent."""

_FHIR_TIME = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})"
    r"(?:[T ](?P<clock>\d{2}:\d{2})(?::(?P<second>\d{2})(?P<fraction>\.\d+)?)?"
    r"(?P<offset>Z|[+-]\d{2}:?\d{2})?)?)?)?"
)


class Precision(StrEnum):
    """How exactly a moment was given."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Moment:
    """A point or span of calendar time. ``instant`` is set when a time of day was given.

    An instant without an offset is naive and means the clinic's local time.
    """

    first_day: date
    last_day: date
    precision: Precision
    instant: datetime | None = None

    @property
    def written(self) -> str:
        """The moment as an ISO string: an instant, or the first day it can mean."""
        return self.instant.isoformat() if self.instant else self.first_day.isoformat()

    @property
    def written_latest(self) -> str:
        """The moment as an ISO string: an instant, or the last day it can mean.

        Of an imprecise end or dose the last day counts: a wash-out then ends later, never sooner.
        """
        return self.instant.isoformat() if self.instant else self.last_day.isoformat()

    def is_after(self, now: datetime) -> bool:
        """Return whether the moment lies in the future of ``now`` (aware)."""
        if self.instant is not None and self.instant.tzinfo is not None:
            return self.instant > now + INSTANT_TOLERANCE
        return self.first_day > (now + EARLIEST_DAY_TOLERANCE).date()


def moment(value: object, pointer: str) -> Moment | None:
    """Return the parsed moment, None when absent, or raise Rejected(BAD_DATE) at ``pointer``."""
    if value is None or (isinstance(value, str) and value.startswith(OPEN_END)):
        return None
    if not isinstance(value, str):
        raise Rejected(Reason.WRONG_TYPE, "expected a date", pointer)
    match = _FHIR_TIME.fullmatch(value.strip())
    if match is None:
        raise Rejected(Reason.BAD_DATE, f"not a date: {value[:40]!a}", pointer)
    try:
        return _moment(match)
    except (ValueError, OverflowError) as error:
        raise Rejected(Reason.BAD_DATE, f"no such date: {value[:40]!a}", pointer) from error


def _moment(match: re.Match[str]) -> Moment:
    year, month, day = match["year"], match["month"], match["day"]
    if not YEAR_MIN <= int(year) <= YEAR_MAX:
        raise ValueError(year)
    if month is None:
        return Moment(date(int(year), 1, 1), date(int(year), 12, 31), Precision.YEAR)
    if day is None:
        last = calendar.monthrange(int(year), int(month))[1]
        first = date(int(year), int(month), 1)
        return Moment(first, first.replace(day=last), Precision.MONTH)
    whole = date(int(year), int(month), int(day))
    if match["clock"] is None:
        return Moment(whole, whole, Precision.DAY)
    return Moment(whole, whole, Precision.TIME, _instant(whole, match))


def _instant(day: date, match: re.Match[str]) -> datetime:
    # Python keeps microseconds; senders write up to nine digits, and a leap second as :60.
    second = "59" if match["second"] == "60" else match["second"] or "00"
    fraction = (match["fraction"] or "")[:7]
    offset = (match["offset"] or "").replace("Z", "+00:00")
    found = datetime.fromisoformat(f"{day.isoformat()}T{match['clock']}:{second}")
    if fraction.strip(".0"):
        found = found.replace(microsecond=int(fraction[1:].ljust(6, "0")))
    if not offset:
        return found
    return datetime.fromisoformat(f"{found.isoformat()}{offset}")
