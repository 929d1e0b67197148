"""Infection and immune toxicity: fever hours, clear days, positive tests, derived conditions."""

from typing import Any

import pytest
from protocol_asking import ask, blocking, infos, iso, lab, one

from shared.protocol import FindingKind


def temperature(value: float, at: str, unit: str = "Cel") -> dict[str, Any]:
    return {"kind": "vital", "metric": "body_temp", "value": value, "unit": unit, "effective": at}


def infection(kind: str = "uncomplicated", **more: Any) -> dict[str, Any]:
    return {"kind": "infection", "type": kind, **more}


def antibiotic(last: str | None, **more: Any) -> dict[str, Any]:
    drug = {"name": "levofloxacin", "from": "2027-05-04", "intent": "treatment", **more}
    return drug if last is None else {**drug, "to": last}


NORMAL = temperature(36.8, "2027-05-22T17:30")


@pytest.mark.parametrize(
    ("at", "blocks"),
    [
        ("2027-05-20T17:59", False),
        ("2027-05-20T18:00", True),
        ("2027-05-22T17:59", True),
        ("2027-05-22T18:00", False),
    ],
)
def test_fever_clears_at_exactly_48_hours(at: str, blocks: bool) -> None:
    found = blocking(temperature(38.0, "2027-05-20T18:00"), NORMAL, at=at)

    assert ("INF-001" in found) is blocks


def test_fever_limit_is_38_and_fahrenheit_is_converted() -> None:
    assert "INF-001" not in blocking(temperature(37.9, "2027-05-22T09:30"), at="2027-05-22T10:00")
    assert "INF-001" in blocking(
        temperature(100.4, "2027-05-22T09:30", "[degF]"), at="2027-05-22T10:00"
    )
    assert "INF-001" not in blocking(
        temperature(100.3, "2027-05-22T09:30", "[degF]"), at="2027-05-22T10:00"
    )


def test_fever_of_a_day_without_time_counts_to_the_end_of_that_day() -> None:
    stated = temperature(39.0, "2027-05-20")

    assert "INF-001" in blocking(stated, at="2027-05-22T23:59")
    assert "INF-001" not in blocking(stated, at="2027-05-23T00:00")


def test_fever_stated_with_an_infection_counts() -> None:
    stated = infection(onset="2027-05-04", resolved="2027-05-06", fever_until="2027-05-07T08:00")

    finding = one(ask(stated, at="2027-05-09T07:00"), "INF-001")
    assert finding.clears_at.isoformat() == "2027-05-09T05:00:00+00:00"
    assert blocking(stated, at="2027-05-09T08:00") == set()


def test_fever_with_too_few_neutrophils_is_an_emergency() -> None:
    fever = temperature(38.4, "2027-05-22T09:30")
    low = lab("anc", 0.49, "10*9/L", "2027-05-22")
    enough = lab("anc", 0.5, "10*9/L", "2027-05-22")

    assert blocking(fever, low, at="2027-05-22T10:00") == {"INF-001", "INF-015", "LAB-ANC"}
    assert blocking(fever, enough, at="2027-05-22T10:00") == {"INF-001", "LAB-ANC"}
    stated = {"kind": "condition", "concept": "febrile_neutropenia", "onset": "2027-05-20"}
    assert blocking(stated, at="2027-05-22") == {"INF-015"}


# Active infection and the days after it


def test_an_infection_is_active_until_it_is_resolved() -> None:
    open_ended = infection(onset="2027-05-04")

    decision = ask(open_ended, at="2027-05-12")
    assert decision.blocking_rules == ("INF-002",)
    assert decision.undated == ("INF-002",)
    assert blocking(open_ended, at="2027-05-03") == set()


@pytest.mark.parametrize(
    ("resolved", "last", "clear"),
    [
        ("2027-05-10", "2027-05-09", "2027-05-13"),  # the later of the two, plus 3
        ("2027-05-08", "2027-05-10", "2027-05-13"),
    ],
)
def test_three_days_after_an_uncomplicated_infection(resolved: str, last: str, clear: str) -> None:
    stated = infection(onset="2027-05-04", resolved=resolved, antimicrobials=[antibiotic(last)])

    decision = ask(stated, at="2027-05-12")
    assert decision.blocking_rules == ("INF-003",)
    assert iso(decision.earliest) == clear
    assert blocking(stated, at=clear) == set()


