"""Small bundles for tests of the FHIR reader, with defaults that are valid and unremarkable."""

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from services.intake.adapters.fhir import BundleReading, ReportLine, Statement, read_bundle

DATA = Path(__file__).resolve().parents[2] / "data" / "fhir"
SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "fhir"
RECEIVED_AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A day after the newest bundle of the test data was made."""

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM = "http://unitsofmeasure.org"


def concept(system: str, code: str, display: str = "") -> dict[str, Any]:
    """A CodeableConcept of one coding."""
    coding = {"system": system, "code": code} | ({"display": display} if display else {})
    return {"coding": [coding]}


def patient(identity: str = "p1", **fields: Any) -> dict[str, Any]:
    """A patient who lives."""
    base = {
        "resourceType": "Patient",
        "id": identity,
        "gender": "female",
        "birthDate": "1966-05-02",
    }
    return base | fields


def resource(kind: str, identity: str, **fields: Any) -> dict[str, Any]:
    """Any resource about patient p1."""
    subject = "patient" if kind in ("Immunization", "AllergyIntolerance") else "subject"
    base = {"resourceType": kind, "id": identity, subject: {"reference": "Patient/p1"}}
    return base | fields


def observation(identity: str = "o1", code: str = "751-8", **fields: Any) -> dict[str, Any]:
    """A final neutrophil count of 2.1 10*9/L."""
    base = {
        "status": "final",
        "code": concept(LOINC, code),
        "effectiveDateTime": "2026-03-09T08:00:00+03:00",
        "valueQuantity": {"value": 2.1, "unit": "10*9/L", "system": UCUM, "code": "10*9/L"},
    }
    return resource("Observation", identity, **(base | fields))


def condition(identity: str, code: str, **fields: Any) -> dict[str, Any]:
    """A confirmed active condition by SNOMED code."""
    base = {
        "clinicalStatus": concept(
            "http://terminology.hl7.org/CodeSystem/condition-clinical", "active"
        ),
        "verificationStatus": concept(
            "http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed"
        ),
        "code": concept(SNOMED, code),
        "onsetDateTime": "2026-03-01",
    }
    return resource("Condition", identity, **(base | fields))


def order(identity: str, code: str, **fields: Any) -> dict[str, Any]:
    """An active MedicationRequest by RxNorm code."""
    base = {
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": concept(RXNORM, code),
        "authoredOn": "2026-03-01",
    }
    return resource("MedicationRequest", identity, **(base | fields))


def administration(
    identity: str, code: str, day: str = "2026-03-01", **fields: Any
) -> dict[str, Any]:
    """A completed MedicationAdministration by RxNorm code."""
    base = {
        "status": "completed",
        "medicationCodeableConcept": concept(RXNORM, code),
        "effectiveDateTime": day,
    }
    return resource("MedicationAdministration", identity, **(base | fields))


def procedure(identity: str, code: str, **fields: Any) -> dict[str, Any]:
    """A completed Procedure by SNOMED code."""
    base = {"status": "completed", "code": concept(SNOMED, code), "performedDateTime": "2026-03-01"}
    return resource("Procedure", identity, **(base | fields))


def bundle(*resources: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A collection bundle of these resources, with patient p1 in front unless one is given."""
    given = list(resources)
    if not any(r.get("resourceType") == "Patient" for r in given):
        given.insert(0, patient())
    entries = [{"resource": dict(r)} for r in given]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries} | fields


def raw(content: object) -> bytes:
    """The bytes of a JSON document."""
    return json.dumps(content).encode()


def read(
    *resources: Mapping[str, Any], received_at: datetime | None = RECEIVED_AT
) -> BundleReading:
    """The reading of a bundle of these resources."""
    return read_bundle(raw(bundle(*resources)), received_at=received_at)


def only(*resources: Mapping[str, Any]) -> Statement:
    """The one statement besides the patient's."""
    found = [s for s in read(*resources).statements if s["kind"] != "patient"]
    assert len(found) == 1, found
    return found[0]


def line_of(reading: BundleReading, reference: str) -> ReportLine:
    """The report line of a resource."""
    return next(line for line in reading.report if line.resource == reference)


@cache
def read_file(name: str) -> BundleReading:
    """The reading of a file of the test data, read once a session."""
    return read_bundle((DATA / name).read_bytes(), received_at=RECEIVED_AT)


@cache
def resources_of(name: str) -> dict[str, dict[str, Any]]:
    """The raw resources of a file of the test data by Type/id."""
    content = (DATA / name).read_bytes()
    loaded = json.loads(gzip.decompress(content) if name.endswith(".gz") else content)
    found = (entry["resource"] for entry in loaded["entry"])
    return {f"{r['resourceType']}/{r['id']}": r for r in found}
