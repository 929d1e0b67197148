"""Tolerant access to raw FHIR JSON: a value of the asked type, nothing, or a located rejection.

Invariant: nothing here raises for odd input except ``Rejected``, which costs one entry and names
the element. Text that goes on into a statement is printable and bounded, so that neither a store
nor a page has to deal with control characters or megabytes in a display name.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.intake.adapters.fhir.reading import Reason

Json = dict[str, Any]

TEXT_LENGTH_MAX = 200
"""Longest display or name that a statement or message carries."""
CODINGS_MAX = 50
"""Most codings of one concept that are looked at; real concepts have fewer than ten."""
NUMBER_MAX = 1e12
"""Largest number that any clinical quantity can have; beyond it lies a slip or an attack."""
NUMBER_MIN = 1e-12
"""Smallest number above zero, for the same reason."""
_DENIALS = ("doNotPerform", "wasNotTaken", "wasNotGiven", "notGiven", "notPerformed", "notDone")
"""Booleans of several FHIR versions that turn a resource into its opposite."""


class Rejected(Exception):
    """One entry cannot be read; ``pointer`` is relative to the resource."""

    def __init__(self, reason: Reason, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.pointer = pointer


@dataclass(frozen=True, slots=True)
class Coding:
    """One code with its system as written; empty strings where the element is absent."""

    system: str
    code: str
    display: str


def text(value: object) -> str | None:
    """Return a printable, bounded string, or None when ``value`` is no usable text."""
    if not isinstance(value, str):
        return None
    short = value[:TEXT_LENGTH_MAX]
    if not short.isprintable():
        short = "".join(mark if mark.isprintable() else " " for mark in short)
    return short.strip() or None


def mapping(value: object) -> Json:
    """Return ``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> list[Json]:
    """Return the objects in ``value``; a lone object counts as a list of one (older shapes)."""
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, dict)]
    return []


def number(value: object) -> float | int | None:
    """Return a finite JSON number of clinical size, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if value == 0 or NUMBER_MIN <= abs(value) <= NUMBER_MAX else None


def codings(concept: object, pointer: str = "") -> tuple[Coding, ...]:
    """Return the codings of a CodeableConcept; an absent concept has none.

    Raises Rejected when the concept is present but not an object.
    """
    if concept is None:
        return ()
    if not isinstance(concept, dict | list):
        raise Rejected(Reason.WRONG_TYPE, "expected a coded concept", pointer)
    return tuple(_codings(concept))


def _codings(concept: Json | list[Any]) -> Iterator[Coding]:
    for part in mappings(concept):
        for item in mappings(part.get("coding"))[:CODINGS_MAX]:
            code = text(item.get("code"))
            if code:
                system = text(item.get("system")) or ""
                yield Coding(system, code, text(item.get("display")) or "")


def codes(concept: object) -> frozenset[str]:
    """Return the bare codes of a status-like element, whether coded or a plain string."""
    plain = text(concept)
    if plain:
        return frozenset({plain.lower()})
    return frozenset(coding.code.lower() for coding in _codings_or_none(concept))


def denied(resource: Json) -> bool:
    """Return whether the resource says that what it tells did not take place."""
    return any(resource.get(element) is True for element in _DENIALS)


def _codings_or_none(concept: object) -> tuple[Coding, ...]:
    return tuple(_codings(concept)) if isinstance(concept, dict | list) else ()


def label(concept: object) -> str:
    """Return words for a concept, for messages to people: its display, text or code."""
    for coding in _codings_or_none(concept):
        if coding.display:
            return coding.display
    written = text(mapping(concept).get("text"))
    if written:
        return written
    found = _codings_or_none(concept)
    return found[0].code if found else "no code"


def fingerprint(value: object) -> str:
    """Return a short stable hash of JSON content, independent of key order."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
