"""Resources in the shape of older FHIR versions, as some record systems still send them."""

from typing import Any

import pytest
from fhir_builders import RXNORM, administration, concept, line_of, only, order, procedure, read
from fhir_builders import resource as about_patient

from services.intake.adapters.fhir import Outcome, Reason


def old_order(**fields: Any) -> dict[str, Any]:
    """A DSTU2 MedicationOrder of prednisone."""
    base = {
        "resourceType": "MedicationOrder",
        "id": "r1",
        "patient": {"reference": "Patient/p1"},
        "status": "active",
        "dateWritten": "2026-03-01",
        "medicationCodeableConcept": concept(RXNORM, "8640"),
    }
    return base | fields


def test_a_medication_order_of_dstu2_is_an_order() -> None:
    found = only(old_order())

    assert (found["name"], found["doses"]) == ("prednisone", [{"from": "2026-03-01"}])


def test_the_older_dosage_elements_give_the_daily_dose() -> None:
    repeat = {"frequency": 2, "period": 1, "periodUnits": "d"}
    dosage = {"timing": {"repeat": repeat}, "doseQuantity": {"value": 5, "unit": "mg"}}

    assert only(old_order(dosageInstruction=[dosage]))["doses"] == [
        {"from": "2026-03-01", "mg_per_day": 10}
    ]


def test_the_older_end_of_an_order_ends_it() -> None:
    assert only(old_order(dateEnded="2026-03-10"))["doses"] == [
        {"from": "2026-03-01", "to": "2026-03-10"}
    ]


def test_an_older_administration_names_its_older_order_and_counts_once() -> None:
    given = {
        "resourceType": "MedicationAdministration",
        "id": "a1",
        "patient": {"reference": "Patient/p1"},
        "status": "completed",
        "effectiveTimeDateTime": "2026-03-05",
        "medicationCodeableConcept": concept(RXNORM, "8640"),
        "prescription": {"reference": "MedicationOrder/r1"},
        "dosage": {"quantity": {"value": 8, "unit": "mg"}},
    }

    reading = read(old_order(status="completed"), given)

    assert line_of(reading, "MedicationOrder/r1").reason == Reason.MERGED
    (found,) = [s for s in reading.statements if s["kind"] == "medication"]
    assert found["doses"] == [{"day": "2026-03-05", "mg": 8}]


@pytest.mark.parametrize(
    "denied",
    [
        administration("x", "8640", wasNotGiven=True),
        administration("x", "8640", notGiven=True),
        order("x", "8640", doNotPerform=True),
        about_patient(
            "MedicationStatement",
            "x",
            medicationCodeableConcept=concept(RXNORM, "8640"),
            dateAsserted="2026-03-01",
            taken="n",
        ),
        procedure("x", "43075005", notPerformed=True),
        procedure("x", "43075005", notDone=True),
        about_patient(
            "Immunization",
            "x",
            vaccineCode=concept("http://hl7.org/fhir/sid/cvx", "121"),
            date="2026-03-01",
            wasNotGiven=True,
        ),
    ],
    ids=lambda given: f"{given['resourceType']}-{list(given)[-1]}",
)
def test_what_an_older_shape_denies_is_not_stated(denied: dict[str, Any]) -> None:
    reading = read(denied)

    line = reading.report[1]
    assert (line.outcome, line.reason) == (Outcome.IGNORED, Reason.NOT_DONE)
    assert [s["kind"] for s in reading.statements] == ["patient"]
