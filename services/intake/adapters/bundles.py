"""The FHIR reader behind the port `ReadBundle`."""

from datetime import date, datetime

from services.intake.adapters.fhir import BundleReading, ReportLine, read_bundle
from services.intake.application.incoming import BundleProblem, IncomingBundle
from services.intake.application.open_case import Referral
from services.intake.application.record_ports import PatientIdentity


def read_fhir_bundle(
    raw: bytes, received_at: datetime, known_on: date | None = None
) -> IncomingBundle:
    """What a FHIR R4/mCODE bundle brings."""
    reading = read_bundle(raw, received_at=received_at, known_on=known_on)
    problems = [
        BundleProblem(p.code.value, p.message, p.pointer, p.entries, p.subjects)
        for p in reading.problems
    ]
    counts = reading.counts
    return IncomingBundle(
        referral=None if problems else _referral(reading),
        statements=reading.statements,
        report=[_line(line) for line in reading.report],
        counts={
            "used": counts.used,
            "ignored": counts.ignored,
            "rejected": counts.rejected,
        },
        problems=problems,
    )


def _referral(reading: BundleReading) -> Referral:
    subject = reading.subject
    if subject is None:
        raise AssertionError("an accepted bundle has a subject")
    identifiers = [(i.system, i.value) for i in subject.identifiers]
    identity = PatientIdentity(
        family_name=subject.family,
        given_names=" ".join(subject.given) or None,
        birth_date=subject.birth_date,
    )
    return Referral(identifiers or [("urn:tandem:reference", subject.reference)], identity)


def _line(line: ReportLine) -> dict[str, object]:
    return {
        "entry": line.entry,
        "resource": line.resource,
        "outcome": line.outcome.value,
        "reason": line.reason.value,
        "message": line.message,
        "pointer": line.pointer,
        "warnings": list(line.warnings),
    }
