"""Whom each entry of a bundle is about.

Invariant: every entry whose subject can be told belongs to one patient; a bundle that mixes
patients is refused as a whole, because picking "the right" entries would be a guess about identity.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.intake.adapters.fhir.access import Json, mapping, mappings
from services.intake.adapters.fhir.entries import Entry
from services.intake.adapters.fhir.limits import Refused
from services.intake.adapters.fhir.links import Links, address, bare, is_search
from services.intake.adapters.fhir.reading import Problem, ProblemCode

PROBLEMS_MAX = 20
"""Most foreign patients that are told apart in a refusal."""
NAMED_MAX = 10
"""Most entries that a message lists; the problem's ``entries`` has them all."""
REFERENCES_MAX = 100
"""Most subjects and participants of one resource that are looked at."""
_SUBJECT_ELEMENTS = ("subject", "patient", "beneficiary", "for", "individual")
_ACTORS = ("participant",)
"""Elements that list people of all kinds; of these only patients matter."""


@dataclass(frozen=True, slots=True)
class About:
    """Whom an entry is about: a patient's key, or the reason why there is none.

    ``elsewhere``: the subject is known to be no patient (a device, a group). ``others``: further
    patients that the same resource names.
    """

    patient: str | None
    problem: str = ""
    elsewhere: bool = False
    others: tuple[str, ...] = ()

    def patients(self) -> Iterator[str]:
        """Yield every patient that the entry names."""
        if self.patient is not None:
            yield self.patient
        yield from self.others


NOBODY = About(None, "no subject is named")


def about(entry: Entry, links: Links) -> About:
    """Return whom ``entry`` is about; a Patient is about itself."""
    if entry.type == "Patient":
        return About(entry.reference)
    named = [_resolve(reference, links) for reference in _subjects(entry.resource)]
    further = [*_participants(entry.resource), *_subjects_inside(entry.resource)]
    actors = [_resolve(reference, links) for reference in further]
    known = [one for one in (*named, *actors) if one.patient is not None]
    if not known or (named and named[0].patient is None):
        first = named[0] if named else NOBODY
        return About(None, first.problem, first.elsewhere, _keys(known))
    own = known[0].patient
    return About(own, others=tuple(key for key in _keys(known) if key != own))


def _keys(found: Sequence[About]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.patient for one in found if one.patient is not None))


def _subjects(resource: Json) -> list[Any]:
    for element in _SUBJECT_ELEMENTS:
        found = _references(resource.get(element))
        if found:
            return found[:REFERENCES_MAX]
    return []


def _participants(resource: Json) -> list[Any]:
    parts = [part for element in _ACTORS for part in mappings(resource.get(element))]
    actors = [mapping(part.get("actor")) for part in parts[:REFERENCES_MAX]]
    return [actor for actor in actors if "Patient" in bare(actor)]


def _subjects_inside(resource: Json) -> list[Any]:
    parts = mappings(resource.get("contained"))[:REFERENCES_MAX]
    return [reference for part in parts for reference in _subjects(part)]


def _references(value: object) -> list[Any]:
    if isinstance(value, list):
        return [item for item in value if isinstance(item, dict | str)]
    return [value] if isinstance(value, dict | str) else []


def _resolve(reference: object, links: Links) -> About:
    target = bare(reference)
    key = links.key(reference, "Patient")
    if key is not None:
        kind = key.split("/", 1)[0]
        is_patient = kind == "Patient"
        return About(key) if is_patient else About(None, f"the subject is a {kind}", elsewhere=True)
    if target.startswith("#"):
        return About(None, "the subject is a contained resource")
    if "?" in target and not is_search(target):
        return About(None, "the subject's conditional reference cannot be read")
    if not target or "?" in target:
        return About(None, "the subject is named only in a way that no patient here answers to")
    return _stranger(target)


def _stranger(target: str) -> About:
    """Return the key of somebody who is not in the bundle, or why it is no patient."""
    if target.startswith("urn:"):
        return About(target)
    at = address(target)
    if at is None:
        return About(None, "the subject's reference cannot be read")
    if at.type != "Patient":
        return About(None, f"the subject is a {at.type}", elsewhere=True)
    return About(target if at.base else at.key)


def one_patient(entries: Sequence[Entry], links: Links) -> tuple[str, dict[int, About]]:
    """Return the "Patient/id" of the bundle and, by entry index, whom each entry is about.

    Raises Refused when there is no Patient, or when entries belong to different ones.
    """
    patients = [entry for entry in entries if entry.type == "Patient"]
    if not patients:
        raise Refused(Problem(ProblemCode.NO_PATIENT, "the bundle has no Patient", "/entry"))
    found = {entry.index: about(entry, links) for entry in entries}
    keys = Counter(key for one in found.values() for key in one.patients())
    if len(keys) > 1:
        raise Refused(*_mixed(keys, patients, {entry.index: entry for entry in entries}, found))
    return patients[0].reference, found


def _mixed(
    keys: Counter[str],
    patients: Sequence[Entry],
    entries: Mapping[int, Entry],
    found: Mapping[int, About],
) -> list[Problem]:
    # The bundle's own patient is the Patient resource that most entries name; ties go to the
    # reference that sorts first, so that the message does not depend on the order of entries.
    own = min((patient.reference for patient in patients), key=lambda key: (-keys[key], key))
    strangers: dict[str, list[int]] = {}
    for index, one in found.items():
        for key in one.patients():
            if key != own:
                strangers.setdefault(key, []).append(index)
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
