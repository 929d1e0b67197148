"""The evaluation checklist and the advice on eligibility."""

from typing import Any

import pytest
from protocol_asking import PROTOCOL, facts, iso, lab, moment

from shared.protocol import (
    ChecklistItem,
    EligibilityOutcome,
    ItemState,
    Record,
    checklist,
    eligibility_advice,
)

AT = "2027-03-10"
DIAGNOSIS = {"kind": "condition", "concept": "nsclc", "status": "confirmed", "onset": "2026-11-01"}


def evidence(item: str, effective: str = "2027-03-08", **more: Any) -> dict[str, Any]:
    return {"kind": "evidence", "item": item, "effective": effective, **more}


def complete() -> list[dict[str, Any]]:
    items = [
        "pathology_report",
        "stage",
        "imaging_baseline",
        "prior_treatments",
        "consent",
        "medication_reconciliation",
        "immune_status_lymphocyte_subsets",
        "information_given",
        "indication",
        "disease_status_baseline",
        "regulatory_basis",
        "oncology_plan_ack",
    ]
    person = {
        "kind": "patient",
        "birth_date": "1966-05-02",
        "sex": "male",
        "weight_kg": 70,
        "effective": "2027-03-08",
    }
    values = [
        lab("anc", 3, "10*9/L", "2027-03-08"),
        lab("alc", 1.2, "10*9/L", "2027-03-08"),
        lab("platelets", 200, "10*9/L", "2027-03-08"),
        lab("haemoglobin", 130, "g/L", "2027-03-08"),
        lab("creatinine", 0.9, "mg/dL", "2027-03-08"),
        lab("alt", 20, "U/L", "2027-03-08", range_high=40),
        lab("ast", 20, "U/L", "2027-03-08", range_high=40),
        lab("bilirubin_total", 10, "umol/L", "2027-03-08"),
        lab("albumin", 40, "g/L", "2027-03-08"),
        lab("life_expectancy", 52, "wk", "2027-03-08"),
        {"kind": "performance", "ecog": 1, "effective": "2027-03-08"},
    ]
    return [person, DIAGNOSIS, *(evidence(item) for item in items), *values]


def found(*statements: dict[str, Any]) -> dict[str, ChecklistItem]:
    items = checklist(PROTOCOL, facts(*statements), moment(AT))
    return {item.item: item for item in items}


def test_there_are_ten_items_in_the_order_of_the_evaluation() -> None:
    assert list(found()) == [
        "diagnosis",
        "stage",
        "pathology",
        "imaging",
        "prior_treatments",
        "medication",
        "immune_status",
        "counts",
        "organ_function",
        "performance_status",
    ]
    assert {item.state for item in found().values()} == {ItemState.MISSING}


def test_a_complete_evaluation_is_present_and_suitable() -> None:
    assert {item.state for item in found(*complete()).values()} == {ItemState.PRESENT}
    advice = eligibility_advice(PROTOCOL, facts(*complete()), moment(AT))
    assert advice.outcome is EligibilityOutcome.SUITABLE
    assert advice.reevaluate_on is None
    assert advice.findings == ()


def test_items_too_old_and_contradictory_are_told_with_their_source() -> None:
    old = evidence("imaging_baseline", "2027-02-09", source="FHIR DiagnosticReport/7")
    one = lab("anc", 2.0, "10*9/L", "2027-03-08", source="A")
    other = lab("anc", 0.4, "10*9/L", "2027-03-08", source="B")

    items = found(old, one, other)

    assert items["imaging"].state is ItemState.TOO_OLD  # 29 days, 28 are allowed
    assert items["imaging"].sources == ("FHIR DiagnosticReport/7",)
    assert items["counts"].state is ItemState.CONTRADICTORY
    assert set(items["counts"].sources) == {"A", "B"}


def test_a_refuted_diagnosis_contradicts_a_confirmed_one() -> None:
    refuted = {**DIAGNOSIS, "status": "refuted"}

    assert found(DIAGNOSIS, refuted)["diagnosis"].state is ItemState.CONTRADICTORY


def test_a_code_alone_raises_a_question_until_a_person_answers_it() -> None:
    coded = {"kind": "condition", "concept": "heart_failure", "onset": "2026-01-01"}
    answer = {
        "kind": "condition",
        "concept": "severe_organ_failure",
        "status": "refuted",
        "effective": "2027-03-01",
    }

    (question,) = found(coded)["organ_function"].questions
    assert "severe organ failure" in question
    assert found(coded, answer)["organ_function"].questions == ()
    assert found(coded)["stage"].questions == ()


def test_items_show_as_json() -> None:
    shown = found(*complete())["stage"].to_json()

    assert shown["state"] == "present"
    assert shown["dated"] == "2027-03-08"


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ({"kind": "condition", "concept": "pregnancy_or_lactation"}, "not_suitable"),
        ({"kind": "performance", "ecog": 3, "effective": "2027-03-09"}, "not_suitable"),
        ({"kind": "condition", "concept": "urgent_oncology_need"}, "standard_treatment_first"),
        ({"kind": "condition", "concept": "autoimmune_uncontrolled"}, "postponed"),
        ({"kind": "performance", "ecog": 2, "effective": "2027-03-09"}, "postponed"),
    ],
)
def test_advice_follows_the_worst_reason(more: dict[str, Any], outcome: str) -> None:
    advice = eligibility_advice(PROTOCOL, facts(*complete(), more), moment(AT))

    assert advice.outcome.value == outcome
    assert advice.findings
    assert (advice.reevaluate_on is not None) is (outcome == "postponed")


def test_postponed_names_the_day_to_look_again() -> None:
    undated = eligibility_advice(PROTOCOL, facts(*complete()[1:]), moment(AT))
    young = [{**complete()[0], "birth_date": "2009-03-20"}, *complete()[1:]]
    dated = eligibility_advice(PROTOCOL, facts(*young), moment(AT))

    assert iso(undated.reevaluate_on) == "2027-04-07"  # 28 days from 03-10
    assert iso(dated.reevaluate_on) == "2027-03-20"  # the eighteenth birthday


def test_a_record_is_taken_as_it_is() -> None:
    record = Record(PROTOCOL, facts(*complete()))

    assert checklist(PROTOCOL, record, moment(AT)) == checklist(
        PROTOCOL, facts(*complete()), moment(AT)
    )