def test_a_running_therapeutic_drug_is_an_active_infection() -> None:
    stated = infection(
        onset="2027-05-04", resolved="2027-05-08", antimicrobials=[antibiotic("2027-05-10")]
    )

    assert blocking(stated, at="2027-05-10") == {"INF-002"}
    assert blocking(stated, at="2027-05-11") == {"INF-003"}


def test_an_antibiotic_without_a_stated_infection_counts() -> None:
    taken = {
        "kind": "medication",
        "name": "levofloxacin",
        "intent": "treatment",
        "doses": [{"from": "2027-05-04", "to": "2027-05-10"}],
    }

    assert blocking(taken, at="2027-05-10") == {"INF-002"}
    assert blocking(taken, at="2027-05-12") == {"INF-003"}
    assert blocking(taken, at="2027-05-13") == set()


def test_prophylaxis_is_shown_and_does_not_count() -> None:
    taken = {
        "kind": "medication",
        "name": "aciclovir",
        "intent": "prophylaxis",
        "doses": [{"from": "2027-01-01"}],
    }
    unstated = {**taken, "intent": None}

    decision = ask(taken, at="2027-05-12")
    assert decision.code == "GO"
    assert "INF-007" in infos(decision)
    assert blocking(unstated, at="2027-05-12") == {"INF-002"}


def test_a_serious_infection_waits_fourteen_days_and_for_a_signature() -> None:
    stated = infection("serious", onset="2027-05-01", resolved="2027-05-10")
    signed = {"kind": "evidence", "item": "infection_clearance_signed", "effective": "2027-05-24"}

    assert blocking(stated, at="2027-05-23") == {"INF-004"}
    assert iso(ask(stated, at="2027-05-23").earliest) == "2027-05-24"
    assert blocking(stated, at="2027-05-24") == set()  # the signature is assumed
    unsigned = ask(stated, at="2027-05-24", assume=False)
    assert one(unsigned, "INF-004").kind is FindingKind.MISSING
    assert "INF-004" not in blocking(stated, signed, at="2027-05-24", assume=False)
    early = {**signed, "effective": "2027-05-05"}  # before the infection was over
    assert "INF-004" in blocking(stated, early, at="2027-05-24", assume=False)


def test_severity_that_is_not_stated_counts_as_serious() -> None:
    stated = infection("unspecified", onset="2027-05-01", resolved="2027-05-10")

    assert blocking(stated, at="2027-05-20") == {"INF-004"}


def test_suspicion_counts_until_it_is_refuted() -> None:
    suspected = {
        "kind": "condition",
        "concept": "infection_active",
        "status": "suspected",
        "onset": "2027-05-10",
    }
    refuted = {
        "kind": "condition",
        "concept": "infection_active",
        "status": "refuted",
        "effective": "2027-05-11T09:00",
    }

    assert blocking(suspected, at="2027-05-12") == {"INF-002"}
    assert blocking(suspected, refuted, at="2027-05-11T08:59") == {"INF-002"}
    assert blocking(suspected, refuted, at="2027-05-11T09:00") == set()


def test_a_suspicion_after_the_refutation_counts_again() -> None:
    refuted = {
        "kind": "condition",
        "concept": "infection_active",
        "status": "refuted",
        "effective": "2027-05-11",
    }
    again = {
        "kind": "condition",
        "concept": "infection_active",
        "status": "suspected",
        "onset": "2027-05-12",
    }

    assert blocking(refuted, again, at="2027-05-13") == {"INF-002"}


# SARS-CoV-2


COVID = infection("sars_cov_2", first_positive="2027-06-01", symptom_free_since="2027-06-05")
POSITIVE = lab("sars_cov_2_pcr", "positive", None, "2027-06-01")
NEGATIVE = lab("sars_cov_2_pcr", "negative", None, "2027-06-14")


@pytest.mark.parametrize(("at", "rules"), [("2027-06-14", {"INF-005"}), ("2027-06-15", set())])
def test_fourteen_days_after_the_first_positive(at: str, rules: set[str]) -> None:
    assert blocking(COVID, POSITIVE, NEGATIVE, at=at) == rules


def test_without_a_negative_test_the_hold_is_undated_from_day_14_on() -> None:
    before = ask(COVID, POSITIVE, at="2027-06-14")
    after = ask(COVID, POSITIVE, at="2027-06-15")

    assert iso(before.earliest) == "2027-06-15"
    assert "INF-005" in after.undated
    assert after.plan == "go"
    assert "sars_cov_2_negative_after" in {due.item for due in after.due}


