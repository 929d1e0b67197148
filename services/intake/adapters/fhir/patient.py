"""Patient -> identity (kept apart) and the patient statement.

Invariant: names, identifiers and addresses never enter a statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.intake.adapters.fhir.access import (
    Json,
    Rejected,
    fingerprint,
    mappings,
    text,
)
from services.intake.adapters.fhir.context import Context, Draft, Stated
from services.intake.adapters.fhir.entries import Entry
from services.intake.adapters.fhir.moments import Moment, Precision, moment
from services.intake.adapters.fhir.reading import Identifier, Reason, Subject
from services.intake.adapters.fhir.whole import withheld

_SEXES = frozenset({"female", "male", "other", "unknown"})
IDENTIFIERS_MAX = 50
"""Most identifiers kept of one patient."""


def read_subject(entry: Entry) -> Subject:
    """Return who the patient is, as far as it can be read; odd elements are left out."""
    resource = entry.resource
    names = mappings(resource.get("name"))
    name = next((n for n in names if n.get("use") == "official"), names[0] if names else {})
    family, given = name.get("family"), name.get("given")
    return Subject(
        reference=entry.reference,
        identifiers=tuple(_identifiers(resource)),
        family=text(family[0]) if isinstance(family, list) and family else text(family),
        given=tuple(filter(None, map(text, given))) if isinstance(given, list) else (),
        birth_date=_exact(_quiet(resource, "birthDate")),
        sex=_sex(resource),
    )


@dataclass(frozen=True, slots=True)
class Person:
    """The bundle's patient: who it is, and the dates between which everything else must lie."""

    subject: Subject
    birth: Moment | None
    death: Moment | None


def described(copies: Sequence[Entry]) -> Person:
    """Return the patient of a bundle from the copies of the Patient that count (at least one).

    Of copies that contradict each other the earliest birth and death count, and the same one gives
    the name whatever the order of entries.
    """
    births = [_quiet(entry.resource, "birthDate") for entry in copies]
    deaths = [_quiet(entry.resource, "deceasedDateTime") for entry in copies]
    return Person(
        read_subject(min(copies, key=lambda entry: fingerprint(entry.resource))),
        min(filter(None, births), key=lambda found: found.first_day, default=None),
        min(filter(None, deaths), key=lambda found: found.last_day, default=None),
    )


def _identifiers(resource: Json) -> list[Identifier]:
    found = []
    for item in mappings(resource.get("identifier"))[:IDENTIFIERS_MAX]:
        value = text(item.get("value"))
        if value:
            found.append(Identifier(text(item.get("system")) or "", value))
    return found


def _quiet(resource: Json, element: str) -> Moment | None:
    """Return a date of the patient, or None when it cannot be read."""
    try:
        return moment(resource.get(element), f"/{element}")
    except Rejected:
        return None


def _exact(found: Moment | None) -> date | None:
    return found.first_day if found and found.precision is Precision.DAY else None


def _sex(resource: Json) -> str | None:
    written = text(resource.get("gender"))
    return written if written in _SEXES else None


def read_patient(entry: Entry, context: Context) -> Stated:
    """Return the patient statement: day of birth, sex, death."""
    resource = entry.resource
    birth = moment(resource.get("birthDate"), "/birthDate")
    if birth is not None:
        context.happened(birth, "/birthDate")
    died, warnings = _deceased(resource, context)
    content = {
        "kind": "patient",
        "birth_date": birth.written if birth and birth.precision is Precision.DAY else None,
        "sex": _sex(resource),
        "deceased": died,
        "recorded": context.recorded(resource),
    }
    return Stated((Draft(content),), "patient", warnings)


def _deceased(resource: Json, context: Context) -> tuple[str | bool | None, tuple[str, ...]]:
    """Return the time of death, True when it is not known, and what is wrong with it."""
    try:
        died = context.at(resource, "deceasedDateTime")
    except Rejected as rejection:
        if rejection.reason is not Reason.BAD_DATE:
            raise
        # That somebody died must not be lost with a date that cannot be read.
        return True, (f"{rejection.pointer}: {rejection.message}",)
    if died is not None:
        return died.written, ()
    flag = resource.get("deceasedBoolean")
    if flag is not None and not isinstance(flag, bool):
        raise Rejected(Reason.WRONG_TYPE, "expected true or false", "/deceasedBoolean")
    return True if flag or "deceasedDateTime" in withheld(resource) else None, ()
