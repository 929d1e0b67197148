"""SIU -> what is planned next of a treatment.

Invariant: only a service whose code is mapped to a treatment plans anything; an appointment keeps
its identity, so a new time supersedes the old one, and a cancelled one is withdrawn.
"""

from collections.abc import Sequence

from services.intake.adapters.fhir.access import Rejected as Unreadable
from services.intake.adapters.fhir.access import codings
from services.intake.adapters.fhir.moments import moment
from services.intake.adapters.fhir.terminology import Terminology
from services.intake.adapters.hl7v2.parsing import Segment
from services.intake.adapters.hl7v2.translated import (
    Answer,
    Around,
    Json,
    Left,
    Translated,
    concept,
    identity,
)

_BOOKS = frozenset({"S12", "S13", "S14", "S18", "S19", "S20", "S21", "S22", "S23", "S24", "S25"})
_ENDS = frozenset({"S15", "S16", "S17", "S26"})
"""Cancelled, discontinued, deleted, not come: nothing is planned by this appointment any more."""


def read_services(
    appointment: Segment, services: Sequence[Segment], around: Around, terms: Terminology
) -> list[Answer]:
    """Return each booked service (AIS) as a plan, or why it plans nothing."""
    event = around.message.header.event
    if event not in _BOOKS | _ENDS:
        return [Left(one, "code-not-in-terminology", f"{event}: plans nothing") for one in services]
    return [_service(appointment, one, around, terms) for one in services]


def _service(appointment: Segment, service: Segment, around: Around, terms: Terminology) -> Answer:
    coded = codings(concept(service, 3))
    found = terms.procedure(coded)
    rule = terms.reading["procedures"].get(found, {}) if found else {}
    drug = terms.drug(coded)
    classes = list(drug.classes) if drug else [rule[k] for k in ("medication",) if k in rule]
    treatment = rule.get("treatment")
    if treatment == "radiotherapy":  # an appointment does not say how far the course goes
        treatment = str(terms.reading["radiotherapy"]["class_otherwise"])
    name = service.get(3, 2) or service.get(3) or "no code"
    if not classes and not treatment:
        message = f"{name}: not mapped to a treatment; nothing is planned by it"
        return Left(service, "code-not-in-terminology", message, service.at(3))
    number = appointment.get(2) or appointment.get(1)
    if not number:
        message = "the appointment has no number, so no change to it could ever be told"
        return Left(service, "required-element-missing", message, appointment.at(1), rejected=True)
    planned = _planned(service, around)
    if isinstance(planned, Left):
        return planned
    day, place = planned
    plan = _plan(treatment, classes, name, day, around)
    named = identity("appointment", number, service.get(3))
    ended = around.message.header.event in _ENDS
    places = {"": place}
    return Translated(
        service, {}, named, around.sent, places, int(ended), (appointment,), planned=plan
    )


def _planned(service: Segment, around: Around) -> tuple[str, str] | Left:
    own = around.time(service, 4)
    timing = around.message.first("TQ1")
    written, place = own, service.at(4)
    if not own and timing is not None:
        written, place = around.time(timing, 7), timing.at(7)
    try:
        found = moment(written, "")
    except Unreadable as error:
        return Left(service, "bad-date", error.message, place, rejected=True)
    if found is None:
        message = "no time of the appointment"
        return Left(service, "required-element-missing", message, service.at(4), rejected=True)
    return found.first_day.isoformat(), place


def _plan(treatment: str | None, classes: list[str], name: str, day: str, around: Around) -> Json:
    ended = around.message.header.event in _ENDS
    kind = {"kind": "medication"} if classes else {"kind": "treatment"}
    return {
        **kind,
        "class": classes or [treatment],
        "name": name,
        "next_planned": day,
        "more_planned": True,
        "effective": around.sent,
        "recorded": around.sent,
        "status": "entered-in-error" if ended else "final",
    }
