"""Review decisions and soft overrides: who, on what, how long, and what ends them."""

from typing import Any

import pytest
from protocol_asking import ask, blocking, chemo, lab, one

ECOG = {"kind": "performance", "id": "ecog-1", "ecog": 2, "effective": "2027-11-28"}
PROCEED = {
    "kind": "review_decision",
    "rule": "ELIG-003",
    "gate": "infusion",
    "decision": "proceed",
    "by": ["oncologist"],
    "facts": ["ecog-1"],
    "valid_until": "2027-12-02",
}
DAY = "2027-12-01"


def test_a_recorded_decision_opens_a_review_and_stays_visible() -> None:
    assert ask(ECOG, at=DAY).code == "NO_GO_REVIEW"

    decision = ask(ECOG, PROCEED, at=DAY)

    finding = one(decision, "ELIG-003")
    assert decision.code == "GO"
    assert finding.effect.value == "info"
    assert finding.answered_by is not None
    assert "oncologist" in finding.message


def test_a_new_fact_for_the_rule_ends_the_decision() -> None:
    newer = {"kind": "performance", "id": "ecog-2", "ecog": 2, "effective": "2027-11-30"}

    assert ask(ECOG, PROCEED, newer, at=DAY).code == "NO_GO_REVIEW"


def test_a_corrected_fact_for_the_rule_ends_the_decision() -> None:
    corrected = {**ECOG, "version": 2, "status": "corrected", "recorded": "2027-12-01T09:00"}

    assert ask(ECOG, PROCEED, corrected, at=DAY).code == "NO_GO_REVIEW"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"decision": "wait"}, "NO_GO_REVIEW"),
        ({"by": ["infusion_nurse"]}, "NO_GO_REVIEW"),
        ({"gate": "collection"}, "NO_GO_REVIEW"),
        ({"rule": "LAB-ANC"}, "NO_GO_REVIEW"),
        ({"facts": []}, "NO_GO_REVIEW"),
        ({"facts": ["ecog-1@1"]}, "GO"),
        ({"facts": ["ecog-1@2"]}, "NO_GO_REVIEW"),
        ({"valid_until": "2027-11-30"}, "NO_GO_REVIEW"),
        ({"valid_until": "2027-12-01"}, "GO"),
        ({"recorded": "2027-12-02T09:00"}, "NO_GO_REVIEW"),
        ({"recorded": "2027-11-29T09:00"}, "GO"),
    ],
)
def test_a_decision_counts_only_for_what_it_answered(change: dict[str, Any], code: str) -> None:
    assert ask(ECOG, {**PROCEED, **change}, at=DAY).code == code


def test_a_decision_for_the_infusion_counts_when_its_dose_is_issued() -> None:
    assert ask(ECOG, PROCEED, at=DAY, gate="dose_issue").code == "GO"


def test_no_decision_answers_a_hold() -> None:
    low = lab("anc", 0.5, "10*9/L", "2027-11-30", id="anc-1")
    answer = {**PROCEED, "rule": "LAB-ANC", "facts": ["anc-1"], "by": ["medical_director"]}

    assert ask(low, answer, at=DAY).code == "NO_GO_HOLD"


# Overrides


GIVEN = {
    **chemo("2027-03-08"),
    "id": "chemo-1",
    "more_planned": False,
    "recorded": "2027-03-08T12:00",
}
OVERRIDE = {
    "kind": "override",
    "rule": "WO-CHEMO",
    "gate": "infusion",
    "by": ["medical_director", "oncologist"],
    "reason": "timing",
    "recorded": "2027-03-10T09:00",
    "valid_until": "2027-03-11T09:00",
}
AT = "2027-03-10T10:00"


def test_a_soft_rule_is_overridden_with_two_signatures() -> None:
    assert blocking(GIVEN, at=AT) == {"WO-CHEMO"}

    decision = ask(GIVEN, OVERRIDE, at=AT)

    assert decision.code == "GO"
    assert one(decision, "WO-CHEMO").effect.value == "info"
    assert "Overridden by" in one(decision, "WO-CHEMO").message


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"by": ["medical_director"]}, "second signature"),
        ({"by": ["medical_director", "medical_director"]}, "second signature"),
        ({"by": ["coordinator", "infusion_nurse"]}, "neither signer"),
        ({"facts": ["another"]}, "newer"),
    ],
)
def test_an_override_without_its_conditions_is_refused_and_says_why(
    change: dict[str, Any], why: str
) -> None:
    decision = ask(GIVEN, {**OVERRIDE, **change}, at=AT)

    assert decision.code == "NO_GO_HOLD"
    assert why in one(decision, "WO-CHEMO").message


@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("2027-03-10T08:59", "NO_GO_HOLD"),
        ("2027-03-10T09:00", "GO"),
        ("2027-03-11T08:00", "GO"),  # the wash-out itself ends with 03-11, see below
    ],
)
def test_an_override_counts_from_its_signature_on(at: str, code: str) -> None:
    assert ask(GIVEN, OVERRIDE, at=at).code == code


def test_an_override_never_lasts_longer_than_24_hours() -> None:
    long = {**OVERRIDE, "rule": "WO-PROTEA", "valid_until": "2027-03-20T09:00"}
    taken = {
        "kind": "medication",
        "name": "bortezomib",
        "doses": [{"day": "2027-03-09"}],
        "recorded": "2027-03-09T12:00",
    }

    assert ask(taken, long, at="2027-03-11T09:00").code == "GO"
    assert ask(taken, long, at="2027-03-11T09:01").code == "NO_GO_HOLD"


def test_an_override_without_a_time_of_signature_counts_back_from_its_end() -> None:
    undated = {key: value for key, value in OVERRIDE.items() if key != "recorded"}

    assert ask(GIVEN, undated, at="2027-03-10T09:00").code == "GO"
    assert ask(GIVEN, undated, at="2027-03-10T08:59").code == "NO_GO_HOLD"


def test_a_newer_fact_ends_an_override() -> None:
    later = {**chemo("2027-03-09"), "more_planned": False, "recorded": "2027-03-10T09:30"}

    decision = ask(GIVEN, later, OVERRIDE, at=AT)

    assert decision.code == "NO_GO_HOLD"
    assert "newer" in one(decision, "WO-CHEMO").message


def test_an_override_of_a_hard_rule_is_refused() -> None:
    fever = {
        "kind": "vital",
        "metric": "body_temp",
        "value": 39,
        "unit": "Cel",
        "effective": "2027-03-10T09:30",
    }
    override = {**OVERRIDE, "rule": "INF-001", "recorded": "2027-03-10T09:45"}

    decision = ask(fever, override, at=AT)

    assert decision.code == "NO_GO_HOLD"
    assert "the rule is hard" in one(decision, "INF-001").message
    assert one(decision, "INF-001").effect.value == "hold"


def test_what_is_not_known_cannot_be_overridden() -> None:
    open_regimen = {**chemo("2027-03-01"), "recorded": "2027-03-01T12:00"}

    decision = ask(open_regimen, OVERRIDE, at=AT)

    assert decision.code == "NO_GO_HOLD"
    assert "not known" in one(decision, "WO-CHEMO").message
