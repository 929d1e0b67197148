"""Whether two records are one patient: what is asked, what contradicts, and who may decide.

Invariant: nothing here decides that two people are one. A contradiction is told, a resemblance is
asked about, and two people, neither alone, answer.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.contracts.vocabulary import Role

Identifier = tuple[str, str]

#: who may say that a chain of identity holds
CONFIRMERS: Final = frozenset({Role.QA_RELEASE, Role.MEDICAL_DIRECTOR})
#: a patient is identified by two of these, checked with the patient or on labels
IDENTIFIERS_CHECKED_MIN: Final = 2


class ChangeKind(StrEnum):
    """What was reported of patients' records."""

    MERGE = "merge"
    UNMERGE = "unmerge"
    CHANGE = "change"
    CONFLICT = "conflict"


class ChangeState(StrEnum):
    """A change holds its cases until it is decided."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    DECLINED = "DECLINED"


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """What a registration system or a person said: `retired` identifiers became `surviving` ones.

    For `change`, `surviving` are the new identifiers of the one patient who had `retired`.
    """

    kind: ChangeKind
    surviving: Sequence[Identifier]
    retired: Sequence[Identifier]
    source: str
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """A change on record. A case that is None was not known here."""

    change_id: UUID
    kind: ChangeKind
    state: ChangeState
    case_ids: tuple[UUID, ...]
    surviving_case: UUID | None
    retired_case: UUID | None
    retired_keys: tuple[Identifier, ...]
    moved: tuple[Identifier, ...]
    source: str
    occurred_at: datetime
    recorded_at: datetime
    proposer: str

    @property
    def hold_episode(self) -> str:
        """What this change's holds are about."""
        return f"identity:{self.change_id}"


@dataclass(frozen=True, slots=True)
class Signatures:
    """Two people and what they compared."""

    first: str
    first_roles: frozenset[Role]
    second: str
    checked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IdentityRefusal:
    """Why these people may not decide this change now."""

    code: str
    title: str


def may_decide(change: RecordedChange, signed: Signatures) -> IdentityRefusal | None:
    """None when the two may decide the change, else why not."""
    if not signed.first_roles & CONFIRMERS:
        return IdentityRefusal("not-your-decision", "Quality assurance or the director decides.")
    if signed.first == signed.second:
        return IdentityRefusal("second-person", "Another person must sign as well.")
    if signed.first == change.proposer:
        return IdentityRefusal("second-person", "Whoever reported the change does not decide it.")
    if len(set(signed.checked)) < IDENTIFIERS_CHECKED_MIN:
        return IdentityRefusal("two-identifiers", "Two different identifiers must be checked.")
    return None


def contradicts(known: date | None, told: date | None) -> bool:
    """Whether the birth dates say that these are two people; unknown says nothing."""
    return known is not None and told is not None and known != told


def swapped(day: date) -> date | None:
    """The date with day and month exchanged; None when there is none, or it is the same."""
    if day.day > 12 or day.day == day.month:  # noqa: PLR2004 - months of a year
        return None
    return date(day.year, day.day, day.month)


def birth_dates_like(day: date) -> tuple[date, ...]:
    """The dates that may be this one, written the other way round among them."""
    other = swapped(day)
    return (day,) if other is None else (day, other)


def folded(name: str) -> str:
    """A name as it compares: letters alone, without case, accents and transliteration."""
    plain = unicodedata.normalize("NFKD", name.casefold().translate(_TRANSLITERATED))
    letters = "".join(c for c in plain if c.isalpha())
    for long, short in _SPELT_OUT:
        letters = letters.replace(long, short)
    return letters


#: letters that have no accent to be taken off
_TRANSLITERATED: Final = str.maketrans({"\u0131": "i", "ø": "o", "ł": "l", "đ": "d", "æ": "ae"})
#: how registries without the letter write it
_SPELT_OUT: Final = (("ae", "a"), ("oe", "o"), ("ue", "u"))


def same_names(one: str | None, other: str | None) -> bool:
    """Whether both are known and compare as one name."""
    return bool(one and other) and folded(one or "") == folded(other or "")
