"""Medication resources: one treatment is stated once, with the days on which it was taken."""

from typing import Any

import pytest
from fhir_builders import (
    RXNORM,
    SNOMED,
    UCUM,
    administration,
    bundle,
    concept,
    line_of,
    only,
    order,
    raw,
    read,
    resource,
)

from services.intake.adapters.fhir import Outcome, Reason, read_bundle

OXALIPLATIN, LEUCOVORIN, PREDNISONE, CYCLOPHOSPHAMIDE = "1736776", "1803932", "8640", "3002"
HYDROCORTISONE_CREAM, FLUTICASONE_INHALER, PREDNISONE_5MG = "106258", "895996", "312617"
ERROR = "entered-in-error"
MG = {"unit": "mg", "system": UCUM, "code": "mg"}


def dosage(value: float, *, per_day: int = 1, **fields: Any) -> dict[str, Any]:
    repeat = {"frequency": per_day, "period": 1, "periodUnit": "d"}
    amount = [{"doseQuantity": {"value": value, **MG}}]
    return {"timing": {"repeat": repeat}, "doseAndRate": amount} | fields


def bounded(value: float, start: str, end: str, sequence: int = 1) -> dict[str, Any]:
    step = dosage(value, sequence=sequence)
    step["timing"]["repeat"]["boundsPeriod"] = {"start": start, "end": end}
    return step


def meds(*resources: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(s) for s in read(*resources).statements if s["kind"] == "medication"]


def test_a_product_code_resolves_to_its_ingredient_class_and_route() -> None:
    found = only(administration("a1", OXALIPLATIN, "2026-03-01T08:05:20+00:00"))

    assert (found["name"], found["class"], found["route"]) == (
        "oxaliplatin",
        ["cytotoxic_systemic"],
        "iv",
    )
    assert found["doses"] == [{"day": "2026-03-01T08:05:20+00:00"}]


def test_a_drug_of_two_wash_out_rules_is_in_both_classes() -> None:
    assert only(administration("a1", CYCLOPHOSPHAMIDE))["class"] == [
        "cyclophosphamide_mtx",
        "cytotoxic_systemic",
    ]


def test_leucovorin_is_known_and_not_cytotoxic() -> None:
    assert only(administration("a1", LEUCOVORIN))["class"] == ["no_coordination_rule"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("L01FF02", ["checkpoint_inhibitor"]),
        ("L01FF77", ["checkpoint_inhibitor"]),
        ("L01EX99", ["targeted_tki"]),
        ("L01AA01", ["cyclophosphamide_mtx", "cytotoxic_systemic"]),
        ("J01XX08", ["antimicrobial_therapeutic"]),
        ("D07AC01", ["corticosteroid_local"]),
    ],
)
def test_atc_codes_match_exactly_or_by_group(code: str, expected: list[str]) -> None:
    atc = concept("http://www.whocc.no/atc", code)

    assert only(administration("a1", "x") | {"medicationCodeableConcept": atc})["class"] == expected


def test_an_unmapped_drug_keeps_its_codes_and_has_no_class() -> None:
    atc = {"system": "http://www.whocc.no/atc", "code": "H02CA01", "display": "metyrapone"}
    found = only(administration("a1", "x") | {"medicationCodeableConcept": {"coding": [atc]}})

    assert "class" not in found
    assert (found["name"], found["codes"]) == ("metyrapone", [atc])


