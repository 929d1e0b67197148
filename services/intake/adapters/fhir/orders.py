"""Draft orders and appointments -> the resources that they would become if carried out as ordered.

Invariant: nothing is added but what the order says; an order without a date stays without one, and
the reader then says so. Only order types pass: what a record holds (observations, conditions,
procedures) is no draft and is left out.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from services.intake.adapters.fhir.access import Json, codes, label, mapping, mappings, text
from services.intake.adapters.fhir.entries import reference_text

NO_DRAFT = frozenset(
    {
        *("Patient", "Observation", "Condition", "AllergyIntolerance", "Procedure"),
        *("Immunization", "DiagnosticReport"),
        *("MedicationAdministration", "MedicationStatement"),
    }
)
"""Types that the reader would take as having happened."""
_NOT_TO_COME = frozenset(
    {
        *("cancelled", "revoked", "entered-in-error", "noshow", "stopped", "completed"),
        *("rejected", "fulfilled"),
    }
)
"""Statuses of an order or appointment of which nothing more will follow."""
_DATED = re.compile(r"\d{4}-\d\d-\d\d")
_CONCEPTS = ("code", "serviceType", "serviceCategory", "reasonCode", "reason", "appointmentType")
"""Where a request or an appointment says what it is for."""


def as_carried_out(resource: Json, index: int, today: date) -> Json | None:
    """Return the resource that the order would become, or None when nothing is to come of it."""
    kind = resource.get("resourceType")
    if kind in NO_DRAFT:
        return None
    if kind == "MedicationRequest":
        return _medication(resource, today)
    if kind in {"ServiceRequest", "Appointment"}:
        return _procedure(resource, index)
    return resource


def _medication(resource: Json, today: date) -> Json:
    """Return the order as active from the day that its dosage begins, else from its own day.

    A draft without any date is signed today, and that is the day of the order.
    """
    active = {**resource}
    if "draft" in codes(resource.get("status")):
        active["status"] = "active"
    begins = min(_first_days(resource), default=None)
    active["authoredOn"] = begins or text(resource.get("authoredOn")) or today.isoformat()
    dosages = [_single(dosage) for dosage in mappings(resource.get("dosageInstruction"))]
    return {**active, "dosageInstruction": dosages} if dosages else active


def _first_days(resource: Json) -> Iterator[str]:
    for dosage in mappings(resource.get("dosageInstruction")):
        timing = mapping(dosage.get("timing"))
        begin = text(mapping(mapping(timing.get("repeat")).get("boundsPeriod")).get("start"))
        events = timing.get("event")
        written = [begin, *(events if isinstance(events, list) else [])]
        yield from (day for day in written if isinstance(day, str) and _DATED.match(day))


def _single(dosage: Json) -> Json:
    """Return a dose that is given once as the day of its giving."""
    timing = mapping(dosage.get("timing"))
    repeat = mapping(timing.get("repeat"))
    begin = mapping(repeat.get("boundsPeriod")).get("start")
    if repeat.get("count") != 1 or not text(begin) or timing.get("event"):
        return dosage
    return {**dosage, "timing": {**timing, "event": [begin]}}


def _procedure(resource: Json, index: int) -> Json | None:
    """Return a request for a treatment, or a visit for one, as that treatment."""
    if codes(resource.get("status")) & _NOT_TO_COME or resource.get("doNotPerform") is True:
        return None
    found = [concept for key in _CONCEPTS for concept in mappings(resource.get(key))]
    coded = [mapping(concept.get("concept")) or concept for concept in found]
    procedure: Json = {
        "resourceType": "Procedure",
        "id": f"ordered-{index}",
        "status": "completed",
        "code": {
            "coding": [coding for concept in coded for coding in mappings(concept.get("coding"))],
            "text": label(coded[0]) if coded else "no code",
        },
        "subject": _subject(resource),
        **_when(resource),
    }
    if resource.get("extension") is not None:
        procedure["extension"] = resource["extension"]
    return procedure


def _subject(resource: Json) -> object:
    """Return whom it is for; of an appointment the participant that is a patient."""
    for element in ("subject", "patient"):
        if resource.get(element) is not None:
            return resource[element]
    actors = [mapping(one.get("actor")) for one in mappings(resource.get("participant"))]
    patients = [actor for actor in actors if _is_patient(actor)]
    return patients[0] if len(patients) == 1 else None


def _is_patient(actor: Json) -> bool:
    written = reference_text(actor)
    return "Patient/" in written or text(actor.get("type")) == "Patient"


def _when(resource: Json) -> Mapping[str, Any]:
    """Return when it is to take place, in a Procedure's elements."""
    if resource.get("occurrenceDateTime") is not None:
        return {"performedDateTime": resource["occurrenceDateTime"]}
    if resource.get("occurrencePeriod") is not None:
        return {"performedPeriod": resource["occurrencePeriod"]}
    if resource.get("start") is not None:
        ends = {"end": resource["end"]} if resource.get("end") is not None else {}
        return {"performedPeriod": {"start": resource["start"], **ends}}
    asked = mappings(resource.get("requestedPeriod"))
    if asked:
        return {"performedPeriod": asked[0]}
    return _scheduled(mapping(resource.get("occurrenceTiming")))


def _scheduled(timing: Json) -> Mapping[str, Any]:
    days = timing.get("event")
    if isinstance(days, list) and days and all(isinstance(day, str) for day in days):
        return {"performedPeriod": {"start": min(days), "end": max(days)}}
    bounds = mapping(mapping(timing.get("repeat")).get("boundsPeriod"))
    return {"performedPeriod": bounds} if bounds else {}
