"""Observations become lab, vital, performance and evidence statements, as sent."""

import pytest
from fhir_builders import (
    LOINC,
    SNOMED,
    UCUM,
    concept,
    line_of,
    observation,
    only,
    read,
    resource,
)

from services.intake.adapters.fhir import Outcome, Reason


def quantity(value: float, code: str, **fields: object) -> dict[str, object]:
    return {"value": value, "unit": code, "system": UCUM, "code": code} | fields


def test_a_lab_keeps_value_unit_times_and_range_as_sent() -> None:
    stated = only(
        observation(
            code="1742-6",
            meta={"versionId": "3", "lastUpdated": "2026-03-09T12:00:00Z"},
            issued="2026-03-09T10:00:00.698+03:00",
            valueQuantity=quantity(180, "U/L"),
            referenceRange=[{"low": quantity(5, "U/L"), "high": quantity(40, "U/L")}],
            specimen={"reference": "Specimen/s1"},
        )
    )

    assert stated == {
        "kind": "lab",
        "id": "Observation/o1",
        "version": 3,
        "metric": "alt",
        "value": 180,
        "unit": "U/L",
        "range_high": 40,
        "range_low": 5,
        "specimen": "Specimen/s1",
        "effective": "2026-03-09T08:00:00+03:00",
        "recorded": "2026-03-09T10:00:00.698000+03:00",
        "status": "final",
        "source": "FHIR Observation/o1",
    }


@pytest.mark.parametrize(
    ("code", "kind", "metric"),
    [
        ("26499-4", "lab", "anc"),
        ("38483-4", "lab", "creatinine"),
        ("5196-1", "lab", "hbsag"),
        ("2106-3", "lab", "hcg"),
        ("10230-1", "lab", "lvef"),
        ("8310-5", "vital", "body_temp"),
        ("8331-1", "vital", "body_temp"),
        ("2708-6", "vital", "spo2"),
        ("29463-7", "vital", "weight"),
    ],
)
def test_codes_map_to_the_protocols_metrics(code: str, kind: str, metric: str) -> None:
    stated = only(observation(code=code))

    assert (stated["kind"], stated["metric"]) == (kind, metric)


@pytest.mark.parametrize("system", ["urn:oid:2.16.840.1.113883.6.1", LOINC])
def test_a_code_system_may_be_named_by_its_oid(system: str) -> None:
    assert only(observation() | {"code": concept(system, "751-8")})["metric"] == "anc"


def test_a_code_counts_only_in_its_own_system() -> None:
    reading = read(observation() | {"code": concept("urn:local", "751-8")})

    assert line_of(reading, "Observation/o1").reason == Reason.CODE_NOT_NEEDED


def test_words_alone_are_never_matched() -> None:
    reading = read(observation() | {"code": {"text": "Neutrophils [#/volume] in Blood"}})

    assert line_of(reading, "Observation/o1").reason == Reason.CODE_NOT_NEEDED


@pytest.mark.parametrize(
    ("given", "unit"),
    [
        ({"value": 1, "unit": "K/uL", "system": UCUM, "code": "10*3/uL"}, "10*3/uL"),
        ({"value": 1, "unit": "g/dl", "system": "urn:local", "code": "gdl"}, "g/dl"),
        ({"value": 1, "unit": "bananas"}, "bananas"),
        ({"value": 1, "code": "g/L"}, "g/L"),
        ({"value": 1}, None),
    ],
)
def test_the_unit_goes_on_as_given_known_or_not(given: dict[str, object], unit: str | None) -> None:
    assert only(observation(valueQuantity=given)).get("unit") == unit


def test_an_implausible_value_is_not_corrected() -> None:
    stated = only(observation(code="26499-4", valueQuantity=quantity(3000, "10*3/uL")))

    assert (stated["value"], stated["unit"]) == (3000, "10*3/uL")


def test_a_comparator_is_not_lost() -> None:
    stated = only(observation(code="1988-5", valueQuantity=quantity(5, "mg/L", comparator="<")))

    assert (stated["value"], stated["comparator"]) == (5, "<")