def test_a_positive_result_after_the_negative_one_begins_again() -> None:
    again = lab("sars_cov_2_pcr", "positive", None, "2027-06-16")

    decision = ask(COVID, POSITIVE, NEGATIVE, again, at="2027-06-17")

    assert "INF-005" in decision.blocking_rules
    assert iso(decision.earliest) == "2027-06-30"


def test_symptoms_must_be_gone_for_72_hours() -> None:
    late = infection(
        "sars_cov_2", first_positive="2027-06-01", symptom_free_since="2027-06-14T10:00"
    )

    decision = ask(late, POSITIVE, NEGATIVE, at="2027-06-15T12:00")
    assert decision.blocking_rules == ("INF-005",)
    assert decision.earliest.isoformat() == "2027-06-17T07:00:00+00:00"  # 10:00 + 72 h, in UTC
    assert blocking(late, POSITIVE, NEGATIVE, at="2027-06-17T10:00") == set()


# Conditions derived from results


@pytest.mark.parametrize(
    ("metric", "word", "rule", "gate"),
    [
        ("hcv_rna", "detected", "INF-009", "collection"),
        ("hiv_ag_ab", "reactive", "INF-010", "collection"),
        ("htlv_ab", "reactive", "INF-011", "manufacturing_start"),
        ("syphilis_treponemal", "reactive", "INF-012", "collection"),
    ],
)
def test_a_positive_marker_holds_collection_and_culture(
    metric: str, word: str, rule: str, gate: str
) -> None:
    assert rule in blocking(lab(metric, word, None, "2027-06-01"), at="2027-06-02", gate=gate)
    negative = lab(metric, "nonreactive", None, "2027-06-02")
    assert rule not in blocking(
        lab(metric, word, None, "2027-06-01"), negative, at="2027-06-02", gate=gate
    )
    assert rule not in blocking(lab(metric, word, None, "2027-06-01"), at="2027-06-02")


def test_hepatitis_b_is_reviewed_with_its_requirements_and_held_without() -> None:
    carrier = lab("hbsag", "positive", None, "2027-06-01")

    assert ask(carrier, at="2027-06-02").code == "NO_GO_REVIEW"
    without = ask(carrier, at="2027-06-02", assume=False)
    effects = {f.effect.value for f in without.findings if f.rule == "INF-008"}
    assert effects == {"review", "hold"}


def test_a_person_may_refute_what_a_result_suggests() -> None:
    reactive = lab("syphilis_treponemal", "reactive", None, "2027-06-01")
    treated = {
        "kind": "condition",
        "concept": "syphilis_untreated",
        "status": "refuted",
        "effective": "2027-06-03",
    }

    assert "INF-012" in blocking(reactive, at="2027-06-04", gate="collection")
    assert "INF-012" not in blocking(reactive, treated, at="2027-06-04", gate="collection")


@pytest.mark.parametrize(
    ("at", "blocks"), [("2027-06-03T09:00", True), ("2027-06-03T09:01", False)]
)
def test_a_blood_culture_within_48_hours_of_collection_holds_the_culture(
    at: str, blocks: bool
) -> None:
    collected = {"kind": "collection", "day": "2027-06-01T09:00", "method": "apheresis"}
    growth = lab("blood_culture", "growth", None, at)

    found = blocking(collected, growth, at="2027-06-05", gate="release")

    assert ("INF-006" in found) is blocks


# Immune toxicity


def irae(grade: int, on: str, organ: str = "colon") -> dict[str, Any]:
    return {"kind": "irae", "grade": grade, "organ": organ, "effective": on}


def test_an_immune_event_of_grade_two_holds_until_grade_one() -> None:
    assert blocking(irae(1, "2027-06-01"), at="2027-06-02") == set()
    assert blocking(irae(2, "2027-06-01"), at="2027-06-02") == {"IRAE-001"}
    assert blocking(irae(2, "2027-06-01"), irae(1, "2027-06-10"), at="2027-06-11") == set()
    other = irae(1, "2027-06-10", "skin")
    assert blocking(irae(2, "2027-06-01"), other, at="2027-06-11") == {"IRAE-001"}


@pytest.mark.parametrize(
    ("grade", "organ", "is_history"),
    [(4, "colon", True), (3, "colon", False), (3, "lung", True), (2, "lung", False)],
)
def test_a_life_threatening_history_is_reviewed(grade: int, organ: str, is_history: bool) -> None:
    over = irae(0, "2027-06-20", organ)

    decision = ask(irae(grade, "2027-06-01", organ), over, at="2027-07-01")

    assert ("IRAE-002" in decision.blocking_rules) is is_history
    assert "IRAE-001" not in decision.blocking_rules
