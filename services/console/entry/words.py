"""What was entered, in clinicians' words. Pure.

Invariant: what a person left out and intake assumed is marked as assumed, never shown as said.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup

from services.console.entry.desk import Entry
from services.console.entry.forms import EntryForm, Field, bare_form
from services.console.pages.times import Times

_DAY_LENGTH: Final = len("2027-03-31")


@dataclass(frozen=True, slots=True)
class Said:
    """One line: a field, what it says, and whether intake assumed that."""

    title: str
    words: str | Markup
    assumed: bool = False


def form_of(forms: Sequence[EntryForm], entry: Entry) -> EntryForm:
    """The entry's form; its fields' names where intake describes it no more."""
    return next((f for f in forms if f.form == entry.form), None) or bare_form(
        entry.form, {name: "" for name in entry.body if name != "form"}
    )


def said(form: EntryForm, entry: Entry, times: Times) -> list[Said]:
    """Every field with a value, in the form's order, then what follows from them."""
    lines: list[Said] = []
    for field in form.fields:
        if field.name in entry.body:
            lines.append(Said(field.title, _words(field, entry.body[field.name], times)))
        elif field.name in entry.assumed:
            words = _words(field, entry.shown.get(field.name), times)
            lines.append(Said(field.title, words, assumed=True))
    return lines + follows(entry.shown)


def brief(form: EntryForm, entry: Entry, times: Times) -> list[str | Markup]:
    """What was asked for and answered, for a list."""
    asked = [field for field in form.asked if field.name in entry.body]
    return [_words(field, entry.body[field.name], times) for field in asked]


def follows(shown: Mapping[str, Any]) -> list[Said]:
    """What intake made of it."""
    return [
        Said(title, words)
        for name, (title, wording) in _FOLLOWS.items()
        if shown.get(name) and (words := wording(shown[name]))
    ]


def _moves(moved: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{move['from']} to {move['to']}" if move.get("to") else f"{move['from']} cancelled"
        for move in moved
    )


_FOLLOWS: Final[Mapping[str, tuple[str, Callable[[Any], str]]]] = {
    "prednisone_mg_per_day": ("Equal to prednisone", lambda mg: f"{mg:.3g} mg a day"),
    "level": ("Level of the symptom", str),
    "planned_days": ("Planned doses", ", ".join),
    "moved": ("Doses moved", _moves),
    "unmapped": ("Not in the list of known drugs", ", ".join),
    "class": ("Counts as", lambda code: str(code).replace("_", " ")),
}


def _words(field: Field, value: object, times: Times) -> str | Markup:
    match value:
        case None:
            return field.null_means or "not known"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
        case str() if field.type == "instant":
            return times.minute(datetime.fromisoformat(value))
        case _:
            return field.title_of(str(value))


def ends(clears_at: str | None, times: Times) -> str | Markup:
    """When a finding is over by itself, as far as the record says today."""
    if clears_at is None:
        return "not by time alone"
    if len(clears_at) == _DAY_LENGTH:
        return clears_at
    return times.minute(datetime.fromisoformat(clears_at))


def with_assumed(entry: Entry) -> dict[str, Any]:
    """The form as it was understood: a correction must not assume other days than the entry did."""
    assumed = {name: entry.shown[name] for name in entry.assumed if name in entry.shown}
    return {**assumed, **entry.body}
