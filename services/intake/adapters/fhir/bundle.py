"""Reads one bundle: limits first, then identity, then each entry by itself.

Invariant: a failure inside one entry costs that entry only; every entry has one report line.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType

from services.intake.adapters.fhir.access import Rejected
from services.intake.adapters.fhir.account import conclude
from services.intake.adapters.fhir.condition import read_allergy, read_condition
from services.intake.adapters.fhir.context import Context, Ignored, Result
from services.intake.adapters.fhir.copies import find_copies
from services.intake.adapters.fhir.entries import Entry, open_entries
from services.intake.adapters.fhir.immunization import read_immunization
from services.intake.adapters.fhir.limits import Refused, parse_json
from services.intake.adapters.fhir.links import make_links
from services.intake.adapters.fhir.medication import TYPES as MEDICATION_TYPES
from services.intake.adapters.fhir.medication import Course, read_course
from services.intake.adapters.fhir.merging import (
    bring_together,
    keep_newest,
    merge_procedures,
    name_medications,
)
from services.intake.adapters.fhir.observation import read_observation
from services.intake.adapters.fhir.patient import described, read_patient
from services.intake.adapters.fhir.procedure import read_procedure
from services.intake.adapters.fhir.reading import BundleReading, Reason
from services.intake.adapters.fhir.report import read_report
from services.intake.adapters.fhir.statements import newest_clinical_day
from services.intake.adapters.fhir.subjects import About, one_patient
from services.intake.adapters.fhir.terminology import terminology
from services.intake.adapters.fhir.whole import check_meaning, with_masks

READERS: Mapping[str, Callable[[Entry, Context], Result]] = MappingProxyType(
    {
        "Patient": read_patient,
        "Observation": read_observation,
        "Condition": read_condition,
        "AllergyIntolerance": read_allergy,
        "Procedure": read_procedure,
        "Immunization": read_immunization,
        "DiagnosticReport": read_report,
    }
)
"""Which resource types are read, and by what; the medication types are read together."""


Answer = Result | Rejected


def read_bundle(
    raw: bytes, *, received_at: datetime | None = None, known_on: date | None = None
) -> BundleReading:
    """Return what a FHIR bundle says, plain or gzip; bad input gives problems, never an exception.

    ``received_at`` (aware) is the moment against which dates count as future; without it that check
    is left out. ``known_on`` is a day on which the sender still said all this; without it the
    newest day inside the bundle stands for "now". Times keep the offset that they were sent with; a
    day stays a day.
    """
    digest = hashlib.sha256(raw).hexdigest()
    try:
        listed = open_entries(parse_json(raw))
        entries = [entry for entry in listed if isinstance(entry, Entry)]
        copies = find_copies(entries)
        links = make_links(entries, copies.ignored)
        patient, about = one_patient(entries, links)
    except Refused as refusal:
        return BundleReading(digest, problems=refusal.problems)
    current = [entry for entry in entries if not copies.set_aside(entry)]
    person = described([entry for entry in current if entry.reference == patient])
    context = Context(
        terms=terminology(),
        links=links,
        received_at=received_at,
        newest_day=max(newest_clinical_day(entries, received_at), known_on or date.min),
        birth=person.birth,
        death=person.death,
    )
    answers = _read_all(current, about, context)
    statements, report = conclude(listed, answers, copies)
    return BundleReading(digest, person.subject, statements, report)


def _read_all(
    entries: Sequence[Entry], about: Mapping[int, About], context: Context
) -> dict[int, Answer]:
    answers: dict[int, Answer] = {}
    courses: list[Course] = []
    for entry in entries:
        try:
            found = _read(entry, about[entry.index], context)
        except Rejected as rejection:
            found = rejection
        if isinstance(found, Course):
            courses.append(found)
        else:
            answers[entry.index] = found
    together = bring_together(courses)
    for course in courses:
        index = course.entry.index
        answers[index] = with_masks(course.entry.resource, together[index])
    merge_procedures(entries, courses, answers)
    keep_newest(entries, answers)
    name_medications(entries, courses, answers, context)
    return answers


def _read(entry: Entry, about: About, context: Context) -> Course | Answer:
    read = read_course if entry.type in MEDICATION_TYPES else READERS.get(entry.type)
    if read is None:
        said = context.terms.type_not_used(entry.type)
        return Ignored(Reason.TYPE_NOT_NEEDED, f"{entry.type}: {said}")
    if about.patient is None:
        if about.elsewhere:
            return Ignored(Reason.NOT_THE_PATIENT, about.problem)
        raise Rejected(Reason.UNRESOLVED, about.problem, "/subject")
    check_meaning(entry.resource)
    found = read(entry, context)
    return found if isinstance(found, Course) else with_masks(entry.resource, found)
