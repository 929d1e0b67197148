"""Readers of single values of a statement: dates, instants, numbers, words.

Invariant: a reader returns a value of its type or raises `BadValue` with the place; it never
guesses. Times without offset are in the zone that is passed in; a date stays a date.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar, cast

TEXT_LENGTH_MAX = 500
"""Longest text of a statement: names and reasons, never documents."""
LIST_LENGTH_MAX = 2000
"""Most members of one list: a daily drug over five years, stated day by day."""
NUMBER_EXPONENT_MAX = 15
"""Largest power of ten that a clinical quantity can have; larger is a slip or an attack."""
DIGITS_MAX = 20
"""Most significant digits of a number, so that exact arithmetic stays cheap."""


class BadValue(Exception):
    """A value cannot be read; `where` is a JSON pointer inside the document."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where or '/'}: {message}")
        self.where = where
        self.message = message


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, and the zone in which its local times are read."""

    where: str
    zone: tzinfo

    def at(self, key: str | int) -> "Place":
        """Return the place of a member."""
        return Place(f"{self.where}/{key}", self.zone)

    def bad(self, message: str) -> BadValue:
        """Return the error for this place."""
        return BadValue(self.where, message)


T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Reader = Callable[[object, Place], T]


def text(raw: object, place: Place) -> str:
    """Read a short text."""
    if not isinstance(raw, str) or not raw.strip():
        raise place.bad("expected a text")
    if len(raw) > TEXT_LENGTH_MAX:
        raise place.bad(f"longer than {TEXT_LENGTH_MAX} characters")
    if not raw.isprintable():
        raise place.bad("contains control characters")
    return raw


def flag(raw: object, place: Place) -> bool:
    """Read true or false."""
    if not isinstance(raw, bool):
        raise place.bad("expected true or false")
    return raw


def whole(raw: object, place: Place) -> int:
    """Read a whole number from 0."""
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw < 10**NUMBER_EXPONENT_MAX:
        raise place.bad("expected a whole number from 0")
    return raw


def number(raw: object, place: Place) -> Decimal:
    """Read a finite decimal number, exactly as written."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str | Decimal):
        raise place.bad("expected a number")
    try:
        found = Decimal(str(raw))
    except InvalidOperation as error:
        raise place.bad("expected a number") from error
    if not found.is_finite() or not _is_sized(found):
        raise place.bad("not a usable number")
    return plain(found)


def _is_sized(found: Decimal) -> bool:
    digits = len(found.as_tuple().digits)
    return digits <= DIGITS_MAX and abs(found.adjusted()) <= NUMBER_EXPONENT_MAX


def plain(value: Decimal) -> Decimal:
    """Return the number in its shortest form without an exponent: 2.10 and 2.1 are one value."""
    short = value.normalize()
    return short if short.as_tuple().exponent <= 0 else short.quantize(Decimal(1))  # type: ignore[operator]  # finite


def number_or_word(raw: object, place: Place) -> Decimal | str:
    """Read a number, or a word such as `positive`."""
    try:
        return number(raw, place)
    except BadValue:
        return text(raw, place).strip().lower().replace(" ", "_").replace("-", "_")


def when(raw: object, place: Place) -> date | datetime:
    """Read a local day or an instant, keeping the precision."""
    if isinstance(raw, datetime):
        return _instant(raw, place)
    if isinstance(raw, date):
        return raw
    if not isinstance(raw, str):
        raise place.bad("expected a date or a time")
    return _when_of_text(raw.strip(), place)


def _when_of_text(raw: str, place: Place) -> date | datetime:
    try:
        if len(raw) == len("2027-01-15"):
            return date.fromisoformat(raw)
        return _instant(datetime.fromisoformat(raw), place)
    except (ValueError, OverflowError) as error:
        raise place.bad(f"not a date or time: {raw[:40]!a}") from error


def _instant(found: datetime, place: Place) -> datetime:
    aware = found if found.tzinfo is not None else found.replace(tzinfo=place.zone)
    try:
        return aware.astimezone(UTC)
    except OverflowError as error:
        raise place.bad("outside the calendar") from error


def day(raw: object, place: Place) -> date:
    """Read a local day; an instant gives the day on which it falls in the zone."""
    found = when(raw, place)
    return found.astimezone(place.zone).date() if isinstance(found, datetime) else found


def instant(raw: object, place: Place) -> datetime:
    """Read an instant; a day gives its first moment in the zone."""
    found = when(raw, place)
    if isinstance(found, datetime):
        return found
    return datetime(found.year, found.month, found.day, tzinfo=place.zone).astimezone(UTC)


def when_or_flag(raw: object, place: Place) -> date | datetime | bool:
    """Read a time, or true when only the fact is known."""
    return raw if isinstance(raw, bool) else when(raw, place)


def word(kind: type[E]) -> Reader[E]:
    """Return a reader of one of a closed set of words."""

    def read(raw: object, place: Place) -> E:
        try:
            return kind(cast(str, raw))
        except ValueError as error:
            known = ", ".join(sorted(kind))
            raise place.bad(f"expected one of {known}") from error

    return read


def texts(raw: object, place: Place) -> tuple[str, ...]:
    """Read one text or a list of them."""
    if isinstance(raw, str):
        return (text(raw, place),)
    return items(text)(raw, place)


def items(reader: Reader[T]) -> Reader[tuple[T, ...]]:
    """Return a reader of a bounded list."""

    def read(raw: object, place: Place) -> tuple[T, ...]:
        if not isinstance(raw, list | tuple):
            raise place.bad("expected a list")
        if len(raw) > LIST_LENGTH_MAX:
            raise place.bad(f"more than {LIST_LENGTH_MAX} members")
        return tuple(reader(member, place.at(i)) for i, member in enumerate(raw))

    return read


def mapping(raw: object, place: Place) -> Mapping[str, Any]:
    """Read an object whose keys are texts."""
    if not isinstance(raw, Mapping) or not all(isinstance(key, str) for key in raw):
        raise place.bad("expected an object")
    return cast(Mapping[str, Any], raw)