def test_a_range_in_another_unit_or_of_another_meaning_is_left_out() -> None:
    treatment = {"high": quantity(9, "U/L"), "type": concept("x", "treatment")}
    foreign = {"high": quantity(1, "ukat/L")}
    narrow, wide = {"high": quantity(40, "U/L")}, {"high": quantity(50, "U/L")}

    stated = only(
        observation(
            valueQuantity=quantity(30, "U/L"), referenceRange=[treatment, foreign, wide, narrow]
        )
    )

    assert stated["range_high"] == 40


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"valueCodeableConcept": concept(SNOMED, "260385009")}, "negative"),
        ({"valueCodeableConcept": concept(SNOMED, "10828004")}, "positive"),
        ({"valueCodeableConcept": concept(LOINC, "LA11882-0")}, "detected"),
        ({"valueString": "Not detected"}, "not_detected"),
        ({"valueString": "Reactive"}, "reactive"),
        ({"valueBoolean": True}, "positive"),
        ({"valueQuantity": {"value": 0.2}, "interpretation": [concept("v3", "NEG")]}, "negative"),
        ({"valueString": "haemolysed"}, "haemolysed"),
        ({"valueCodeableConcept": concept("urn:x", "q", "Equivocal")}, "Equivocal"),
    ],
)
def test_qualitative_results(given: dict[str, object], value: str) -> None:
    result = observation(code="5195-3")
    del result["valueQuantity"]

    assert only(result | given)["value"] == value


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("preliminary", "preliminary"),
        ("final", "final"),
        ("amended", "corrected"),
        ("corrected", "corrected"),
        ("cancelled", "entered-in-error"),
        ("entered-in-error", "entered-in-error"),
        ("unknown", "preliminary"),
        ("made-up", "preliminary"),
        (None, "preliminary"),
    ],
)
def test_status(status: str | None, ours: str) -> None:
    assert only(observation(status=status))["status"] == ours


def test_a_withdrawn_result_without_value_still_reaches_the_record() -> None:
    withdrawn = observation(status="entered-in-error")
    del withdrawn["valueQuantity"]

    assert only(withdrawn)["status"] == "entered-in-error"


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "registered"},
        {"valueQuantity": None, "dataAbsentReason": concept("x", "unknown")},
        {"valueQuantity": {"_value": {"extension": [{"url": "x", "valueCode": "masked"}]}}},
    ],
)
def test_a_result_without_a_value_is_ignored(fields: dict[str, object]) -> None:
    line = line_of(read(observation(**fields)), "Observation/o1")

    assert (line.outcome, line.reason) == (Outcome.IGNORED, Reason.NO_VALUE)


def test_blood_pressure_gives_a_statement_per_component() -> None:
    panel = observation(
        "bp",
        "85354-9",
        component=[
            {"code": concept(LOINC, "8480-6"), "valueQuantity": quantity(121, "mm[Hg]")},
            {"code": concept(LOINC, "8462-4"), "valueQuantity": quantity(79, "mm[Hg]")},
            {"code": concept(LOINC, "8867-4")},
            {"code": concept("x", "y"), "valueQuantity": quantity(1, "1")},
        ],
    )
    del panel["valueQuantity"]

    reading = read(panel)

    found = {s["id"]: (s["kind"], s["metric"], s["value"]) for s in reading.statements[1:]}
    assert found == {
        "Observation/bp#dbp": ("vital", "dbp", 79),
        "Observation/bp#sbp": ("vital", "sbp", 121),
    }
    assert set(line_of(reading, "Observation/bp").statements) == set(found)


def test_components_that_come_twice_are_both_stated() -> None:
    systolic = {"code": concept(LOINC, "8480-6")}
    panel = observation(
        "bp",
        "85354-9",
        component=[systolic | {"valueQuantity": quantity(v, "mm[Hg]")} for v in (121, 88)],
    )

    found = {s["id"]: s["value"] for s in read(panel).statements[1:]}

    assert found == {"Observation/bp#sbp": 121, "Observation/bp#sbp-2": 88}