@pytest.mark.parametrize(
    "reference", ["Medication/m1", "urn:uuid:m-1", "https://x.example/Medication/m1", "#m1"]
)
def test_a_referenced_medication_is_followed(reference: str) -> None:
    held = {"resourceType": "Medication", "id": "m1", "code": concept(RXNORM, OXALIPLATIN)}
    given = administration("a1", "x", medicationReference={"reference": reference})
    del given["medicationCodeableConcept"]
    if reference.startswith("#"):
        given["contained"] = [held]
        content = bundle(given)
    else:
        content = bundle(given, held)
        content["entry"][2]["fullUrl"] = reference

    reading = read_bundle(raw(content))

    assert [s["name"] for s in reading.statements[1:]] == ["oxaliplatin"]
    if not reference.startswith("#"):
        used = line_of(reading, "Medication/m1")
        assert (used.outcome, used.reason) == (Outcome.USED, Reason.SUPPORTS)
        assert used.statements == ("MedicationAdministration/a1",)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"medicationReference": {"reference": "Medication/none"}}, Reason.UNRESOLVED),
        ({"medicationReference": {"reference": "#none"}}, Reason.UNRESOLVED),
        ({}, Reason.MISSING),
    ],
)
def test_a_drug_that_cannot_be_told_is_rejected(fields: dict[str, Any], reason: Reason) -> None:
    given = administration("a1", "x") | fields
    del given["medicationCodeableConcept"]

    line = line_of(read(given), "MedicationAdministration/a1")

    assert (line.outcome, line.reason) == (Outcome.REJECTED, reason)
    assert line.pointer == "/entry/1/resource/medicationReference"


@pytest.mark.parametrize(
    "link",
    [
        {"effectiveDateTime": "2026-03-09", "request": {"reference": "MedicationRequest/r1"}},
        {"effectiveDateTime": "2026-03-09", "context": {"reference": "Encounter/e1"}},
        {"effectiveDateTime": "2026-03-01T20:00:00+00:00"},
    ],
)
def test_an_order_that_was_carried_out_counts_once_and_the_administration_wins(
    link: dict[str, Any],
) -> None:
    ordered = order("r1", OXALIPLATIN, status="stopped", encounter={"reference": "Encounter/e1"})
    given = administration("a1", OXALIPLATIN, **link)

    reading = read(ordered, given)

    assert [s["id"] for s in reading.statements[1:]] == ["MedicationAdministration/a1"]
    merged = line_of(reading, "MedicationRequest/r1")
    assert (merged.outcome, merged.reason) == (Outcome.USED, Reason.MERGED)
    assert merged.statements == ("MedicationAdministration/a1",)


def test_orders_of_other_days_and_drugs_stay() -> None:
    found = meds(
        order("r1", OXALIPLATIN, status="stopped", authoredOn="2026-02-01"),
        order("r2", LEUCOVORIN, status="stopped", authoredOn="2026-03-01"),
        administration("a1", OXALIPLATIN, "2026-03-01"),
    )

    assert {m["id"] for m in found} == {
        "MedicationRequest/r1",
        "MedicationRequest/r2",
        "MedicationAdministration/a1",
    }


def test_an_order_entered_in_error_takes_no_administration_along() -> None:
    given = administration("a1", OXALIPLATIN, request={"reference": "MedicationRequest/r1"})
    found = {m["id"]: m["status"] for m in meds(order("r1", OXALIPLATIN, status=ERROR), given)}

    assert found == {"MedicationRequest/r1": ERROR, "MedicationAdministration/a1": "final"}


def test_thousands_of_orders_and_doses_of_one_drug_on_one_day_take_no_square_of_time() -> None:
    many = [order(f"r{i}", OXALIPLATIN, status="stopped") for i in range(5_000)]
    many += [administration(f"a{i}", OXALIPLATIN) for i in range(5_000)]

    reading = read(*many)

    assert reading.counts.used == 10_001
    assert len(reading.statements) == 5_001


def test_an_open_order_goes_on_after_the_last_of_very_many_administrations() -> None:
    named = {"request": {"reference": "MedicationRequest/r1"}}
    days = [f"2026-03-{day:02}" for day in range(1, 32)] + [f"2026-04-{d:02}" for d in range(1, 31)]
    given = [administration(f"a{day}", PREDNISONE, day, **named) for day in days]

    for resources in (given, given[::-1]):
        found = {m["id"]: m["doses"] for m in meds(order("r1", PREDNISONE), *resources)}
        assert found["MedicationRequest/r1"] == [{"from": "2026-05-01"}]


