"""Small bundles cut out of real ones: the patient, one resource, and what that resource points at.

Invariant: together they hold each kind of resource with each of its sets of elements once, so that
a mutation round costs little and still meets every reader.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

NARRATIVE: Final = frozenset({"text", "note"})
"""Elements that no reader looks at and that would only make seeds large."""
SEED_BYTES_MAX: Final = 8_000
"""Larger resources (claims with hundreds of items) are left out."""

Resource = dict[str, Any]


def seeds(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Yield small bundles of the resources in these files, each shape once."""
    seen: set[tuple[Any, ...]] = set()
    for path in paths:
        entries = _entries(path)
        held = {name: entry for entry in entries for name in _names(entry)}
        patients = [e for e in entries if e["resource"]["resourceType"] == "Patient"]
        for entry in entries:
            resource = entry["resource"]
            shape = (resource["resourceType"], *sorted(resource))
            if shape in seen or len(json.dumps(resource)) > SEED_BYTES_MAX:
                continue
            seen.add(shape)
            others = [p for p in patients if p is not entry]
            yield {
                "resourceType": "Bundle",
                "type": "collection",
                "entry": [*others[:1], entry, *_pointed_at(resource, held)],
            }


def _entries(path: Path) -> list[dict[str, Any]]:
    raw = path.read_bytes()
    content = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    found = []
    for entry in content["entry"]:
        kept = {key: value for key, value in entry["resource"].items() if key not in NARRATIVE}
        found.append({key: entry[key] for key in ("fullUrl",) if key in entry} | {"resource": kept})
    return found


def _names(entry: dict[str, Any]) -> Iterator[str]:
    if "fullUrl" in entry:
        yield entry["fullUrl"]
    yield f"{entry['resource']['resourceType']}/{entry['resource'].get('id')}"


def _pointed_at(resource: Resource, held: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for element in ("medicationReference", "request", "specimen"):
        reference = resource.get(element)
        target = reference.get("reference") if isinstance(reference, dict) else None
        if target in held:
            yield held[target]
