"""The page: one row for each real bundle, with what the reader used and left out and why.

Invariant: a row depends on the bytes of its file alone, so the rows of files that are in the
repository can be checked anywhere and the others wherever the reference folder is.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from services.intake.adapters.fhir import (
    BundleReading,
    Outcome,
    ProblemCode,
    ReportLine,
    Statement,
    read_bundle,
)

PAGE: Final = "docs/clinical/fhir-bundles.md"
RECEIVED_AT: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""When the bundles count as received: a day after the newest of them was made."""
PLACES_MAX: Final = 4
"""Most places of one reason that a row lists; the import report has them all."""
_UUID = re.compile(r"_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_NAME_OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "condition": ("concept",),
    "evidence": ("item",),
    "infection": ("type",),
    "lab": ("metric",),
    "medication": ("name",),
    "performance": ("ecog", "karnofsky"),
    "treatment": ("class",),
    "vital": ("metric",),
}
_HEAD: Final = """\
# What the reader uses from real bundles

Written by `python -m tools.fhir_table FOLDER`, where FOLDER holds the reference bundles. Only the
Synthea and mCODE files among them are part of this repository (`tests/data/fhir`). All persons are
synthetic or fictional. The bundles count as received on {received}.

Every resource of a bundle is used, ignored with a reason, or rejected with its place; a bundle as a
whole is read or refused with its place. "used" names what was stated, with the number of statements
where it is more than one; drugs stand by their ingredients, vaccines by their class.
"""


def page(folder: Path) -> str:
    """Return the whole page for the bundles under `folder`."""
    readings = {name: _read(path) for name, path in files(folder).items()}
    bundles = {name: found for name, found in readings.items() if not _is_no_bundle(found)}
    others = Counter(name.split("/")[0] for name in readings if name not in bundles)
    parts = [_HEAD.format(received=RECEIVED_AT.date().isoformat())]
    for group in sorted({name.rpartition("/")[0] for name in bundles}):
        parts.append(f"\n## {group}\n")
        parts.append("| bundle | resources | used | ignored | rejected or refused |\n")
        parts.append("| --- | --- | --- | --- | --- |\n")
        members = [name for name in bundles if name.rpartition("/")[0] == group]
        parts += [row(name, bundles[name]) + "\n" for name in members]
    parts.append("\n## Files that are no bundle\n\nRefused as `not-a-bundle` at `/resourceType`")
    parts.append(": " + ", ".join(f"{name} {n}" for name, n in sorted(others.items())) + ".\n")
    return "".join(parts)


def files(folder: Path) -> dict[str, Path]:
    """Return the JSON files below `folder` by their path without the id of the patient."""
    found = sorted([*folder.rglob("*.json"), *folder.rglob("*.json.gz")])
    return {_name(path.relative_to(folder)): path for path in found}


def _name(path: Path) -> str:
    stem = path.name.removesuffix(".gz").removesuffix(".json").removesuffix(".collection")
    return (path.parent / _UUID.sub("", stem)).as_posix()


def _read(path: Path) -> BundleReading:
    return read_bundle(path.read_bytes(), received_at=RECEIVED_AT)


def _is_no_bundle(found: BundleReading) -> bool:
    return any(problem.code is ProblemCode.NOT_A_BUNDLE for problem in found.problems)


def row(name: str, found: BundleReading) -> str:
    """Return the row of one bundle."""
    short = name.rpartition("/")[2]
    if found.refused:
        refusals = "; ".join(f"`{p.code}` at `{p.pointer}`: {p.message}" for p in found.problems)
        return f"| {short} | | | | **refused** {refusals} |"
    counts = found.counts
    lines = found.report
    return " | ".join(
        (
            f"| {short}",
            f"{len(lines)}: {counts.used} used, {counts.ignored} ignored, "
            f"{counts.rejected} rejected",
            _used(found.statements),
            _ignored(line for line in lines if line.outcome is Outcome.IGNORED),
            _rejected(line for line in lines if line.outcome is Outcome.REJECTED) + " |",
        )
    )


def _used(statements: Iterable[Statement]) -> str:
    kinds: dict[str, Counter[str]] = {}
    for statement in statements:
        kind = str(statement["kind"])
        kinds.setdefault(kind, Counter()).update(_names(kind, statement))
    return "; ".join(f"{kind}{_listed(names)}" for kind, names in sorted(kinds.items()))


def _names(kind: str, statement: Statement) -> Iterator[str]:
    for key in _keys(kind, statement):
        value = statement.get(key)
        if kind == "performance" and value is not None:
            yield f"{key} {value}"
        elif isinstance(value, list):
            yield from map(str, value)
        elif value is not None:
            yield str(value)


def _keys(kind: str, statement: Statement) -> tuple[str, ...]:
    classes = statement.get("class")
    is_vaccine = isinstance(classes, list) and any("vaccine" in str(one) for one in classes)
    return ("class",) if is_vaccine else _NAME_OF_KIND.get(kind, ())


def _listed(names: Counter[str]) -> str:
    if not names:
        return ""
    return ": " + ", ".join(f"{name} ({n})" if n > 1 else name for name, n in sorted(names.items()))


def _ignored(lines: Iterable[ReportLine]) -> str:
    found: dict[str, Counter[str]] = {}
    for line in lines:
        kind = line.resource.partition("/")[0]
        found.setdefault(line.reason.value, Counter())[kind] += 1
    return "; ".join(f"`{reason}`{_listed(kinds)}" for reason, kinds in sorted(found.items()))


def _rejected(lines: Iterable[ReportLine]) -> str:
    found: dict[str, list[str]] = {}
    for line in lines:
        found.setdefault(line.reason.value, []).append(line.pointer)
    return "; ".join(
        f"`{reason}` ({len(places)}) at {', '.join(f'`{place}`' for place in places[:PLACES_MAX])}"
        f"{' …' if len(places) > PLACES_MAX else ''}"
        for reason, places in sorted(found.items())
    )
