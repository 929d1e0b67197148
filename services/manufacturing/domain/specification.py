"""The release specification: which tests a batch needs and how a result is judged.

Invariant: only a final result that can be read, carries the specified unit and lies within the
limits (or is one of the passing words) passes. Unparsable, wrong unit, implausible, preliminary or
an unknown word: UNKNOWN, and unknown never passes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final, assert_never

from services.manufacturing.domain.product import Form
from shared.protocol.reading import DIGITS_MAX, NUMBER_EXPONENT_MAX

_WORD: Final = re.compile(r"[a-z][a-z_]{0,39}")
_NUMBER: Final = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,2})?")
_PERCENT: Final = "%"


#: words that never are a good result, for rows that list only the passing ones
_FAILING: Final = frozenset(
    {"growth", "positive", "detected", "fail", "mismatch", "does_not_conform"}
)


@dataclass(frozen=True, slots=True)
class Word:
    """A qualitative result, e.g. `no_growth`."""

    text: str


class ResultStatus(StrEnum):
    """Whether the laboratory may still change its mind."""

    PRELIMINARY = "preliminary"
    FINAL = "final"


class Verdict(StrEnum):
    """What the specification says of a result, from best to worst."""

    PASS = "pass"  # noqa: S105 - no secret
    REVIEW = "review"
    UNKNOWN = "unknown"
    FAIL = "fail"


_RANK: Final = {v: rank for rank, v in enumerate(Verdict)}


class Doubt(StrEnum):
    """Why a result could not be judged."""

    UNPARSABLE = "unparsable"
    WRONG_UNIT = "wrong-unit"
    IMPLAUSIBLE = "implausible"
    PRELIMINARY = "preliminary"
    WRONG_KIND = "wrong-kind"
    UNKNOWN_WORD = "unknown-word"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit (UCUM), as the laboratory stated it."""

    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Unparsable:
    """A result that could not be read as a number or as a word; what was stated is kept."""

    text: str
    unit: str | None


Reading = Quantity | Word | Unparsable


@dataclass(frozen=True, slots=True)
class Range:
    """Inclusive limits in one unit; the review band lies inside the limits."""

    unit: str
    minimum: Fraction | None = None
    maximum: Fraction | None = None
    review_minimum: Fraction | None = None
    review_maximum: Fraction | None = None


@dataclass(frozen=True, slots=True)
class PassingWords:
    """The words that pass and those that fail; any other word cannot be judged."""

    passing: frozenset[str]
    failing: frozenset[str] = _FAILING


Criterion = Range | PassingWords


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and for UNKNOWN the doubt."""

    verdict: Verdict
    doubt: Doubt | None = None

    @property
    def passed(self) -> bool | None:
        """True only for a pass, False only for a fail, None for everything between."""
        return {Verdict.PASS: True, Verdict.FAIL: False}.get(self.verdict)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of the specification.

    `before_release`: a release needs it; else the batch may be released while it is pending.
    `preliminary_counts`: a preliminary pass is a pass (REL-STER-PRE alone, see DATA-007).
    """

    rule: str
    test: str
    criterion: Criterion
    forms: frozenset[Form]
    before_release: bool = True
    preliminary_counts: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseSpecification:
    """All rows of one protocol version."""

    protocol_version: str
    requirements: tuple[Requirement, ...]

    def for_test(self, test: str) -> Requirement | None:
        """The row of a test, or None when the specification has no such test."""
        return next((r for r in self.requirements if r.test == test), None)

    def for_form(self, form: Form) -> tuple[Requirement, ...]:
        """The rows that a product of this form must meet."""
        return tuple(r for r in self.requirements if form in r.forms)


def read_result(value: str, unit: str | None) -> Reading:
    """A result as stated: a quantity, a word, or unparsable; nothing is guessed.

    `>95`, `95 %` in the value, `n/a`, an empty text, a number without unit and one that no
    laboratory states (`DIGITS_MAX`) are unparsable.
    """
    text = value.strip()
    if unit is None:
        return Word(text) if _WORD.fullmatch(text) else Unparsable(text, unit)
    if not _NUMBER.fullmatch(text) or not unit.strip() or not unit.isprintable():
        return Unparsable(text, unit)
    number = Decimal(text)
    digits = len(number.as_tuple().digits)
    if digits > DIGITS_MAX or abs(number.adjusted()) > NUMBER_EXPONENT_MAX:
        return Unparsable(text, unit)
    return Quantity(number, unit)


def judge(requirement: Requirement, reading: Reading, status: ResultStatus) -> Judgement:
    """What the row says of a result. A preliminary result may fail but not pass (DATA-007)."""
    found = judge_reading(requirement.criterion, reading)
    early = status is ResultStatus.PRELIMINARY and not requirement.preliminary_counts
    if early and found.verdict in {Verdict.PASS, Verdict.REVIEW}:
        return Judgement(Verdict.UNKNOWN, Doubt.PRELIMINARY)
    return found


def judge_reading(criterion: Criterion, reading: Reading) -> Judgement:
    """What a criterion says of a reading, whatever its status."""
    if isinstance(reading, Unparsable):
        return Judgement(Verdict.UNKNOWN, Doubt.UNPARSABLE)
    match criterion:
        case Range():
            return _judge_range(criterion, reading)
        case PassingWords():
            return _judge_words(criterion, reading)
        case _:
            assert_never(criterion)


def worst(judgements: Iterable[Judgement]) -> Judgement | None:
    """The worst of several, or None of none."""
    return max(judgements, key=lambda j: _RANK[j.verdict], default=None)


def _judge_range(limits: Range, reading: Quantity | Word) -> Judgement:
    if not isinstance(reading, Quantity):
        return Judgement(Verdict.UNKNOWN, Doubt.WRONG_KIND)
    if reading.unit != limits.unit:
        return Judgement(Verdict.UNKNOWN, Doubt.WRONG_UNIT)
    value = Fraction(reading.value)
    if value < 0 or (limits.unit == _PERCENT and value > 100):  # noqa: PLR2004 - a per cent
        return Judgement(Verdict.UNKNOWN, Doubt.IMPLAUSIBLE)
    if _outside(value, limits.minimum, limits.maximum):
        return Judgement(Verdict.FAIL)
    if _outside(value, limits.review_minimum, limits.review_maximum):
        return Judgement(Verdict.REVIEW)
    return Judgement(Verdict.PASS)


def _outside(value: Fraction, minimum: Fraction | None, maximum: Fraction | None) -> bool:
    return (minimum is not None and value < minimum) or (maximum is not None and value > maximum)


def _judge_words(words: PassingWords, reading: Quantity | Word) -> Judgement:
    if not isinstance(reading, Word):
        return Judgement(Verdict.UNKNOWN, Doubt.WRONG_KIND)
    if reading.text in words.passing:
        return Judgement(Verdict.PASS)
    if reading.text in words.failing:
        return Judgement(Verdict.FAIL)
    return Judgement(Verdict.UNKNOWN, Doubt.UNKNOWN_WORD)
