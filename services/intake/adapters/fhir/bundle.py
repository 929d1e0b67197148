"""Reads one bundle: limits first, then identity, then each entry by itself.

Invariant: a failure inside one entry costs that entry only; every entry has one report line.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from services.intake.adapters.fhir.access import Rejected
from services.intake.adapters.fhir.account import conclude
from services.intake.adapters.fhir.condition import read_allergy, read_condition
from services.intake.adapters.fhir.context import Context, Ignored, Result, Stated, Supports
from services.intake.adapters.fhir.copies import find_copies
from services.intake.adapters.fhir.entries import (
    About,
    Entry,
    one_patient,
    open_entries,
)
from services.intake.adapters.fhir.limits import Refused, parse_json
from services.intake.adapters.fhir.medication import (
    TYPES as MEDICATION_TYPES,
)
from services.intake.adapters.fhir.medication import (
    Course,
    bring_together,
    medication_entry,
    read_course,
)
from services.intake.adapters.fhir.observation import read_observation
from services.intake.adapters.fhir.patient import quiet, read_patient, read_subject
from services.intake.adapters.fhir.procedure import (
    read_immunization,
    read_procedure,
    read_report,
)
from services.intake.adapters.fhir.reading import BundleReading, Reason
from services.intake.adapters.fhir.statements import newest_clinical_day
from services.intake.adapters.fhir.terminology import terminology

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


def read_bundle(raw: bytes, *, received_at: datetime | None = None) -> BundleReading:
    """Return what a FHIR bundle says, plain or gzip; bad input gives problems, never an exception.

    ``received_at`` (aware) is the moment against which dates count as future; without it that check
    is left out. Times keep the offset that they were sent with; a day stays a day.
    """
    digest = hashlib.sha256(raw).hexdigest()
    try:
        listed, links = open_entries(parse_json(raw))
        entries = [entry for entry in listed if isinstance(entry, Entry)]
        patient, about = one_patient(entries, links)
    except Refused as refusal:
        return BundleReading(digest, problems=refusal.problems)
    context = Context(
        terms=terminology(),
        links=links,
        received_at=received_at,
        newest_day=newest_clinical_day(entries, received_at),
        birth=quiet(patient.resource, "birthDate"),
        death=quiet(patient.resource, "deceasedDateTime"),
    )
    copies = find_copies(entries)
    answers = _read_all([e for e in entries if not copies.set_aside(e)], about, context)
    statements, report = conclude(listed, answers, copies)
    return BundleReading(digest, read_subject(patient), statements, report)


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
    answers.update(bring_together(courses))
    _keep_newest(entries, answers)
    _name_medications(entries, courses, answers, context)
    return answers


def _read(entry: Entry, about: About, context: Context) -> Course | Answer:
    read = read_course if entry.type in MEDICATION_TYPES else READERS.get(entry.type)
    if read is None:
        return Ignored(Reason.TYPE_NOT_NEEDED, f"{entry.type}: not used")
    if about.patient is None:
        if about.elsewhere:
            return Ignored(Reason.NOT_THE_PATIENT, about.problem)
        raise Rejected(Reason.UNRESOLVED, about.problem, "/subject")
    return read(entry, context)


def _keep_newest(entries: Sequence[Entry], answers: dict[int, Answer]) -> None:
    """Of repeated sessions of which only the last matters, ignore the earlier ones."""
    sessions: dict[str, list[tuple[str, int]]] = {}
    for entry in entries:
        found = answers.get(entry.index)
        if isinstance(found, Stated) and found.newest_only:
            when = str(found.drafts[0].content.get("effective"))
            sessions.setdefault(found.newest_only, []).append((when, entry.index))
    for kind, dated in sessions.items():
        for _, index in sorted(dated)[:-1]:
            said = f"{kind}: an earlier session; the latest one is used"
            answers[index] = Ignored(Reason.OLDER_VERSION, said)


def _name_medications(
    entries: Sequence[Entry],
    courses: Sequence[Course],
    answers: dict[int, Answer],
    context: Context,
) -> None:
    """A Medication that an order points at is used through that order."""
    users: dict[int, list[Entry]] = {}
    for course in courses:
        held = medication_entry(course.entry, context)
        if held is not None:
            users.setdefault(held.index, []).append(course.entry)
    for entry in entries:
        if entry.index in users:
            said = "the drug of an order"
            answers[entry.index] = Supports(tuple(users[entry.index]), Reason.SUPPORTS, said)
