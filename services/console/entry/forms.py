"""A form as intake describes it, and what a person typed into it as intake's form. Pure.

Invariant: nothing is defaulted here. A field that is left empty is left out, and a required one is
asked for again; only a tick beside it says that there is no value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, assert_never

Kind = Literal[
    "text", "number", "whole", "whole-list", "date", "instant", "yes-no", "yes-no-unknown"
]
#: after a field's name: the tick that says there is no value
NONE: Final = ".none"
#: what an unticked box or an empty field leaves
_LEFT_OUT: Final = object()


class TypedWronglyError(ValueError):
    """The text cannot be read; says what to type instead."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values that a field may have."""

    value: str
    title: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field. `null_means`: what no value says, where that is an answer."""

    name: str
    title: str
    type: Kind
    required: bool
    hint: str = ""
    null_means: str | None = None
    choices: tuple[Choice, ...] = ()
    minimum: Decimal | None = None
    above: Decimal | None = None
    maximum: Decimal | None = None
    max_length: int | None = None

    def title_of(self, value: str) -> str:
        """A chosen value in words; the value itself where it is none of today's choices."""
        return next((c.title for c in self.choices if c.value == value), value)


@dataclass(frozen=True, slots=True)
class EntryForm:
    """A form. `entered_by` are the roles whose word it is."""

    form: str
    title: str
    about: str
    entered_by: frozenset[str]
    fields: tuple[Field, ...]

    @property
    def asked(self) -> tuple[Field, ...]:
        """What must be answered."""
        return tuple(field for field in self.fields if field.required)

    @property
    def optional(self) -> tuple[Field, ...]:
        """What may be left empty."""
        return tuple(field for field in self.fields if not field.required)


@dataclass(frozen=True, slots=True)
class Forms:
    """All forms of a case, and the zone in which people type times."""

    zone: str
    items: tuple[EntryForm, ...]

    def named(self, name: str) -> EntryForm | None:
        """The form of this name."""
        return next((form for form in self.items if form.form == name), None)


def without_case(form: EntryForm) -> EntryForm:
    """The form without what it offers for one case alone: the days of its plan."""
    return replace(
        form, fields=tuple(replace(f, choices=()) if f.type == "date" else f for f in form.fields)
    )


def bare_form(name: str, typed: Mapping[str, str]) -> EntryForm:
    """A form that keeps what was typed while nobody can tell what its fields are."""
    title = name.replace("-", " ").capitalize()
    fields = tuple(
        Field(n, n.replace("_", " ").capitalize(), "text", required=True)
        for n in typed
        if not n.endswith(NONE)
    )
    return EntryForm(name, title, "", frozenset(), fields)


def filled(
    form: EntryForm, typed: Mapping[str, str], zone: tzinfo
) -> tuple[dict[str, Any], dict[str, str]]:
    """The form as intake reads it, and by field what has to be typed otherwise."""
    body: dict[str, Any] = {"form": form.form}
    wrong: dict[str, str] = {}
    for field in form.fields:
        try:
            value = _value(field, typed, zone)
        except TypedWronglyError as error:
            wrong[field.name] = str(error)
        else:
            if value is not _LEFT_OUT:
                body[field.name] = value
    return body, wrong


def _value(field: Field, typed: Mapping[str, str], zone: tzinfo) -> object:
    text = typed.get(field.name, "").strip()
    if field.null_means and typed.get(field.name + NONE):
        if text:
            raise TypedWronglyError("Give a value or tick the box, not both.")
        return None
    if text:
        return _read(field, text, zone)
    if not field.required:
        return _LEFT_OUT
    if field.null_means:
        raise TypedWronglyError(f"Fill this in, or tick “{field.null_means}”.")
    raise TypedWronglyError("Choose one." if field.choices else "Fill this in.")


def _read(field: Field, text: str, zone: tzinfo) -> object:
    found: object
    match field.type:
        case "number":
            found = str(_bounded(field, _decimal(text)))
        case "whole":
            found = int(_bounded(field, Decimal(_whole(text))))
        case "whole-list":
            found = [_whole(part) for part in text.replace(",", " ").split()]
        case "date":
            found = _date(text).isoformat()
        case "instant":
            found = _instant(text, zone).isoformat()
        case "yes-no" | "yes-no-unknown":
            found = text == "yes"
        case "text":
            found = _short(field, text)
        case _:
            assert_never(field.type)
    return found


def _decimal(text: str) -> Decimal:
    # A comma may part thousands or decimals, and the difference is a thousandfold dose.
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not set(text) <= set("+-.0123456789"):
        raise TypedWronglyError("Write a number, with a point for decimals: 0.75.")
    return number


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise TypedWronglyError("Write whole numbers only.")
    return int(text)


def _bounded(field: Field, number: Decimal) -> Decimal:
    if field.above is not None and number <= field.above:
        raise TypedWronglyError(f"Give a number above {field.above:f}.")
    low, high = field.minimum, field.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        least = f"{low:f} to " if low is not None else "at most "
        raise TypedWronglyError(f"Give {'a number from ' if low is not None else ''}{least}{high}.")
    return number


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise TypedWronglyError("Write the day as 2027-03-31.") from None


def _instant(text: str, zone: tzinfo) -> datetime:
    try:
        typed = datetime.fromisoformat(text)
    except ValueError:
        raise TypedWronglyError("Write day and time as 2027-03-31 14:30.") from None
    if typed.tzinfo is not None:
        return typed
    # Of an hour that the clocks show twice, the later one: what ends then ends no earlier.
    found = typed.replace(tzinfo=zone, fold=1)
    if found.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != typed:
        raise TypedWronglyError("The clocks skip this time that day.")
    return found


def _short(field: Field, text: str) -> str:
    if field.max_length is not None and len(text) > field.max_length:
        raise TypedWronglyError(f"At most {field.max_length} characters.")
    return text


def typed_of(form: EntryForm, body: Mapping[str, Any], zone: tzinfo) -> dict[str, str]:
    """What a person would have typed to give this form."""
    typed: dict[str, str] = {}
    for field in form.fields:
        if field.name not in body:
            continue
        value = body[field.name]
        if value is None and field.null_means:
            typed[field.name + NONE] = "yes"
        elif value is not None:
            typed[field.name] = _typed(field, value, zone)
    return typed


def _typed(field: Field, value: object, zone: tzinfo) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no" if field.type == "yes-no-unknown" else ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if field.type == "instant":
        local = datetime.fromisoformat(str(value)).astimezone(zone).replace(tzinfo=None)
        return local.isoformat(timespec="seconds" if local.second else "minutes")
    return str(value)
