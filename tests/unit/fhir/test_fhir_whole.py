"""Masked, modified and contained: what holds for a resource whatever its type."""

from typing import Any

import pytest
from fhir_builders import (
    LOINC,
    UCUM,
    administration,
    concept,
    condition,
    line_of,
    observation,
    order,
    procedure,
    read,
    resource,
)

from services.intake.adapters.fhir import Outcome, ProblemCode, Reason

MASK = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "masked",
        }
    ]
}
MASKED_CODE = {"coding": [{"_system": MASK, "_code": MASK, "_display": MASK}]}


@pytest.mark.parametrize(
    ("given", "element"),
    [
        (condition("x", "1") | {"code": MASKED_CODE}, "code"),
        (condition("x", "1") | {"code": MASK}, "code"),
        (observation("x") | {"code": MASKED_CODE}, "code"),
        (observation("x", valueQuantity={"_value": MASK, "code": "10*9/L"}), "valueQuantity"),
        (observation("x", valueQuantity=None) | {"_valueString": MASK}, "valueString"),
        (procedure("x", "1") | {"code": MASKED_CODE}, "code"),
    ],
)
def test_what_a_sender_masks_is_told_apart_from_what_is_not_needed(
    given: dict[str, Any], element: str
) -> None:
    line = read(given).report[1]

    assert (line.outcome, line.reason) == (Outcome.IGNORED, Reason.MASKED)
    assert line.message.endswith(f"withheld: {element}")


def test_a_masked_drug_is_an_unknown_drug_not_none() -> None:
    reading = read(administration("x", "1") | {"medicationCodeableConcept": MASKED_CODE})

    (found,) = [s for s in reading.statements if s["kind"] == "medication"]
    assert "class" not in found
    assert found["codes"] == []
    assert found["doses"] == [{"day": "2026-03-01"}]


def test_a_masked_day_of_treatment_is_rejected_with_its_place() -> None:
    given = administration("x", "2555")
    del given["effectiveDateTime"]

    line = read(given | {"_effectiveDateTime": MASK}).report[1]

    assert (line.outcome, line.reason) == (Outcome.REJECTED, Reason.MISSING)
    assert line.pointer == "/entry/1/resource/effectiveDateTime"


def test_a_masked_side_matter_is_a_warning_and_the_result_is_used() -> None:
    line = read(observation("x") | {"_issued": MASK}).report[1]

    assert (line.outcome, line.warnings) == (Outcome.USED, ("issued is masked",))


def test_a_result_that_is_absent_says_why() -> None:
    absent = concept("http://terminology.hl7.org/CodeSystem/data-absent-reason", "not-performed")

    line = read(observation("x", valueQuantity=None, dataAbsentReason=absent)).report[1]

    assert line.reason == Reason.NO_VALUE
    assert "not-performed" in line.message


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}, "/modifierExtension"),
        (
            {"dosageInstruction": [{"modifierExtension": [{"url": "urn:x"}]}]},
            "/dosageInstruction/0/modifierExtension",
        ),
        ({"implicitRules": "urn:house-rules"}, "/implicitRules"),
    ],
)
def test_a_resource_whose_meaning_is_changed_is_rejected_with_the_place(
    fields: dict[str, Any], pointer: str
) -> None:
    line = read(order("x", "8640", **fields)).report[1]

    assert (line.outcome, line.reason) == (Outcome.REJECTED, Reason.MODIFIED)
    assert line.pointer == f"/entry/1/resource{pointer}"


def test_an_empty_list_of_modifiers_changes_nothing() -> None:
    assert read(order("x", "8640", modifierExtension=[])).counts.used == 2


def inner(identity: str = "r1", **fields: Any) -> dict[str, Any]:
    """A contained neutrophil count, with nothing that its report says already."""
    base = {
        "resourceType": "Observation",
        "id": identity,
        "code": concept(LOINC, "751-8"),
        "valueQuantity": {"value": 0.4, "system": UCUM, "code": "10*9/L"},
    }
    return base | fields


def report(*results: dict[str, Any], code: str = "58410-2", **fields: Any) -> dict[str, Any]:
    base = {
        "status": "final",
        "code": concept(LOINC, code),
        "effectiveDateTime": "2026-03-09",
        "contained": list(results),
    }
    return resource("DiagnosticReport", "d1", **(base | fields))


def test_results_inside_a_report_are_read_with_its_subject_time_and_status() -> None:
    reading = read(report(inner(), status="preliminary"))

    (found,) = [s for s in reading.statements if s["kind"] == "lab"]
    assert found["id"] == "DiagnosticReport/d1#r1"
    assert (found["metric"], found["value"], found["unit"]) == ("anc", 0.4, "10*9/L")
    assert (found["effective"], found["status"]) == ("2026-03-09", "preliminary")
    assert line_of(reading, "DiagnosticReport/d1").statements == ("DiagnosticReport/d1#r1",)


def test_a_contained_result_keeps_its_own_time() -> None:
    (found,) = [
        s
        for s in read(report(inner(effectiveDateTime="2026-03-08"))).statements
        if s["kind"] == "lab"
    ]

    assert found["effective"] == "2026-03-08"


def test_a_pathology_report_is_evidence_beside_its_results() -> None:
    reading = read(report(inner(), code="22637-3"))

    assert [s["kind"] for s in reading.statements[1:]] == ["evidence", "lab"]


def test_a_contained_result_that_cannot_be_read_costs_itself_only() -> None:
    odd = inner("r2", valueQuantity={"value": "high"})

    line = read(report(inner(), odd)).report[1]

    assert line.outcome == Outcome.USED
    assert line.warnings == ("/contained/1: the value is no usable number",)


def test_a_report_whose_only_result_cannot_be_read_is_left_to_its_observations() -> None:
    line = read(report(inner(code=concept(LOINC, "9999-9")))).report[1]

    assert (line.outcome, line.reason) == (Outcome.IGNORED, Reason.CODE_NOT_NEEDED)


def test_other_contained_resources_are_told_as_unread() -> None:
    held = {"resourceType": "Observation", "id": "o"}

    assert read(order("x", "8640", contained=[held])).report[1].warnings == (
        "a contained Observation is not read",
    )


def test_a_contained_result_of_another_patient_refuses_the_bundle() -> None:
    problem = read(report(inner(subject={"reference": "Patient/p2"}))).problems[0]

    assert (problem.code, problem.entries) == (ProblemCode.SEVERAL_PATIENTS, (1,))
    assert problem.subjects == ("Patient/p1", "Patient/p2")
