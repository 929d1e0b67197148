"""Reads what the file commands are given: bundles, facts files, times.

Invariant: a file that has any problem yields no facts, only its located problems.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from typing import Protocol as Shape

from shared.protocol import Fact, FactsDocument, Protocol, parse_facts_document, parse_statement
from shared.protocol.facts_text import FactsTextError, facts_data
from shared.protocol.reading import BadValue, Place, when

READER = "services.intake.adapters.fhir"
FACTS_BYTES_MAX = 32 * 1024 * 1024
"""Largest facts file, so that a wrong path cannot fill the memory."""


class Reading(Shape):
    """What a reader of bundles answers (services.intake.adapters.fhir.BundleReading)."""

    @property
    def statements(self) -> Sequence[Mapping[str, object]]:
        """The statements in the form of a facts file."""

    @property
    def problems(self) -> Sequence[Any]:
        """Why the whole bundle is refused; empty when it is not."""

    @property
    def subject(self) -> Any:  # noqa: ANN401  (the adapter's type)
        """Whom the bundle is about."""

    @property
    def counts(self) -> Any:  # noqa: ANN401  (the adapter's type)
        """Entries used, ignored and rejected."""


BundleReader = Callable[[bytes], Reading]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A read bundle with the facts of the facts file added."""

    name: str
    subject: str | None
    facts: tuple[Fact, ...]
    resources: Mapping[str, int]
    assume: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """A read facts file. `expected`: the blocks to compare with, `also` included."""

    name: str
    facts: tuple[Fact, ...]
    assume: bool
    expected: tuple[Mapping[str, Any], ...] = ()
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Problems:
    """A refused file and why; each problem is JSON with at least `where` and `message`."""

    name: str
    problems: tuple[Mapping[str, Any], ...]


def packaged_reader(raw: bytes) -> Reading:
    """Read a FHIR bundle with the service's own reader.

    Entry points and adapters do not import each other; the name is resolved when it is needed, as
    for any other plug-in of the command line.
    """
    reading: Reading = import_module(READER).read_bundle(raw)
    return reading


def load_cases(
    protocol: Protocol, bundles: Sequence[Path], facts: Path | None, read: BundleReader
) -> tuple[list[Bundle | Facts], list[Problems]]:
    """Return the cases, one a bundle, or the facts file alone; and every refused file."""
    extra = None if facts is None else read_facts_file(protocol, facts)
    if isinstance(extra, Problems):
        return [], [extra]
    if not bundles:
        return ([] if extra is None else [extra]), []
    found = [_bundle(protocol, path, extra, read) for path in bundles]
    refused = [case for case in found if isinstance(case, Problems)]
    return [case for case in found if not isinstance(case, Problems)], refused


def _bundle(
    protocol: Protocol, path: Path, extra: Facts | None, read: BundleReader
) -> Bundle | Problems:
    try:
        raw = path.read_bytes()
    except OSError as error:
        return _refused(path, "/", f"cannot be read: {error.strerror}")
    reading = read(raw)
    if reading.problems:
        return Problems(path.name, tuple(_problem(problem) for problem in reading.problems))
    facts: list[Fact] = []
    for i, statement in enumerate(reading.statements):
        parsed = parse_statement(statement, zone=protocol.zone, where=f"/statements/{i}")
        if isinstance(parsed, tuple):
            return Problems(
                path.name, tuple({"where": p.where, "message": p.message} for p in parsed)
            )
        facts.append(parsed)
    counts = reading.counts
    return Bundle(
        path.name,
        None if reading.subject is None else reading.subject.reference,
        (*facts, *(() if extra is None else extra.facts)),
        {"used": counts.used, "ignored": counts.ignored, "rejected": counts.rejected},
        assume=extra is not None and extra.assume,
    )


def _problem(problem: Any) -> Mapping[str, Any]:  # noqa: ANN401  (the adapter's type)
    return {
        "where": problem.pointer or "/",
        "code": str(problem.code),
        "message": problem.message,
        "entries": list(problem.entries),
        "subjects": list(problem.subjects),
    }


def located(problem: Mapping[str, Any]) -> str:
    """Return a problem as one line: place, message, entries and subjects."""
    text = f"{problem['where']}: {problem['message']}"
    if problem.get("entries"):
        text += f" (entries {', '.join(str(e) for e in problem['entries'])})"
    if problem.get("subjects"):
        text += f" (subjects {', '.join(problem['subjects'])})"
    return text


def read_facts_file(protocol: Protocol, path: Path) -> Facts | Problems:
    """Return a facts file, YAML or JSON, or its located problems."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        return _refused(path, "/", f"cannot be read: {error.strerror}")
    if len(raw) > FACTS_BYTES_MAX:
        return _refused(path, "/", "is too large")
    try:
        parsed = facts_data(raw, is_json=path.suffix == ".json")
    except FactsTextError as error:
        return _refused(path, "/" if error.line is None else f"line {error.line}", str(error))
    return _facts(path, parsed, parse_facts_document(parsed, zone=protocol.zone))


def _facts(path: Path, parsed: Any, document: FactsDocument) -> Facts | Problems:  # noqa: ANN401  (parse boundary)
    if document.problems:
        return Problems(
            path.name, tuple({"where": p.where, "message": p.message} for p in document.problems)
        )
    also = parsed.get("also") or ()
    base = {key: str(parsed[key]) for key in ("gate", "at") if key in parsed}
    blocks = [document.expected] if document.expected else []
    return Facts(
        path.name,
        document.facts,
        document.assume_other_evidence_current,
        tuple({**base, **block} for block in (*blocks, *also)),
    )


def _refused(path: Path, where: str, message: str) -> Problems:
    return Problems(path.name, ({"where": where, "message": message},))


def read_when(protocol: Protocol, text: object) -> date | datetime | None:
    """Return a clinic-local day or an instant; None when it is neither."""
    try:
        return when(text, Place("", protocol.zone))
    except BadValue:
        return None
