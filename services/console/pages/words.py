"""Codes as words for people. What has no words of its own is shown by its code, never hidden."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup

from services.console.pages.times import Times
from services.console.projections.detail import IDS

_TYPE: Final = re.compile(r"tandem\.[a-z]+\.(?P<slug>[a-z-]+)\.v\d+")
_ACRONYMS: Final = {"qc": "QC"}

#: what each urgency is called, and the shape that says it without colour
URGENCIES: Final = {3: "critical", 2: "warning", 1: "information", 0: "quiet"}
SHAPES: Final = {"critical": "◆", "warning": "▲", "information": "●", "info": "●", "quiet": "○"}

#: the next step of an open item
NEXT_STEPS: Final = {
    "parked": "Settle the parked event",
    "hold-recorded": "Wait until the hold is effective",
    "hold": "Clear what the hold is for",
    "alert": "Acknowledge the alert",
    "alert-acknowledged": "Settle the alert's cause",
    "suspended": "Place the infusion anew",
    "proposal": "Decide on the proposed plan",
}

_SERVICES: Final = {
    "intake": "intake",
    "manufacturing": "manufacturing",
    "infusion_scheduling": "scheduling",
    "notification": "notification",
    "console": "console",
}


def slug_of(wire_type: str) -> str:
    """The event's own word in a wire type: `hold-recorded`; other texts stay as they are."""
    found = _TYPE.fullmatch(wire_type)
    return found["slug"] if found else wire_type


def sentence_case(code: str) -> str:
    """A code as words: `hold-recorded` is "Hold recorded"."""
    words = [_ACRONYMS.get(w, w) for w in re.split(r"[-_ ]+", code) if w]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def event_words(wire_type: str) -> str:
    """What happened, in words."""
    return sentence_case(slug_of(wire_type))


def service_words(name: str) -> str:
    """A service's short name."""
    return _SERVICES.get(name, name)


def role_words(role: str) -> str:
    """A role as people say it."""
    return role.replace("_", " ").replace(":", ": ")


def detail_parts(detail: Mapping[str, Any], times: Times) -> list[tuple[str, str | Markup]]:
    """What an event tells besides its ids, as (name, words), in a fixed order."""
    return [
        (name.replace("_", " "), _words(name, value, times))
        for name, value in sorted(detail.items())
        if name not in IDS
    ]


def id_parts(detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The ids that an event names."""
    return [
        (name.replace("_", " "), ", ".join(value) if isinstance(value, list) else str(value))
        for name, value in sorted(detail.items())
        if name in IDS
    ]


def _words(name: str, value: object, times: Times) -> str | Markup:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            # Several events in one line may differ in their times too.
            return Markup(", ").join(_words(name, part, times) for part in value)
        case str() if name.endswith(("_at", "_until")) or name == "since":
            return _instant_words(value, times)
        case str():
            return code_words(value)
        case _:
            return str(value)


def code_words(code: str) -> str:
    """A code in lower case as words; rule ids and the like stay as they are."""
    return code.replace("_", " ") if code.islower() else code


def _instant_words(text: str, times: Times) -> str | Markup:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return text
    return times.minute(instant) if instant.tzinfo else text


def counted(number: int, noun: str, many: str | None = None) -> str:
    """The number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {many or noun + 's'}"


def span_words(span: tuple[int, int]) -> str:
    """A shortest and a longest time in milliseconds."""
    shortest, longest = (duration_words(end) for end in span)
    return shortest if shortest == longest else f"{shortest} to {longest}"


def duration_words(milliseconds: float) -> str:
    """A length of time in its largest sensible unit: 120 ms, 3.2 s, 14 min, 5 h, 2 d."""
    seconds = milliseconds / 1000
    for limit, unit, size in (
        (1, "ms", 0.001),
        (60, "s", 1),
        (3600, "min", 60),
        (86400, "h", 3600),
    ):
        if seconds < limit:
            number = seconds / size
            return f"{number:.1f} {unit}" if unit == "s" and number < 10 else f"{number:.0f} {unit}"  # noqa: PLR2004
    return f"{seconds / 86400:.0f} d"
