"""Labels of containers: our own opaque identifiers, with a check character.

Invariant: a label says nothing of the patient, and a mistyped or badly read one is not taken for
another container: a single wrong character and two swapped neighbours change the check character
(remainder of the number by the prime 37, ISO/IEC 7064 in spirit).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

#: Crockford's base 32 (no I, L, O, U), followed by the five extra check symbols
_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHECKS: Final = _DIGITS + "*~$=U"
_PREFIX: Final = "TDM"
_LENGTH: Final = 26
_BITS_PER_DIGIT: Final = 5
_READ_AS: Final = str.maketrans({"O": "0", "I": "1", "L": "1"})


class ContainerKind(StrEnum):
    """What a label is stuck on."""

    MATERIAL = "material"
    DOSE = "dose"


@dataclass(frozen=True, slots=True)
class Container:
    """A labelled container; it belongs to one case for good."""

    container_id: UUID
    case_id: UUID
    kind: ContainerKind
    collection_id: UUID
    dose_id: UUID | None = None

    @property
    def label(self) -> str:
        """The text of its label."""
        return label_of(self.container_id)


@dataclass(frozen=True, slots=True)
class Match:
    """The scanned label is the expected container's."""

    container_id: UUID


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The scan reads as another container's label: a possible mix-up."""

    container_id: UUID


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The scan is no label of ours; nothing is known of the container."""


Scan = Match | Mismatch | Unreadable


def label_of(container_id: UUID) -> str:
    """The label's text, e.g. `TDM-` + 26 characters + check character."""
    number = container_id.int
    shifts = range(_BITS_PER_DIGIT * (_LENGTH - 1), -1, -_BITS_PER_DIGIT)
    digits = "".join(_DIGITS[(number >> shift) & 31] for shift in shifts)
    return f"{_PREFIX}-{digits}{_CHECKS[number % 37]}"


def read_label(text: str) -> UUID | None:
    """The container that a scanned text names, or None when it is no label of ours."""
    body = text.strip().upper().removeprefix(f"{_PREFIX}-")
    if len(body) != _LENGTH + 1:
        return None
    digits = body[:_LENGTH].translate(_READ_AS)
    if any(digit not in _DIGITS for digit in digits):
        return None
    number = sum(_DIGITS.index(d) * 32**i for i, d in enumerate(reversed(digits)))
    if number >= 1 << 128 or _CHECKS[number % 37] != body[_LENGTH]:
        return None
    return UUID(int=number)


def compare(scanned: str, expected: Container) -> Scan:
    """What a scan says of the container that the step is about."""
    read = read_label(scanned)
    if read is None:
        return Unreadable()
    if read == expected.container_id:
        return Match(read)
    return Mismatch(read)
