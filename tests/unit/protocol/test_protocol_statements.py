"""Statements in and out: what is read, what is refused and where, the stored form."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from protocol_asking import PROTOCOL, facts

from shared.protocol import (
    KINDS,
    canonical,
    fact_from_json,
    fact_to_json,
    kind_of,
    parse_facts_document,
    parse_statement,
)
from shared.protocol.facts import Condition, Lab, Medication
from shared.protocol.words import Certainty, FactStatus

EXAMPLES: list[dict[str, Any]] = [
    {
        "kind": "patient",
        "birth_date": "1966-05-02",
        "sex": "female",
        "weight_kg": 70,
        "deceased": None,
    },
    {"kind": "medication", "class": ["a", "b"], "name": "x", "next_planned": "2027-01-25"},
    {"kind": "treatment", "class": "surgery_major", "day": "2027-01-25"},
    {"kind": "plan_change", "class": "cytotoxic_systemic", "moved_from": "2027-10-12"},
    {"kind": "lab", "metric": "anc", "value": 0.8, "unit": "10*9/L", "effective": "2027-03-09"},
    {"kind": "vital", "metric": "body_temp", "value": "38.1", "unit": "Cel"},
    {"kind": "infection", "type": "serious", "antimicrobials": [{"name": "x", "to": "2027-05-09"}]},
    {"kind": "condition", "concept": "nsclc", "status": "refuted"},
    {"kind": "irae", "grade": 1, "organ": "colon"},
    {"kind": "performance", "ecog": 2},
    {"kind": "evidence", "item": "consent", "by": "oncologist"},
    {"kind": "product", "dose_id": "D1", "state": "released", "endotoxin_EU_per_mL": 0.5},
    {"kind": "release_test", "test": "viability_post_thaw", "value": 72, "unit": "%"},
    {"kind": "collection", "day": "2027-01-18", "method": "apheresis"},
    {"kind": "infusion", "n": 1, "paused_at": "2027-11-20T09:20"},
    {"kind": "reaction", "infusion": 1, "scale": "irr_ctcae5", "grade": 2, "from": "2027-11-20"},
    {"kind": "red_flag", "symptom": "high_fever", "closed": None},
    {"kind": "review_decision", "rule": "R", "gate": "infusion", "decision": "wait", "by": ["x"]},
    {"kind": "override", "rule": "R", "gate": "infusion", "by": ["x"], "valid_until": "2027-03-11"},
    {"kind": "clearance", "gate": "infusion", "issued_at": "2027-08-02T08:00"},
    {"kind": "silence", "feed": "laboratory_feed", "heard_at": "2027-03-09T10:00:00+03:00"},
    {"kind": "correction", "of": "Observation/1", "status": "entered-in-error"},
]


def test_there_is_an_example_of_every_kind() -> None:
    assert {example["kind"] for example in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e["kind"])
def test_a_fact_is_the_same_after_its_json_and_has_one_text(example: dict[str, Any]) -> None:
    (fact,) = facts(example)

    stored = json.loads(json.dumps(fact_to_json(fact)))

    assert fact_from_json(stored) == fact
    assert canonical(fact_to_json(fact_from_json(stored))) == canonical(stored)
    assert kind_of(fact) == example["kind"]


def test_a_statement_without_id_is_named_by_its_content() -> None:
    one, same, other = facts(
        EXAMPLES[4], {**EXAMPLES[4], "recorded": "2027-03-10T09:00"}, {**EXAMPLES[4], "value": 0.9}
    )

    assert one.id == same.id
    assert one.id != other.id


def test_local_times_are_the_clinics_and_offsets_are_exact() -> None:
    local, exact = facts(
        {**EXAMPLES[4], "effective": "2027-03-09T10:00"},
        {**EXAMPLES[4], "effective": "2027-03-09T10:00-05:00"},
    )

    assert local.effective == datetime(2027, 3, 9, 7, tzinfo=UTC)
    assert exact.effective == datetime(2027, 3, 9, 15, tzinfo=UTC)


def test_dates_stay_days_and_yaml_values_are_taken_as_they_are() -> None:
    (fact,) = facts({**EXAMPLES[4], "effective": date(2027, 3, 9)})

    assert fact.effective == date(2027, 3, 9)
    assert fact_to_json(fact)["effective"] == "2027-03-09"


@pytest.mark.parametrize(
    ("given", "shown"),
    [(0.8, 0.8), ("0.80", 0.8), (3000, 3000), ("1e3", 1000), ("0.1234567890123456789", None)],
)
def test_numbers_are_exact(given: Any, shown: Any) -> None:
    (fact,) = facts({**EXAMPLES[4], "value": given})

    assert isinstance(fact, Lab)
    assert fact.value == Decimal(str(given))
    assert fact_to_json(fact)["value"] == (shown if shown is not None else str(given))


def test_words_are_read_alike() -> None:
    (fact,) = facts({**EXAMPLES[4], "value": "Not Detected"})

    assert isinstance(fact, Lab)
    assert fact.value == "not_detected"


def test_the_status_of_a_condition_may_be_its_certainty() -> None:
    suspected, wrong = facts(
        {"kind": "condition", "concept": "x", "status": "suspected"},
        {"kind": "condition", "concept": "x", "status": "entered-in-error"},
    )

    assert isinstance(suspected, Condition)
    assert suspected.certainty is Certainty.SUSPECTED
    assert wrong.status is FactStatus.ENTERED_IN_ERROR


def test_one_class_or_a_list_of_them() -> None:
    one, two = facts(
        {"kind": "medication", "class": "a"}, {"kind": "medication", "class": ["a", "b"]}
    )

    assert isinstance(one, Medication)
    assert isinstance(two, Medication)
    assert (one.classes, two.classes) == (("a",), ("a", "b"))


REFUSED: list[tuple[Any, str]] = [
    ("not an object", "/"),
    ({}, "/kind"),
    ({"kind": "horoscope"}, "/kind"),
    ({"kind": ["lab"]}, "/kind"),
    ({"kind": "lab", "metric": "anc"}, "/"),
    ({"kind": "lab", "metric": "anc", "value": 1, "colour": "red"}, "/colour"),
    ({"kind": "lab", "metric": "anc", "value": True}, "/value"),
    ({"kind": "lab", "metric": "anc", "value": []}, "/value"),
    ({"kind": "lab", "metric": "", "value": 1}, "/metric"),
    ({"kind": "lab", "metric": "x" * 501, "value": 1}, "/metric"),
    ({"kind": "lab", "metric": "a\nb", "value": 1}, "/metric"),
    ({"kind": "lab", "metric": "anc", "value": 1, "effective": "2027-02-30"}, "/effective"),
    ({"kind": "lab", "metric": "anc", "value": 1, "effective": "yesterday"}, "/effective"),
    ({"kind": "lab", "metric": "anc", "value": 1, "effective": 20270309}, "/effective"),
    ({"kind": "lab", "metric": "anc", "value": 1, "version": -1}, "/version"),
    ({"kind": "lab", "metric": "anc", "value": 1, "status": "maybe"}, "/status"),
    ({"kind": "patient", "weight_kg": "heavy"}, "/weight_kg"),
    ({"kind": "patient", "weight_kg": "1e99"}, "/weight_kg"),
    ({"kind": "patient", "weight_kg": float("nan")}, "/weight_kg"),
    ({"kind": "patient", "childbearing_potential": "no"}, "/childbearing_potential"),
    ({"kind": "medication"}, "/"),
    ({"kind": "medication", "name": "x", "doses": "daily"}, "/doses"),
    (
        {"kind": "medication", "name": "x", "doses": [{"from": "2027-03-02", "to": "2027-03-01"}]},
        "/doses/0",
    ),
    (
        {"kind": "medication", "name": "x", "doses": [{"day": "2027-03-02", "to": "2027-03-01"}]},
        "/doses/0",
    ),
    ({"kind": "medication", "name": "x", "doses": [{}, {"mg": "two"}]}, "/doses/1/mg"),
    ({"kind": "treatment", "from": "2027-03-02", "to": "2027-03-01"}, "/"),
    ({"kind": "plan_change", "class": "x"}, "/"),
    ({"kind": "performance"}, "/"),
    ({"kind": "infection", "type": "alien"}, "/type"),
    ({"kind": "override", "rule": "R", "gate": "infusion", "by": ["x"]}, "/"),
]


@pytest.mark.parametrize(("stated", "where"), REFUSED)
def test_a_refused_statement_names_the_place(stated: Any, where: str) -> None:
    result = parse_statement(stated, zone=PROTOCOL.zone)

    assert isinstance(result, tuple)
    assert [problem.where for problem in result] == [where]
    assert all(problem.message for problem in result)


def test_a_document_with_one_bad_statement_yields_no_fact_and_all_problems() -> None:
    document = parse_facts_document(
        {"facts": [EXAMPLES[4], {"kind": "lab"}, {"kind": "x"}]}, zone=PROTOCOL.zone
    )

    assert document.facts == ()
    assert [problem.where for problem in document.problems] == ["/facts/1", "/facts/2/kind"]


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ([], "/"),
        ({}, "/facts"),
        ({"facts": "x"}, "/facts"),
        ({"facts": [], "assume_other_evidence_current": "yes"}, "/assume_other_evidence_current"),
        ({"facts": [{}] * 20001}, "/facts"),
    ],
)
def test_a_malformed_document_is_refused(raw: Any, where: str) -> None:
    document = parse_facts_document(raw, zone=PROTOCOL.zone)

    assert [problem.where for problem in document.problems] == [where]


def test_stored_facts_that_are_not_ours_are_refused() -> None:
    with pytest.raises(ValueError, match="/kind"):
        fact_from_json({"kind": "x"})