def test_an_administration_takes_the_route_of_its_order() -> None:
    route = [{"route": concept(SNOMED, "72607000")}]
    ordered = order("r1", "6851", status="completed", dosageInstruction=route)

    (given,) = meds(ordered, administration("a1", "6851"))

    assert (given["name"], given["route"]) == ("methotrexate", "intrathecal")


@pytest.mark.parametrize("status", ["stopped", "completed"])
def test_an_ended_order_without_an_end_is_a_dose_on_its_own_day_not_ongoing(status: str) -> None:
    assert only(order("r1", OXALIPLATIN, status=status))["doses"] == [{"day": "2026-03-01"}]


def test_an_ended_order_with_bounds_has_its_span() -> None:
    steps = [bounded(20, "2026-03-01", "2026-03-05")]

    found = only(order("r1", PREDNISONE, status="completed", dosageInstruction=steps))

    assert found["doses"] == [{"from": "2026-03-01", "to": "2026-03-05", "mg_per_day": 20}]


def test_an_active_order_is_taken_until_further_notice() -> None:
    found = only(order("r1", PREDNISONE, dosageInstruction=[dosage(10, per_day=2)]))

    assert found["doses"] == [{"from": "2026-03-01", "mg_per_day": 20}]


def test_an_active_order_goes_on_after_its_last_administration_without_counting_a_day_twice() -> (
    None
):
    ordered = order("r1", PREDNISONE, dosageInstruction=[dosage(10)])
    given = administration("a1", PREDNISONE, dosage={"dose": {"value": 10, **MG}})

    by_id = {m["id"]: m["doses"] for m in meds(ordered, given)}

    assert by_id == {
        "MedicationRequest/r1": [{"from": "2026-03-02", "mg_per_day": 10}],
        "MedicationAdministration/a1": [{"day": "2026-03-01", "mg": 10}],
    }