@pytest.mark.parametrize(
    ("code", "given", "expected"),
    [
        ("89247-1", {"valueInteger": 0}, ("ecog", 0)),
        ("89247-1", {"valueQuantity": {"value": 2}}, ("ecog", 2)),
        ("89247-1", {"valueCodeableConcept": concept(LOINC, "LA9624-3")}, ("ecog", 2)),
        ("89243-0", {"valueInteger": 90}, ("karnofsky", 90)),
    ],
)
def test_performance_status(code: str, given: dict[str, object], expected: tuple[str, int]) -> None:
    score = observation(code=code)
    del score["valueQuantity"]

    stated = only(score | given)

    assert stated["kind"] == "performance"
    assert stated[expected[0]] == expected[1]


def test_half_a_performance_score_is_rejected() -> None:
    line = line_of(read(observation(code="89247-1") | {"valueInteger": 1.5}), "Observation/o1")

    assert (line.outcome, line.reason) == (Outcome.REJECTED, Reason.WRONG_TYPE)


def test_a_stage_group_is_evidence_but_a_tnm_category_is_not() -> None:
    stage = observation("s") | {
        "code": concept(SNOMED, "399537006"),
        "valueCodeableConcept": concept(SNOMED, "1222769001"),
    }
    category = observation("t") | {"code": concept(SNOMED, "399504009")}

    reading = read(stage, category)

    assert [s["item"] for s in reading.statements[1:]] == ["stage"]
    assert "stage group counts" in line_of(reading, "Observation/t").message


def test_a_stage_that_was_not_assessed_is_no_evidence() -> None:
    absent = concept("http://terminology.hl7.org/CodeSystem/data-absent-reason", "not-applicable")
    stage = observation("s") | {
        "code": concept(SNOMED, "399537006"),
        "valueCodeableConcept": absent,
    }
    del stage["valueQuantity"]

    assert line_of(read(stage), "Observation/s").reason == Reason.NO_VALUE


@pytest.mark.parametrize("code", ["33914-3", "2857-1", "10334-1", "2039-6"])
def test_reported_clearance_and_tumour_markers_are_ignored_with_the_reason(code: str) -> None:
    line = line_of(read(observation(code=code)), "Observation/o1")

    assert line.outcome == Outcome.IGNORED
    assert ": " in line.message


def test_the_time_of_measurement_counts_not_that_of_the_report() -> None:
    taken = resource(
        "Specimen", "s1", collection={"collectedDateTime": "2026-03-08T07:00:00+03:00"}
    )
    result = observation(issued="2026-03-09T12:00:00+03:00", specimen={"reference": "Specimen/s1"})
    del result["effectiveDateTime"]

    stated = next(s for s in read(taken, result).statements if s["kind"] == "lab")

    assert stated["effective"] == "2026-03-08T07:00:00+03:00"


def test_without_any_time_of_measurement_the_result_is_rejected() -> None:
    result = observation(issued="2026-03-09T12:00:00+03:00")
    del result["effectiveDateTime"]

    line = line_of(read(result), "Observation/o1")

    assert (line.reason, line.pointer) == (
        Reason.MISSING,
        "/entry/1/resource/effectiveDateTime",
    )


def test_a_period_of_measurement_is_as_old_as_its_beginning() -> None:
    result = observation(effectivePeriod={"start": "2026-03-01", "end": "2026-03-05"})
    del result["effectiveDateTime"]

    assert only(result)["effective"] == "2026-03-01"


@pytest.mark.parametrize(
    ("written", "stated"),
    [
        ("2026-03-09", "2026-03-09"),
        ("2026-03", "2026-03-01"),
        ("2026", "2026-01-01"),
        ("2026-03-09T08:00:00Z", "2026-03-09T08:00:00+00:00"),
        ("2026-03-09T08:00:00.1882432-05:00", "2026-03-09T08:00:00.188243-05:00"),
        ("2026-03-09T08:00+03:00", "2026-03-09T08:00:00+03:00"),
        ("2026-03-09T23:59:60Z", "2026-03-09T23:59:59+00:00"),
    ],
)
def test_dates_in_all_their_shapes(written: str, stated: str) -> None:
    assert only(observation(effectiveDateTime=written))["effective"] == stated
