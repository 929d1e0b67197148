"""Several entries with one resource id: duplicates, older versions, contradictions.

Invariant: which copy counts depends on content and versions only, never on the order of entries.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.intake.adapters.fhir.access import fingerprint, mapping
from services.intake.adapters.fhir.context import Ignored
from services.intake.adapters.fhir.entries import Entry
from services.intake.adapters.fhir.reading import Reason
from services.intake.adapters.fhir.statements import version_number


@dataclass(frozen=True, slots=True)
class Copies:
    """By entry index: why an entry is set aside, or the mark that keeps its statements apart."""

    ignored: dict[int, Ignored] = field(default_factory=dict)
    marks: dict[int, str] = field(default_factory=dict)

    def set_aside(self, entry: Entry) -> bool:
        """Return whether another copy of the same resource counts instead of this one."""
        return entry.index in self.ignored


def find_copies(entries: Sequence[Entry]) -> Copies:
    """Return which entries repeat or contradict another one of the same type and id."""
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry.reference].append(entry)
    copies = Copies()
    for group in groups.values():
        if len(group) > 1:
            _sort_out(group, copies)
    return copies


def _sort_out(group: list[Entry], copies: Copies) -> None:
    distinct: dict[str, Entry] = {}
    for entry in group:
        content = fingerprint(entry.resource)
        if content in distinct:
            said = f"the same as entry {distinct[content].index}"
            copies.ignored[entry.index] = Ignored(Reason.DUPLICATE, said)
        else:
            distinct[content] = entry
    newest = max(map(_rank, distinct.values()))
    current = {mark: entry for mark, entry in distinct.items() if _rank(entry) == newest}
    for entry in distinct.values():
        if _rank(entry) < newest:
            said = f"an older version of entry {next(iter(current.values())).index}"
            copies.ignored[entry.index] = Ignored(Reason.OLDER_VERSION, said)
    if len(current) > 1:
        # No version tells which is right: all are stated, and the rules take the stricter one.
        copies.marks.update({entry.index: f"~{mark[:8]}" for mark, entry in current.items()})


def _rank(entry: Entry) -> tuple[int, str]:
    version = version_number(entry.resource)
    updated = mapping(entry.resource.get("meta")).get("lastUpdated")
    return -1 if version is None else version, updated if isinstance(updated, str) else ""
