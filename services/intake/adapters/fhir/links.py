"""What the references of a bundle point at: relative, absolute, urn, conditional, by identifier.

Invariant: what a reference means does not depend on the order of entries. An address that two
different resources answer to, or that has two contradicting copies, points at nothing.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.intake.adapters.fhir.access import mapping, mappings
from services.intake.adapters.fhir.entries import Entry, reference_text

IDENTIFIERS_MAX = 50
"""Most business identifiers of one resource by which it is found."""
FOUND_BY_IDENTIFIER = frozenset({"Patient", "Medication", "MedicationRequest"})
"""Types that conditional and identifier-only references are followed to."""
_ABSOLUTE = re.compile(r"(?P<base>https?://.+)/(?P<type>[A-Z][A-Za-z]+)/(?P<id>[^/?#]+)")
_RELATIVE = re.compile(r"(?P<type>[A-Z][A-Za-z]+)/(?P<id>[^/?#]+)")
_SEARCH = re.compile(
    r"(?P<type>[A-Z][A-Za-z]+)\?identifier=(?:(?P<system>[^|&]*)\|)?(?P<value>[^|&]+)"
)
_HISTORY = re.compile(r"/_history/[^/]*$")

K = TypeVar("K")
Number = tuple[str, str | None, str]
"""Type, system (None: any system) and value of a business identifier."""


@dataclass(frozen=True, slots=True)
class Address:
    """A literal reference taken apart; ``base`` is the server of an absolute one."""

    type: str
    key: str
    base: str = ""


def bare(reference: object) -> str:
    """Return the literal reference without a version, or ""."""
    return _HISTORY.sub("", reference_text(reference))


def address(target: str) -> Address | None:
    """Return the parts of an absolute or relative reference, None when it is neither."""
    found = _ABSOLUTE.fullmatch(target) or _RELATIVE.fullmatch(target)
    if found is None:
        return None
    base = found.groupdict().get("base") or ""
    return Address(found["type"], f"{found['type']}/{found['id']}", base)


@dataclass(frozen=True, slots=True)
class Links:
    """Finds what a reference means. None as a value: several different answers.

    ``keys`` maps full URLs to "Type/id"; ``entries`` maps that to the copy that counts.
    """

    keys: Mapping[str, str | None]
    numbers: Mapping[Number, str | None]
    entries: Mapping[str, Entry | None]
    bases: Mapping[str, frozenset[str]]

    def find(self, reference: object, kind: str) -> Entry | None:
        """Return the entry of type ``kind`` that a Reference or string points at, or None."""
        key = self.key(reference, kind)
        return self.entries.get(key) if key is not None and key.startswith(f"{kind}/") else None

    def key(self, reference: object, kind: str) -> str | None:
        """Return the "Type/id" in this bundle that a reference means, or None."""
        target = bare(reference)
        if not target:
            return self.numbered(kind, mapping(reference).get("identifier"))
        if target in self.keys:
            return self.keys[target]
        if "?" in target:
            return self.searched(target)
        if target.startswith("urn:"):
            own = f"{kind}/{target.rsplit(':', 1)[-1]}"
            return own if own in self.entries else None
        at = address(target)
        if at is None or at.key not in self.entries or self.is_elsewhere(at):
            return None
        return at.key

    def is_elsewhere(self, at: Address) -> bool:
        """Return whether ``at`` is on another server than the bundle's resource of that id."""
        known = self.bases.get(at.key, frozenset())
        return bool(at.base and known and at.base not in known)

    def searched(self, target: str) -> str | None:
        """Return what a conditional reference by identifier means."""
        match = _SEARCH.fullmatch(target)
        if match is None:
            return None
        identifier = {"system": match["system"], "value": match["value"]}
        return self.numbered(match["type"], identifier)

    def numbered(self, kind: str, identifier: object) -> str | None:
        """Return the resource of type ``kind`` with this business identifier."""
        wanted = mapping(identifier)
        system, value = wanted.get("system") or None, wanted.get("value")
        if isinstance(value, str) and isinstance(system, str | None):
            return self.numbers.get((kind, system, value))
        return None


def is_search(target: str) -> bool:
    """Return whether a conditional reference has a form that can be followed."""
    return _SEARCH.fullmatch(target) is not None


def make_links(entries: Sequence[Entry], set_aside: Collection[int]) -> Links:
    """Return the links of a bundle. ``set_aside``: indexes of older and repeated copies."""
    keys: dict[str, str | None] = {}
    numbers: dict[Number, str | None] = {}
    current: dict[str, Entry | None] = {}
    bases: dict[str, set[str]] = {}
    for entry in entries:
        key = entry.reference
        if entry.index not in set_aside:
            current[key] = None if key in current else entry
        if entry.full_url:
            _note(keys, bare(entry.full_url), key)
            at = address(bare(entry.full_url))
            if at is not None and at.base:
                bases.setdefault(key, set()).add(at.base)
        for number in _numbers(entry):
            _note(numbers, number, key)
    return Links(keys, numbers, current, {key: frozenset(found) for key, found in bases.items()})


def _note(table: dict[K, str | None], name: K, key: str) -> None:
    table[name] = key if table.get(name, key) == key else None


def _numbers(entry: Entry) -> Iterator[Number]:
    if entry.type not in FOUND_BY_IDENTIFIER:
        return
    for own in mappings(entry.resource.get("identifier"))[:IDENTIFIERS_MAX]:
        system, value = own.get("system"), own.get("value")
        if isinstance(value, str):
            yield (entry.type, system if isinstance(system, str) else "", value)
            yield (entry.type, None, value)
