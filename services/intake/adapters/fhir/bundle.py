"""Reads one bundle: limits first, then identity, then each entry by itself.

Invariant: a failure inside one entry costs that entry only; every entry has one report line.
"""

import hashlib
from datetime import UTC, datetime, tzinfo

from services.intake.adapters.fhir.entries import Entry, one_patient, open_entries
from services.intake.adapters.fhir.limits import Refused, parse_json
from services.intake.adapters.fhir.reading import BundleReading, Subject


def read_bundle(
    raw: bytes, *, received_at: datetime | None = None, clinic_zone: tzinfo = UTC
) -> BundleReading:
    """Return what a FHIR bundle says, plain or gzip; bad input gives problems, never an exception.

    ``received_at`` (aware) is the moment against which dates count as future; without it that check
    is left out. Calendar days in the statements are days in ``clinic_zone``: pass the protocol's
    zone wherever a rule will count them.
    """
    digest = hashlib.sha256(raw).hexdigest()
    try:
        listed, links = open_entries(parse_json(raw))
        entries = [entry for entry in listed if isinstance(entry, Entry)]
        patient, _ = one_patient(entries, links)
    except Refused as refusal:
        return BundleReading(digest, problems=refusal.problems)
    return BundleReading(digest, subject=Subject(patient.reference))
