"""Conditions: what is active today is decided by kind and date, not by clinicalStatus alone."""

from typing import Any

import pytest
from fhir_builders import (
    RXNORM,
    SNOMED,
    concept,
    condition,
    line_of,
    observation,
    only,
    read,
    read_file,
    resource,
    resources_of,
)

from services.intake.adapters.fhir import Outcome, Reason

SEPSIS, BRONCHITIS, CHRONIC_SINUSITIS, HEPATITIS_B = "91302008", "10509002", "40055000", "66071002"
BREAST, SUSPECTED_LUNG, LUPUS = "254837009", "162573006", "55464009"


def stated(*resources: dict[str, Any]) -> dict[str, Any]:
    found = [s for s in read(*resources).statements if s["id"] == "Condition/c1"]
    assert len(found) == 1
    return dict(found[0])


def test_a_cancer_is_a_condition_with_its_concept_onset_and_code() -> None:
    found = only(condition("c1", BREAST, recordedDate="2026-03-02"))

    assert (found["kind"], found["concept"], found["status"]) == (
        "condition",
        "breast_cancer",
        "confirmed",
    )
    assert (found["onset"], found["effective"], found["recorded"]) == (
        "2026-03-01",
        "2026-03-01",
        "2026-03-02",
    )
    assert found["codes"] == [{"system": SNOMED, "code": BREAST}]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("C50.211", "breast_cancer"),
        ("C34.11", "lung_cancer"),
        ("C18.2", "colon_cancer"),
        ("C79.31", "metastasis_brain"),
        ("C79.51", "metastasis_other"),
        ("C7B.8", "metastasis_other"),
        ("C67.9", "cancer_site_unstated"),
        ("I50.32", "heart_failure"),
        ("G35", "multiple_sclerosis"),
    ],
)
def test_icd_10_codes_match_by_their_category(code: str, expected: str) -> None:
    icd = concept("http://hl7.org/fhir/sid/icd-10-cm", code)

    assert only(condition("c1", "x") | {"code": icd})["concept"] == expected


def test_the_exact_code_wins_over_a_parent_whatever_their_order() -> None:
    parent = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "A41.89"}
    exact = {"system": SNOMED, "code": SEPSIS}

    for coded in ([parent, exact], [exact, parent]):
        found = only(condition("c1", "x") | {"code": {"coding": coded}})
        assert (found["kind"], found["type"]) == ("infection", "serious")


@pytest.mark.parametrize(
    ("verification", "status"),
    [
        ("confirmed", "confirmed"),
        ("provisional", "suspected"),
        ("differential", "suspected"),
        ("unconfirmed", "suspected"),
        ("refuted", "refuted"),
        ("entered-in-error", "entered-in-error"),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_verification(verification: str, status: str, plain: bool) -> None:
    given: object = verification if plain else concept("x", verification)

    assert only(condition("c1", LUPUS, verificationStatus=given))["status"] == status


def test_a_suspected_cancer_code_stays_suspected_though_confirmed() -> None:
    assert only(condition("c1", SUSPECTED_LUNG))["status"] == "suspected"


def test_remission_is_not_an_end() -> None:
    assert "resolved" not in only(condition("c1", BREAST, clinicalStatus=concept("x", "remission")))


def test_a_stage_in_the_code_or_beside_it_is_evidence() -> None:
    staged = condition("c1", "424132000")
    beside = condition("c2", BREAST, stage=[{"summary": concept(SNOMED, "1222769001")}])

    items = [s["id"] for s in read(staged, beside).statements if s["kind"] == "evidence"]

    assert items == ["Condition/c1#stage", "Condition/c2#stage"]


def test_a_recent_acute_infection_that_is_active_counts_as_active() -> None:
    found = stated(condition("c1", BRONCHITIS), observation(effectiveDateTime="2026-03-20"))

    assert (found["kind"], found["type"], found["onset"]) == (
        "infection",
        "uncomplicated",
        "2026-03-01",
    )
    assert "resolved" not in found


@pytest.mark.parametrize(
    ("code", "last_active", "first_not_current"),
    [(BRONCHITIS, "2026-04-30", "2026-05-01"), (SEPSIS, "2026-08-28", "2026-08-29")],
)
def test_an_acute_infection_left_active_stops_counting_after_the_rulebooks_days(
    code: str, last_active: str, first_not_current: str
) -> None:
    # 60 days after 2026-03-01 is 04-30; 180 days after it is 08-28.
    still = stated(condition("c1", code), observation(effectiveDateTime=last_active))
    no_more = stated(condition("c1", code), observation(effectiveDateTime=first_not_current))

    assert still["kind"] == "infection"
    assert (no_more["kind"], no_more["concept"]) == ("condition", "infection_not_current")


def test_an_acute_infection_active_for_decades_is_reported_as_not_current_with_the_reason() -> None:
    old = condition("c1", SEPSIS, onsetDateTime="1999-02-01")

    reading = read(old, observation(effectiveDateTime="2026-03-20"))

    message = line_of(reading, "Condition/c1").message
    assert "since 1999-02-01" in message
    assert "180 days" in message


def test_a_chronic_infection_is_never_active_by_its_code_alone() -> None:
    reading = read(condition("c1", CHRONIC_SINUSITIS))

    assert reading.statements[-1]["concept"] == "infection_not_current"
    assert "chronic" in line_of(reading, "Condition/c1").message


@pytest.mark.parametrize("code", [HEPATITIS_B, "50711007", "86406008"])
def test_a_lifelong_viral_infection_keeps_its_type_whatever_its_age(code: str) -> None:
    found = stated(
        condition("c1", code, onsetDateTime="1999-02-01"),
        observation(effectiveDateTime="2026-03-20"),
    )

    assert found["kind"] == "infection"
    assert found["type"] in ("hbv", "hcv", "hiv")


def test_an_infection_with_an_end_keeps_both_days() -> None:
    found = only(condition("c1", BRONCHITIS, abatementDateTime="2026-03-10T08:00:00+03:00"))

    assert (found["kind"], found["resolved"]) == ("infection", "2026-03-10T08:00:00+03:00")


def test_an_infection_said_to_be_over_without_a_day_ends_with_the_bundles_last_day() -> None:
    over = condition("c1", BRONCHITIS, clinicalStatus=concept("x", "resolved"))

    assert stated(over, observation(effectiveDateTime="2026-03-20"))["resolved"] == "2026-03-20"


def test_covid_carries_its_first_positive_day() -> None:
    found = only(condition("c1", "840539006"))

    assert (found["type"], found["first_positive"]) == ("sars_cov_2", "2026-03-01")


def test_a_refuted_infection_is_no_infection() -> None:
    assert only(condition("c1", SEPSIS, verificationStatus="refuted"))["kind"] == "condition"


def test_an_unmapped_condition_is_listed_for_the_checklist_only() -> None:
    line = line_of(read(condition("c1", "73595000")), "Condition/c1")

    assert (line.outcome, line.reason) == (Outcome.IGNORED, Reason.CODE_NOT_NEEDED)


def test_an_older_shaped_condition_is_read() -> None:
    epic = {
        "resourceType": "Condition",
        "id": "c1",
        "patient": {"display": "x", "reference": "https://epic.example/api/FHIR/DSTU2/Patient/p1"},
        "category": {"coding": [{"system": "http://loinc.org", "code": "29308-4"}]},
        "clinicalStatus": "active",
        "verificationStatus": "confirmed",
        "dateRecorded": "2026-02-01",
        "code": {
            "coding": [
                {"system": "http://hl7.org/fhir/sid/icd-9-cm/diagnosis", "code": "174.2"},
                {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C50.211"},
            ]
        },
    }

    found = only(epic)

    assert (found["concept"], found["effective"]) == ("breast_cancer", "2026-02-01")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"onsetDateTime": "2027-01-01"}, "/onsetDateTime"),
        ({"onsetDateTime": "YYYY-MM-DD"}, "/onsetDateTime"),
        ({"recordedDate": "2027-01-01"}, "/recordedDate"),
        ({"abatementDateTime": "2027-01-01"}, "/abatementDateTime"),
        ({"onsetDateTime": "1960-01-01"}, "/onsetDateTime"),
        (
            {"onsetDateTime": None, "onsetPeriod": {"start": "2026-02-02", "end": "2026-02-01"}},
            "/onsetPeriod",
        ),
    ],
)
def test_impossible_days_reject_the_entry(fields: dict[str, object], pointer: str) -> None:
    line = line_of(read(condition("c1", SEPSIS, **fields), observation()), "Condition/c1")

    assert (line.outcome, line.pointer) == (Outcome.REJECTED, f"/entry/1/resource{pointer}")


