"""Ends that a sender left out or gave imprecisely: the last day that they can mean counts."""

from typing import Any

import pytest
from fhir_builders import (
    LOINC,
    RXNORM,
    administration,
    concept,
    condition,
    observation,
    only,
    order,
    procedure,
    read,
    resource,
)

RADIOTHERAPY = "1217123003"


def taken(**fields: Any) -> dict[str, Any]:
    base = {"status": "completed", "medicationCodeableConcept": concept(RXNORM, "8640")}
    return resource("MedicationStatement", "s1", **(base | fields))


def test_a_finished_course_without_its_end_was_over_when_it_was_written_down() -> None:
    course = procedure(
        "t1",
        RADIOTHERAPY,
        performedDateTime=None,
        performedPeriod={"start": "2026-03-01"},
        meta={"lastUpdated": "2026-04-20T10:00:00Z"},
    )

    found = only(course)

    assert (found["from"], found["to"]) == ("2026-03-01", "2026-04-20T10:00:00+00:00")


def test_without_any_word_of_when_it_ended_the_newest_day_of_the_bundle_counts() -> None:
    course = procedure(
        "t1", RADIOTHERAPY, performedDateTime=None, performedPeriod={"start": "2026-03-01"}
    )

    statements = read(course, observation(effectiveDateTime="2026-05-09")).statements

    (found,) = [s for s in statements if s["kind"] == "treatment"]
    assert (found["from"], found["to"]) == ("2026-03-01", "2026-05-09")


def test_a_finished_self_reported_course_without_its_end_lasts_to_the_day_of_the_report() -> None:
    statement = taken(effectivePeriod={"start": "2026-03-01"}, dateAsserted="2026-03-20")

    assert only(statement)["doses"] == [{"from": "2026-03-01", "to": "2026-03-20"}]


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        (
            {"start": "2026-03-01", "end": "2026-03"},
            {"from": "2026-03-01", "to": "2026-03-31"},
        ),
        (
            {"start": "2026-02-10", "end": "2026-03"},
            {"from": "2026-02-10", "to": "2026-03-31"},
        ),
    ],
)
def test_of_an_imprecise_end_the_last_day_counts(
    period: dict[str, str], expected: dict[str, str]
) -> None:
    given = administration("a1", "2555") | {"effectivePeriod": period}
    del given["effectiveDateTime"]
    done = procedure("t1", RADIOTHERAPY, performedDateTime=None, performedPeriod=period)

    assert only(given)["doses"] == [expected]
    treated = only(done)
    assert {key: treated[key] for key in ("from", "to")} == expected


def test_an_infection_that_ended_in_some_month_ended_on_its_last_day() -> None:
    infection = condition("c1", "233604007", abatementDateTime="2026-03")

    assert only(infection)["resolved"] == "2026-03-31"


def test_covid_of_some_month_was_first_positive_on_its_last_day() -> None:
    assert only(condition("c1", "840539006", onsetDateTime="2026-03"))["first_positive"] == (
        "2026-03-31"
    )


def test_a_number_of_doses_ends_an_order() -> None:
    repeat = {"count": 3, "frequency": 1, "period": 1, "periodUnit": "d"}
    dosage = {
        "timing": {"repeat": repeat},
        "doseAndRate": [{"doseQuantity": {"value": 8, "unit": "mg"}}],
    }

    assert only(order("r1", "3264", dosageInstruction=[dosage]))["doses"] == [
        {"from": "2026-03-01", "to": "2026-03-03", "mg_per_day": 8}
    ]


def test_doses_that_do_not_fill_their_last_period_still_need_all_of_it() -> None:
    repeat = {"count": 3, "countMax": 5, "frequency": 2, "period": 1, "periodUnit": "d"}

    assert only(order("r1", "3264", dosageInstruction=[{"timing": {"repeat": repeat}}]))[
        "doses"
    ] == [{"from": "2026-03-01", "to": "2026-03-03"}]


@pytest.mark.parametrize(
    "unclear",
    [
        {"timing": {"repeat": {"frequency": 1, "frequencyMax": 4, "period": 1, "periodUnit": "d"}}},
        {"timing": {"repeat": {"frequency": 1, "period": 1, "periodMax": 2, "periodUnit": "d"}}},
        {
            "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
            "asNeededCodeableConcept": concept(LOINC, "pain"),
        },
    ],
)
def test_a_dose_a_day_that_is_a_range_or_as_needed_is_unknown(unclear: dict[str, Any]) -> None:
    dosage = unclear | {"doseAndRate": [{"doseQuantity": {"value": 8, "unit": "mg"}}]}

    assert only(order("r1", "3264", dosageInstruction=[dosage]))["doses"] == [
        {"from": "2026-03-01"}
    ]
