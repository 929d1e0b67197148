"""What reading a FHIR bundle gives back: statements, a line per resource, and located problems.

Invariant: a reading either has problems (then it carries no statements and nothing may be recorded
from it), or every entry of the bundle has exactly one report line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

Statement = Mapping[str, object]
"""One fact in the form of the ``--facts`` file, with JSON values only (dates are ISO strings)."""


class Outcome(StrEnum):
    """What became of one entry."""

    USED = "used"
    IGNORED = "ignored"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Why an entry was ignored or rejected; stable, so that interfaces can translate it."""

    # used
    STATED = "stated"
    MERGED = "merged-into-administration"
    SUPPORTS = "supports-another-resource"
    # ignored
    TYPE_NOT_NEEDED = "resource-type-not-needed"
    CODE_NOT_NEEDED = "code-not-in-terminology"
    NO_RULE = "no-rule-reads-it"
    MASKED = "withheld-by-the-sender"
    NOT_DONE = "not-done-or-cancelled"
    DUPLICATE = "duplicate-entry"
    OLDER_VERSION = "older-version"
    NO_VALUE = "no-value"
    REFUTED = "refuted"
    NOT_THE_PATIENT = "not-about-the-patient"
    # rejected
    NOT_A_RESOURCE = "not-a-resource"
    WRONG_TYPE = "wrong-type"
    MISSING = "required-element-missing"
    BAD_DATE = "bad-date"
    FUTURE_DATE = "future-date"
    AFTER_DEATH = "after-death"
    UNRESOLVED = "unresolved-reference"
    BEFORE_BIRTH = "before-birth"
    MODIFIED = "modified-meaning"


class ProblemCode(StrEnum):
    """Why the whole input is refused."""

    TOO_LARGE = "too-large"
    TOO_DEEP = "too-deep"
    TOO_MANY_ENTRIES = "too-many-entries"
    BAD_GZIP = "bad-gzip"
    NOT_UTF8 = "not-utf-8"
    NOT_JSON = "not-json"
    NOT_A_BUNDLE = "not-a-bundle"
    NO_ENTRIES = "no-entries"
    NO_PATIENT = "no-patient"
    SEVERAL_PATIENTS = "several-patients"


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason to refuse the whole input, with the place.

    ``entries`` are positions in ``Bundle.entry`` counted from 0, as in ``pointer``.
    """

    code: ProblemCode
    message: str
    pointer: str = ""
    entries: tuple[int, ...] = ()
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportLine:
    """What became of one entry.

    ``entry`` counts from 0; ``pointer`` is a JSON pointer into the input.
    ``statements`` are the ids of the statements that rest on this resource, in statement order.
    """

    entry: int
    resource: str
    outcome: Outcome
    reason: Reason
    message: str
    pointer: str
    statements: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Identifier:
    """A business identifier of the patient, for the identity map."""

    system: str
    value: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the bundle is about. Identity, kept apart from the clinical statements and never logged.

    ``birth_date`` is None when it is absent or not precise to the day.
    """

    reference: str
    identifiers: tuple[Identifier, ...] = ()
    family: str | None = None
    given: tuple[str, ...] = ()
    birth_date: date | None = None
    sex: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceCounts:
    """Entries by outcome; they add up to the number of entries."""

    used: int = 0
    ignored: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class BundleReading:
    """The result of ``read_bundle``.

    ``statements`` are in a canonical order that does not depend on the order of entries, so two
    readings of the same content are equal. ``digest`` names the exact bytes that were read.
    """

    digest: str
    subject: Subject | None = None
    statements: tuple[Statement, ...] = ()
    report: tuple[ReportLine, ...] = ()
    problems: tuple[Problem, ...] = field(default=())

    @property
    def refused(self) -> bool:
        """True when nothing of this input may be recorded."""
        return bool(self.problems)

    @property
    def counts(self) -> ResourceCounts:
        """How many entries were used, ignored and rejected."""
        outcomes = [line.outcome for line in self.report]
        return ResourceCounts(
            used=outcomes.count(Outcome.USED),
            ignored=outcomes.count(Outcome.IGNORED),
            rejected=outcomes.count(Outcome.REJECTED),
        )