@pytest.mark.parametrize(
    ("instructions", "mg"),
    [
        ([dosage(7.5)], 7.5),
        ([dosage(15), dosage(5)], 20),
        ([dosage(0.5, per_day=3)], 1.5),
        (
            [
                {
                    **dosage(0),
                    "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "g", "code": "g"}}],
                }
            ],
            1000,
        ),
        ([{**dosage(0), "doseAndRate": [{"doseQuantity": {"value": 750, "unit": "ug"}}]}], 0.75),
        ([{**dosage(4), "timing": {"code": concept("x", "BID")}}], 8),
        (
            [{**dosage(4), "timing": {"repeat": {"frequency": 1, "period": 8, "periodUnit": "h"}}}],
            12,
        ),
        ([dosage(4, asNeededBoolean=True)], None),
        (
            [{**dosage(4), "timing": {"repeat": {"frequency": 1, "period": 2, "periodUnit": "d"}}}],
            None,
        ),
        ([{**dosage(4), "timing": {}}], None),
        ([{**dosage(4), "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "puff"}}]}], None),
        ([{**dosage(4), "doseAndRate": []}], None),
        ([dosage(40, sequence=1), dosage(20, sequence=2)], None),
        ([dosage(4), {"text": "and more as told"}], None),
        ([], None),
        ([{"timing": {"repeat": {"frequency": 0, "period": 0, "periodUnit": "d"}}}], None),
    ],
)
def test_the_daily_dose_is_stated_only_when_all_of_it_is_known(
    instructions: list[dict[str, Any]], mg: float | None
) -> None:
    (dose,) = only(order("r1", PREDNISONE, dosageInstruction=instructions))["doses"]

    assert dose.get("mg_per_day") == mg


def test_tablets_count_by_the_products_strength() -> None:
    tablets = {**dosage(0, per_day=2), "doseAndRate": [{"doseQuantity": {"value": 1.0}}]}

    (dose,) = only(order("r1", PREDNISONE_5MG, dosageInstruction=[tablets]))["doses"]

    assert dose["mg_per_day"] == 10


def test_tablets_of_unknown_strength_have_no_dose() -> None:
    tablets = {**dosage(0), "doseAndRate": [{"doseQuantity": {"value": 1.0}}]}

    (dose,) = only(order("r1", PREDNISONE, dosageInstruction=[tablets]))["doses"]

    assert "mg_per_day" not in dose


def test_a_taper_with_dates_keeps_its_steps() -> None:
    steps = [
        bounded(40, "2026-03-01", "2026-03-03", 1),
        bounded(20, "2026-03-04", "2026-03-06", 2),
    ]

    assert only(order("r1", PREDNISONE, dosageInstruction=steps))["doses"] == [
        {"from": "2026-03-01", "to": "2026-03-03", "mg_per_day": 40},
        {"from": "2026-03-04", "to": "2026-03-06", "mg_per_day": 20},
    ]


def test_a_duration_gives_the_last_day() -> None:
    week = dosage(8)
    week["timing"]["repeat"]["boundsDuration"] = {"value": 1, "unit": "wk", "code": "wk"}

    (dose,) = only(order("r1", "3264", dosageInstruction=[week]))["doses"]

    assert dose == {"from": "2026-03-01", "to": "2026-03-07", "mg_per_day": 8}


def test_single_days_of_an_order_may_lie_ahead() -> None:
    timed = {**dosage(20), "timing": {"event": ["2026-11-20", "2026-12-11"]}}

    found = only(order("r1", "3264", dosageInstruction=[timed]))

    assert found["doses"] == [{"day": "2026-11-20", "mg": 20}, {"day": "2026-12-11", "mg": 20}]


@pytest.mark.parametrize(
    ("code", "instructions", "name", "route"),
    [
        (HYDROCORTISONE_CREAM, [], "hydrocortisone", "topical"),
        (FLUTICASONE_INHALER, [{"text": "as needed"}], "fluticasone", "inhaled"),
        ("5492", [{"route": concept(SNOMED, "6064005")}], "hydrocortisone", "topical"),
        ("5492", [{"route": concept(SNOMED, "26643006")}], "hydrocortisone", "oral"),
        ("19831", [{"route": concept(SNOMED, "26643006")}], "budesonide", "oral_budesonide"),
        ("19831", [{"route": concept(SNOMED, "447694001")}], "budesonide", "inhaled"),
        ("8640", [], "prednisone", None),
    ],
)
def test_steroid_routes_come_from_the_order_or_the_product(
    code: str, instructions: list[dict[str, Any]], name: str, route: str | None
) -> None:
    found = only(order("r1", code, dosageInstruction=instructions))

    assert (found["name"], found.get("route")) == (name, route)


def test_an_infusion_over_days_counts_to_its_last_day() -> None:
    given = administration(
        "a1",
        "4492",
        effectivePeriod={"start": "2026-03-01T08:00:00Z", "end": "2026-03-03T06:00:00Z"},
    )
    del given["effectiveDateTime"]

    assert only(given)["doses"] == [
        {"from": "2026-03-01T08:00:00+00:00", "to": "2026-03-03T06:00:00+00:00"}
    ]


def test_a_running_infusion_has_no_end() -> None:
    assert only(administration("a1", "4492", status="in-progress"))["doses"] == [
        {"from": "2026-03-01"}
    ]


@pytest.mark.parametrize(("written", "day"), [("2026-03", "2026-03-31"), ("2025", "2025-12-31")])
def test_of_an_imprecise_dose_the_last_possible_day_counts(written: str, day: str) -> None:
    assert only(administration("a1", OXALIPLATIN, written))["doses"] == [{"day": day}]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (administration("x", OXALIPLATIN, status="not-done"), "not-done"),
        (order("x", OXALIPLATIN, status="cancelled"), "cancelled"),
        (order("x", OXALIPLATIN, status="draft"), "draft"),
        (order("x", OXALIPLATIN, intent="proposal"), "proposal"),
        (order("x", OXALIPLATIN, doNotPerform=True), "active"),
        (
            resource(
                "MedicationStatement",
                "x",
                status="not-taken",
                medicationCodeableConcept=concept(RXNORM, OXALIPLATIN),
            ),
            "not-taken",
        ),
    ],
)
def test_what_was_not_taken_states_nothing(given: dict[str, Any], why: str) -> None:
    reading = read(given)

    assert reading.report[1].reason == Reason.NOT_DONE
    assert why in reading.report[1].message


def test_a_dose_entered_in_error_is_stated_as_such_and_merges_nothing() -> None:
    found = {
        m["id"]: m["status"]
        for m in meds(
            order("r1", OXALIPLATIN, status="stopped"),
            administration("a1", OXALIPLATIN, status="entered-in-error"),
        )
    }

    assert found == {
        "MedicationRequest/r1": "final",
        "MedicationAdministration/a1": "entered-in-error",
    }


def test_a_patients_own_statement_is_read() -> None:
    said = resource(
        "MedicationStatement",
        "s1",
        status="active",
        medicationCodeableConcept=concept(RXNORM, PREDNISONE),
        effectivePeriod={"start": "2026-02-01"},
        dateAsserted="2026-03-01",
        dosage=[dosage(5)],
    )

    found = only(said)

    assert (found["doses"], found["recorded"]) == (
        [{"from": "2026-02-01", "mg_per_day": 5}],
        "2026-03-01",
    )


def test_a_dose_without_a_time_is_rejected() -> None:
    given = administration("a1", OXALIPLATIN)
    del given["effectiveDateTime"]

    line = line_of(read(given), "MedicationAdministration/a1")

    assert (line.reason, line.pointer) == (Reason.MISSING, "/entry/1/resource/effectiveDateTime")


@pytest.mark.parametrize(
    ("given", "element"),
    [
        (administration("x", OXALIPLATIN, "2026-11-24"), "effectiveDateTime"),
        (order("x", OXALIPLATIN, authoredOn="2026-11-25"), "authoredOn"),
    ],
)
def test_a_future_dose_or_order_is_rejected_alone(given: dict[str, Any], element: str) -> None:
    # Received on 2026-11-23 09:00 UTC, when 11-24 had begun nowhere on earth.
    reading = read(given, administration("good", OXALIPLATIN))

    assert reading.report[1].reason == Reason.FUTURE_DATE
    assert reading.report[1].pointer == f"/entry/1/resource/{element}"
    assert reading.report[2].outcome == Outcome.USED


def test_without_a_time_of_receipt_nothing_counts_as_future() -> None:
    reading = read(administration("x", OXALIPLATIN, "2126-11-24"), received_at=None)

    assert reading.report[1].outcome == Outcome.USED


def test_chemotherapy_after_death_is_a_located_contradiction_on_its_own_entries() -> None:
    dead = {"resourceType": "Patient", "id": "p1", "deceasedDateTime": "2026-03-10T04:00:00Z"}
    reading = read(
        dead,
        administration("before", OXALIPLATIN, "2026-03-09"),
        administration("same-day", OXALIPLATIN, "2026-03-10"),
        administration("after", OXALIPLATIN, "2026-03-11"),
        order("ordered", OXALIPLATIN, status="stopped", authoredOn="2026-03-12"),
    )

    assert [line.outcome.value for line in reading.report] == [
        "used",
        "used",
        "used",
        "rejected",
        "rejected",
    ]
    assert reading.report[3].reason == Reason.AFTER_DEATH
    assert reading.report[3].pointer == "/entry/3/resource/effectiveDateTime"
    assert "contradicts the patient's death on 2026-03-10" in reading.report[3].message
    assert reading.statements[0]["deceased"] == "2026-03-10T04:00:00+00:00"