@pytest.mark.parametrize("code", ["3455", "828529"])
def test_an_allergy_to_a_product_component_is_a_suspicion_for_a_person(code: str) -> None:
    allergy = resource(
        "AllergyIntolerance", "a1", code=concept(RXNORM, code), recordedDate="2026-01-01"
    )

    found = only(allergy)

    assert (found["concept"], found["status"]) == ("excipient_allergy", "suspected")


@pytest.mark.parametrize(
    "fields",
    [
        {"code": concept(SNOMED, "762952008")},
        {"code": concept(RXNORM, "3455"), "verificationStatus": concept("x", "refuted")},
    ],
)
def test_other_allergies_and_refuted_ones_are_ignored(fields: dict[str, object]) -> None:
    line = line_of(read(resource("AllergyIntolerance", "a1", **fields)), "AllergyIntolerance/a1")

    assert line.outcome == Outcome.IGNORED


def test_sepsis_left_active_since_2020_in_a_real_bundle_is_not_current() -> None:
    name = (
        "synthea-3.3.0-seed42-full/Alan320_Steuber698_659d4465-77e9-7184-fb14-5aa13e0a161f.json.gz"
    )
    (reference,) = [
        key
        for key, found in resources_of(name).items()
        if key.startswith("Condition/") and found["code"]["coding"][0]["code"] == SEPSIS
    ]

    line = line_of(read_file(name), reference)

    assert line.outcome == Outcome.USED
    assert "listed as active since 2020-03-12" in line.message


MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-"


@pytest.mark.parametrize(
    ("profile", "concept_of_it"),
    [
        ("primary-cancer-condition", "cancer_site_unstated"),
        ("secondary-cancer-condition|4.0.0", "metastasis_other"),
    ],
)
def test_a_cancer_with_an_unlisted_code_is_known_by_its_profile(
    profile: str, concept_of_it: str
) -> None:
    cancer = condition("c1", "999999999", meta={"profile": [5, f"{MCODE}{profile}"]})

    assert only(cancer)["concept"] == concept_of_it


def test_a_listed_code_says_more_than_the_profile() -> None:
    cancer = condition("c1", "254837009", meta={"profile": [f"{MCODE}primary-cancer-condition"]})

    assert only(cancer)["concept"] == "breast_cancer"


@pytest.mark.parametrize("profile", ["us-core-condition", "https://x.example/mcode-primary"])
def test_another_profile_makes_no_cancer(profile: str) -> None:
    reading = read(condition("c1", "999999999", meta={"profile": [profile]}))

    assert line_of(reading, "Condition/c1").reason == Reason.CODE_NOT_NEEDED
