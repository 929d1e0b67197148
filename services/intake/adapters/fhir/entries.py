"""The entries of a bundle, and what their references point at.

Invariant: every entry whose subject can be told belongs to one patient; a bundle that mixes
patients is refused as a whole, because picking "the right" entries would be a guess about identity.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.intake.adapters.fhir.access import Json, fingerprint, mapping, mappings, text
from services.intake.adapters.fhir.limits import ENTRIES_MAX, Refused
from services.intake.adapters.fhir.reading import Problem, ProblemCode

REFERENCE_LENGTH_MAX = 2_000
"""Longest reference that is followed; a URL beyond this is no resource address."""
PROBLEMS_MAX = 20
"""Most foreign patients that are told apart in a refusal."""
NAMED_MAX = 10
"""Most entries that a message lists; the problem's ``entries`` has them all."""
_SUBJECT_ELEMENTS = ("subject", "patient", "beneficiary", "for", "individual")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ABSOLUTE = re.compile(r"(?P<base>https?://.+)/(?P<type>[A-Z][A-Za-z]+)/(?P<id>[^/?#]+)")
_RELATIVE = re.compile(r"(?P<type>[A-Z][A-Za-z]+)/(?P<id>[^/?#]+)")
_HISTORY = re.compile(r"/_history/[^/]*$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource of the bundle. ``reference`` is "Type/id" and names it in reports and facts."""

    index: int
    resource: Json
    type: str
    reference: str
    full_url: str

    @property
    def pointer(self) -> str:
        """JSON pointer of the resource in the input."""
        return f"/entry/{self.index}/resource"


@dataclass(frozen=True, slots=True)
class NotAResource:
    """An entry that holds nothing that can be named; it is rejected on its own."""

    index: int
    message: str


@dataclass(frozen=True, slots=True)
class Links:
    """Finds the entry that a reference means. First entry wins where two share an address."""

    by_reference: dict[str, Entry] = field(default_factory=dict)
    by_url: dict[str, Entry] = field(default_factory=dict)

    def find(self, reference: object) -> Entry | None:
        """Return the entry a Reference or reference string points at, or None."""
        target = reference_text(reference)
        if not target:
            return None
        bare = _HISTORY.sub("", target)
        if bare in self.by_url:
            return self.by_url[bare]
        match = _RELATIVE.fullmatch(bare)
        return self.by_reference.get(bare) if match else None


def reference_text(reference: object) -> str:
    """Return the literal reference of a Reference object or a plain string, or ""."""
    value = reference.get("reference") if isinstance(reference, dict) else reference
    return value if isinstance(value, str) and len(value) <= REFERENCE_LENGTH_MAX else ""


def open_entries(bundle: Json) -> tuple[list[Entry | NotAResource], Links]:
    """Return the entries in order with their index, or raise Refused when it is no bundle."""
    if bundle.get("resourceType") != "Bundle":
        found = text(bundle.get("resourceType")) or "no resourceType"
        message = f"expected a FHIR Bundle, found {found}"
        raise Refused(Problem(ProblemCode.NOT_A_BUNDLE, message, "/resourceType"))
    listed = bundle.get("entry", [])
    if not isinstance(listed, list):
        raise Refused(Problem(ProblemCode.NOT_A_BUNDLE, "entry is not an array", "/entry"))
    if not listed:
        raise Refused(Problem(ProblemCode.NO_ENTRIES, "the bundle has no entries", "/entry"))
    if len(listed) > ENTRIES_MAX:
        message = f"the bundle has {len(listed)} entries, more than {ENTRIES_MAX}"
        raise Refused(Problem(ProblemCode.TOO_MANY_ENTRIES, message, "/entry"))
    entries = [_open(index, item) for index, item in enumerate(listed)]
    return entries, _links([entry for entry in entries if isinstance(entry, Entry)])


def _open(index: int, item: object) -> Entry | NotAResource:
    if not isinstance(item, dict):
        return NotAResource(index, "the entry is not an object")
    resource = item.get("resource")
    if not isinstance(resource, dict):
        return NotAResource(index, "the entry holds no resource")
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        return NotAResource(index, "the resource has no valid resourceType")
    full_url = reference_text(item.get("fullUrl"))
    return Entry(index, resource, kind, f"{kind}/{_identity(resource, full_url)}", full_url)


def _identity(resource: Json, full_url: str) -> str:
    """Return the resource's id, else the one in its fullUrl, else a hash of its content."""
    own = resource.get("id")
    if isinstance(own, str) and _ID.fullmatch(own):
        return own
    tail = re.split(r"[/:]", full_url)[-1]
    return tail if _ID.fullmatch(tail) else f"content-{fingerprint(resource)}"


def _links(entries: Sequence[Entry]) -> Links:
    links = Links()
    for entry in entries:
        links.by_reference.setdefault(entry.reference, entry)
        if entry.full_url:
            links.by_url.setdefault(_HISTORY.sub("", entry.full_url), entry)
    return links


@dataclass(frozen=True, slots=True)
class About:
    """Whom an entry is about: a patient's key, or the reason why there is none.

    ``elsewhere``: the subject is known to be no patient (a device, a group).
    """

    patient: str | None
    problem: str = ""
    elsewhere: bool = False


NOBODY = About(None, "no subject is named")


class Subjects:
    """Tells the patient of an entry."""

    def __init__(self, links: Links, patients: Iterable[Entry]) -> None:
        self.links = links
        self._by_number: dict[tuple[str | None, str], str] = {}
        for patient in patients:
            for own in mappings(patient.resource.get("identifier")):
                system, value = own.get("system"), own.get("value")
                if isinstance(value, str):
                    known = system if isinstance(system, str) else ""
                    self._by_number.setdefault((known, value), patient.reference)
                    self._by_number.setdefault((None, value), patient.reference)

    def of(self, entry: Entry) -> About:
        """Return whom ``entry`` is about; a Patient is about itself."""
        if entry.type == "Patient":
            return About(entry.reference)
        for element in _SUBJECT_ELEMENTS:
            for reference in _references(entry.resource.get(element)):
                return self._resolve(reference)
        return NOBODY

    def _resolve(self, reference: object) -> About:
        target = _HISTORY.sub("", reference_text(reference))
        if not target:
            return self._by_identifier(mapping(reference).get("identifier"))
        if target.startswith("#"):
            return About(None, "the subject is a contained resource")
        if "?" in target:
            return self._by_search(target)
        found = self.links.by_url.get(target)
        if found is not None:
            return _as_patient(found)
        return self._by_address(target)

    def _by_address(self, target: str) -> About:
        if target.startswith("urn:"):
            named = self._patient_with_id(target.rsplit(":", 1)[-1])
            return About(named.reference if named else target)
        absolute = _ABSOLUTE.fullmatch(target)
        parts = absolute or _RELATIVE.fullmatch(target)
        if parts is None:
            return About(None, "the subject's reference cannot be read")
        if parts["type"] != "Patient":
            return About(None, f"the subject is a {parts['type']}", elsewhere=True)
        key = f"Patient/{parts['id']}"
        return About(target if absolute and self._elsewhere(key, absolute["base"]) else key)

    def _elsewhere(self, key: str, base: str) -> bool:
        """Return whether ``key`` on server ``base`` is another record than the bundle's own."""
        own = self.links.by_reference.get(key)
        at = _ABSOLUTE.fullmatch(own.full_url) if own else None
        return at is not None and at["base"] != base

    def _by_search(self, target: str) -> About:
        match = re.fullmatch(
            r"Patient\?identifier=(?:(?P<system>[^|&]*)\|)?(?P<value>[^|&]+)", target
        )
        if match is None:
            return About(None, "the subject's conditional reference cannot be read")
        return self._by_identifier({"system": match["system"], "value": match["value"]})

    def _by_identifier(self, identifier: object) -> About:
        wanted = mapping(identifier)
        system, value = wanted.get("system") or None, wanted.get("value")
        if isinstance(value, str) and isinstance(system, str | None):
            found = self._by_number.get((system, value))
            if found is not None:
                return About(found)
        return About(None, "the subject is named only in a way that no patient here answers to")

    def _patient_with_id(self, identity: str) -> Entry | None:
        return self.links.by_reference.get(f"Patient/{identity}")


def _references(value: object) -> list[Any]:
    if isinstance(value, list):
        return [item for item in value if isinstance(item, dict | str)]
    return [value] if isinstance(value, dict | str) else []


def _as_patient(entry: Entry) -> About:
    if entry.type == "Patient":
        return About(entry.reference)
    return About(None, f"the subject is a {entry.type}", elsewhere=True)


def one_patient(entries: Sequence[Entry], links: Links) -> tuple[Entry, dict[int, About]]:
    """Return the bundle's patient and, by entry index, whom each entry is about.

    Raises Refused when there is no Patient, or when entries belong to different ones.
    """
    patients = [entry for entry in entries if entry.type == "Patient"]
    if not patients:
        raise Refused(Problem(ProblemCode.NO_PATIENT, "the bundle has no Patient", "/entry"))
    subjects = Subjects(links, patients)
    about = {entry.index: subjects.of(entry) for entry in entries}
    keys = Counter(found.patient for found in about.values() if found.patient)
    if len(keys) > 1:
        raise Refused(*_mixed(keys, patients, {entry.index: entry for entry in entries}, about))
    return patients[0], about


def _mixed(
    keys: Counter[str],
    patients: Sequence[Entry],
    entries: Mapping[int, Entry],
    about: Mapping[int, About],
) -> list[Problem]:
    # The bundle's own patient is the Patient resource that most entries name; ties go to the
    # reference that sorts first, so that the message does not depend on the order of entries.
    own = min((patient.reference for patient in patients), key=lambda key: (-keys[key], key))
    strangers: dict[str, list[int]] = {}
    for index, found in about.items():
        if found.patient is not None and found.patient != own:
            strangers.setdefault(found.patient, []).append(index)
    return [
        _strange(own, other, strangers[other], entries)
        for other in sorted(strangers)[:PROBLEMS_MAX]
    ]


def _strange(own: str, other: str, indexes: Sequence[int], entries: Mapping[int, Entry]) -> Problem:
    first = entries[indexes[0]]
    named = ", ".join(map(str, indexes[:NAMED_MAX]))
    message = (
        f"entry {named} ({first.reference}) belongs to {other}, but the bundle is about {own}; "
        f"nothing was read"
    )
    return Problem(
        ProblemCode.SEVERAL_PATIENTS, message, first.pointer, tuple(indexes), (own, other)
    )
