"""What a reference means, in every form that senders write, whatever the order of entries."""

from typing import Any

import pytest
from fhir_builders import (
    RECEIVED_AT,
    RXNORM,
    administration,
    bundle,
    concept,
    condition,
    line_of,
    observation,
    order,
    patient,
    raw,
    read,
    resource,
)

from services.intake.adapters.fhir import Outcome, ProblemCode, Reason, read_bundle

PREDNISONE, CISPLATIN = "8640", "2555"
URN = "urn:uuid:0f6a3f2e-0000-4000-8000-000000000002"


def medication(code: str, **fields: Any) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": "m1", "code": concept(RXNORM, code)} | fields


def ordered(reference: object) -> dict[str, Any]:
    return order("r1", "x", medicationCodeableConcept=None, medicationReference=reference)


def names(*entries: dict[str, Any]) -> list[Any]:
    content = bundle()
    content["entry"] += list(entries)
    statements = read_bundle(raw(content), received_at=RECEIVED_AT).statements
    return [s["name"] for s in statements if s["kind"] == "medication"]


@pytest.mark.parametrize(
    ("reference", "full_url"),
    [
        ({"reference": "Medication/m1"}, ""),
        ({"reference": "Medication/m1/_history/2"}, ""),
        ({"reference": URN}, URN),
        ({"reference": "urn:uuid:m1"}, ""),
        ({"reference": "https://ehr.example/Medication/m1"}, "https://ehr.example/Medication/m1"),
        ({"reference": "https://ehr.example/Medication/m1"}, ""),
        ({"reference": "Medication?identifier=urn:stock|7"}, ""),
        ({"reference": "Medication?identifier=7"}, ""),
        ({"identifier": {"system": "urn:stock", "value": "7"}}, ""),
    ],
)
def test_a_drug_is_found_however_it_is_referred_to(
    reference: dict[str, Any], full_url: str
) -> None:
    held = medication(PREDNISONE, identifier=[{"system": "urn:stock", "value": "7"}])
    entry = {"resource": held} | ({"fullUrl": full_url} if full_url else {})

    assert names({"resource": ordered(reference)}, entry) == ["prednisone"]


def test_a_drug_of_another_server_is_not_taken_for_the_one_here() -> None:
    held = {"resource": medication(PREDNISONE), "fullUrl": "https://a.example/Medication/m1"}
    used = {"resource": ordered({"reference": "https://b.example/Medication/m1"})}

    assert names(used, held) == []


@pytest.mark.parametrize("turn", [1, -1])
def test_an_order_takes_the_newer_copy_of_its_drug_in_either_order(turn: int) -> None:
    copies = [
        medication(CISPLATIN, meta={"versionId": "1"}),
        medication(PREDNISONE, meta={"versionId": "2"}),
    ][::turn]

    reading = read(ordered({"reference": "Medication/m1"}), *copies)

    assert [s["name"] for s in reading.statements if s["kind"] == "medication"] == ["prednisone"]


@pytest.mark.parametrize("turn", [1, -1])
def test_an_order_of_a_drug_that_is_there_twice_with_different_content_is_rejected(
    turn: int,
) -> None:
    copies = [medication(CISPLATIN), medication(PREDNISONE)][::turn]

    line = line_of(read(ordered({"reference": "Medication/m1"}), *copies), "MedicationRequest/r1")

    assert (line.outcome, line.reason) == (Outcome.REJECTED, Reason.UNRESOLVED)
    assert line.pointer == "/entry/1/resource/medicationReference"


def test_a_drug_that_is_only_named_in_words_is_stated_as_an_unknown_drug() -> None:
    reading = read(ordered({"reference": "Medication/elsewhere", "display": "Decort 16 mg tb"}))

    (found,) = [s for s in reading.statements if s["kind"] == "medication"]
    assert found["name"] == "Decort 16 mg tb"
    assert "class" not in found


@pytest.mark.parametrize("identity", ["m9", "#m9"])
def test_a_contained_drug_is_read(identity: str) -> None:
    held = medication(PREDNISONE) | {"id": identity}

    (found,) = [
        s
        for s in read(ordered({"reference": "#m9"}) | {"contained": [held]}).statements
        if s["kind"] == "medication"
    ]

    assert found["name"] == "prednisone"


@pytest.mark.parametrize("turn", [1, -1])
def test_the_newer_copy_of_the_patient_says_whether_the_patient_died(turn: int) -> None:
    copies = [
        patient(meta={"versionId": "1"}),
        patient(meta={"versionId": "2"}, deceasedDateTime="2026-02-01"),
    ][::turn]

    reading = read(*copies, administration("a1", CISPLATIN, "2026-03-01"))

    assert line_of(reading, "MedicationAdministration/a1").reason == Reason.AFTER_DEATH


@pytest.mark.parametrize("turn", [1, -1])
def test_a_death_that_one_of_two_contradicting_copies_tells_counts(turn: int) -> None:
    copies = [patient(), patient(deceasedDateTime="2026-02-01")][::turn]

    reading = read(*copies, administration("a1", CISPLATIN, "2026-03-01"))

    assert line_of(reading, "MedicationAdministration/a1").reason == Reason.AFTER_DEATH
    assert reading.subject is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": [{"reference": "Patient/p1"}, {"reference": "Patient/p2"}]},
        {"subject": None, "participant": [{"actor": {"reference": "Patient/p2"}}]},
        {"participant": [{"actor": {"reference": "Patient/p2"}}]},
    ],
)
def test_a_second_patient_named_anywhere_in_a_resource_refuses_the_bundle(
    fields: dict[str, Any],
) -> None:
    problem = read(observation(), resource("Appointment", "x", **fields)).problems[0]

    assert problem.code == ProblemCode.SEVERAL_PATIENTS
    assert problem.entries == (2,)
    assert problem.subjects == ("Patient/p1", "Patient/p2")


def test_participants_who_are_no_patients_do_no_harm() -> None:
    people = [{"actor": {"reference": "Practitioner/x"}}, {"actor": {"reference": URN}}, {}, 5]

    assert not read(resource("Appointment", "x", participant=people)).refused


def test_a_bundle_inside_a_bundle_is_rejected_with_its_place() -> None:
    nested = bundle(condition("c1", "254837009"))

    reading = read(nested)

    line = reading.report[1]
    assert (line.outcome, line.reason) == (Outcome.REJECTED, Reason.NOT_A_RESOURCE)
    assert line.pointer == "/entry/1/resource"
    assert "send its entries" in line.message


def test_a_deletion_says_how_to_withdraw() -> None:
    content = bundle()
    content["entry"].append({"request": {"method": "DELETE", "url": "Observation/1"}})

    line = read_bundle(raw(content)).report[1]

    assert line.outcome == Outcome.REJECTED
    assert "entered-in-error" in line.message
