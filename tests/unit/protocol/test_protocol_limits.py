"""Measured values and performance status: bands, units, plausibility, and which value counts."""

from datetime import date
from typing import Any

import pytest
from protocol_asking import ask, blocking, infos, lab, one

from shared.protocol import FindingKind

WOMAN = {"kind": "patient", "birth_date": "1966-05-02", "sex": "female", "weight_kg": 70}
MAN = {"kind": "patient", "birth_date": "1966-05-02", "sex": "male", "weight_kg": 70}
DAY = "2027-03-10"

# rule, metric, unit, gate, value -> effect; by hand from the table, each limit from both sides
BANDS = [
    ("LAB-ANC", "anc", "10*9/L", "infusion", 0.99, "hold"),
    ("LAB-ANC", "anc", "10*9/L", "infusion", 1.0, "review"),
    ("LAB-ANC", "anc", "10*9/L", "infusion", 1.49, "review"),
    ("LAB-ANC", "anc", "10*9/L", "infusion", 1.5, None),
    ("LAB-ANC", "anc", "10*9/L", "collection", 0.99, "hold"),
    ("LAB-ANC", "anc", "10*9/L", "collection", 1.5, None),
    ("LAB-PLT", "platelets", "10*9/L", "collection", 49, "hold"),
    ("LAB-PLT", "platelets", "10*9/L", "collection", 50, "review"),
    ("LAB-PLT", "platelets", "10*9/L", "collection", 74.9, "review"),
    ("LAB-PLT", "platelets", "10*9/L", "collection", 75, None),
    ("LAB-PLT", "platelets", "10*9/L", "infusion", 29, "hold"),
    ("LAB-PLT", "platelets", "10*9/L", "infusion", 30, "review"),
    ("LAB-PLT", "platelets", "10*9/L", "infusion", 50, None),
    ("LAB-HB", "haemoglobin", "g/L", "collection", 79, "hold"),
    ("LAB-HB", "haemoglobin", "g/L", "collection", 80, "review"),
    ("LAB-HB", "haemoglobin", "g/L", "collection", 90, None),
    ("LAB-HB", "haemoglobin", "g/L", "infusion", 69, "hold"),
    ("LAB-HB", "haemoglobin", "g/L", "infusion", 70, "review"),
    ("LAB-HB", "haemoglobin", "g/L", "infusion", 80, None),
    ("LAB-ALC", "alc", "10*9/L", "collection", 0.29, "hold"),
    ("LAB-ALC", "alc", "10*9/L", "collection", 0.3, "review"),
    ("LAB-ALC", "alc", "10*9/L", "collection", 0.5, None),
    ("LAB-ALC", "alc", "10*9/L", "infusion", 0.01, None),
    ("LAB-CD3", "cd3_abs", "10*9/L", "collection", 0.09, "hold"),
    ("LAB-CD3", "cd3_abs", "10*9/L", "collection", 0.1, "review"),
    ("LAB-CD3", "cd3_abs", "10*9/L", "collection", 0.2, None),
    ("LAB-BILI", "bilirubin_total", "umol/L", "infusion", 26, None),
    ("LAB-BILI", "bilirubin_total", "umol/L", "infusion", 26.1, "review"),
    ("LAB-BILI", "bilirubin_total", "umol/L", "infusion", 34, "review"),
    ("LAB-BILI", "bilirubin_total", "umol/L", "infusion", 34.1, "hold"),
    ("LAB-LVEF", "lvef", "%", "infusion", 39, "hold"),
    ("LAB-LVEF", "lvef", "%", "infusion", 40, "review"),
    ("LAB-LVEF", "lvef", "%", "infusion", 50, None),
    ("LAB-INR", "inr", "{INR}", "collection", 1.3, None),
    ("LAB-INR", "inr", "{INR}", "collection", 1.31, "review"),
    ("LAB-INR", "inr", "{INR}", "collection", 1.51, "hold"),
    ("LAB-INR", "inr", "{INR}", "infusion", 3, None),
    ("LAB-ALB", "albumin", "g/L", "infusion", 24.9, "hold"),
    ("LAB-ALB", "albumin", "g/L", "infusion", 25, "review"),
    ("LAB-ALB", "albumin", "g/L", "infusion", 28, None),
    ("INF-013", "cmv_dna", "[IU]/mL", "infusion", 999, None),
    ("INF-013", "cmv_dna", "[IU]/mL", "infusion", 1000, "hold"),
    ("INF-014", "crp", "mg/L", "infusion", 19.9, None),
    ("INF-014", "crp", "mg/L", "infusion", 20, "review"),
    ("INF-014", "crp", "mg/L", "infusion", 49.9, "review"),
    ("INF-014", "crp", "mg/L", "infusion", 50, "hold"),
]


@pytest.mark.parametrize(("rule", "metric", "unit", "gate", "value", "effect"), BANDS)
def test_limit_is_judged_from_both_sides(
    rule: str, metric: str, unit: str, gate: str, value: float, effect: str | None
) -> None:
    decision = ask(lab(metric, value, unit, DAY), at=DAY, gate=gate)

    if effect is None:
        assert decision.blocking_rules == ()
    else:
        assert decision.blocking_rules == (rule,)
        assert one(decision, rule).effect.value == effect


@pytest.mark.parametrize(
    ("metric", "unit", "value", "rule", "effect"),
    [
        ("spo2_room_air", "%", 91, "VIT-SPO2", "hold"),
        ("spo2_room_air", "%", 92, "VIT-SPO2", "review"),
        ("spo2_room_air", "%", 94, "VIT-SPO2", None),
        ("sbp", "mm[Hg]", 89, "VIT-SBP", "hold"),
        ("sbp", "mm[Hg]", 90, "VIT-SBP", None),
        ("sbp", "mm[Hg]", 180, "VIT-SBP", None),
        ("sbp", "mm[Hg]", 181, "VIT-SBP", "hold"),
        ("heart_rate", "/min", 49, "VIT-HR", "hold"),
        ("heart_rate", "/min", 50, "VIT-HR", None),
        ("heart_rate", "/min", 120, "VIT-HR", None),
        ("heart_rate", "/min", 121, "VIT-HR", "hold"),
        ("resp_rate", "/min", 24, "VIT-RR", None),
        ("resp_rate", "/min", 25, "VIT-RR", "hold"),
    ],
)
def test_vital_signs_are_judged_in_their_hour(
    metric: str, unit: str, value: float, rule: str, effect: str | None
) -> None:
    stated = {
        "kind": "vital",
        "metric": metric,
        "value": value,
        "unit": unit,
        "effective": "2027-03-10T09:30",
    }

    decision = ask(stated, at="2027-03-10T10:00")

    assert decision.blocking_rules == (() if effect is None else (rule,))


# Units


@pytest.mark.parametrize(
    ("metric", "value", "unit", "blocks"),
    [
        ("anc", 1.2, "10*3/uL", True),  # review
        ("anc", 1600, "/uL", False),
        ("anc", 900, "/uL", True),
        ("platelets", 200000, "/uL", False),
        ("haemoglobin", 12.5, "g/dL", False),
        ("haemoglobin", 6.9, "g/dL", True),
        ("haemoglobin", 5.0, "mmol/L", False),  # 80.57 g/L
        ("haemoglobin", 4.9, "mmol/L", True),  # 78.96 g/L: review below 80
        ("bilirubin_total", 1.5, "mg/dL", False),  # 25.65
        ("bilirubin_total", 1.6, "mg/dL", True),  # 27.36
        ("albumin", 2.8, "g/dL", False),
        ("albumin", 2.7, "g/dL", True),
        ("crp", 1.9, "mg/dL", False),
        ("crp", 2.0, "mg/dL", True),
    ],
)
def test_units_are_converted_exactly(metric: str, value: float, unit: str, blocks: bool) -> None:
    assert bool(blocking(lab(metric, value, unit, DAY), at=DAY)) is blocks


@pytest.mark.parametrize(
    ("metric", "value", "unit"),
    [
        ("anc", 3.0, "furlong"),
        ("anc", 3.0, None),
        ("anc", 3000, "10*3/uL"),  # a slip by a factor of a thousand: implausible
        ("platelets", -1, "10*9/L"),
        ("haemoglobin", 12.5, "g/L"),  # was meant in g/dL
        ("albumin", 4.1, "g/L"),
    ],
)
def test_an_unknown_unit_or_an_implausible_value_is_unknown_not_passed(
    metric: str, value: float, unit: str | None
) -> None:
    decision = ask(lab(metric, value, unit, DAY), at=DAY)

    assert "DATA-006" in decision.blocking_rules
    assert all(f.kind is FindingKind.MISSING for f in decision.blocking)
    assert decision.plan == "go"


def test_alt_needs_the_upper_limit_of_normal() -> None:
    assert blocking(lab("alt", 119, "U/L", DAY, range_high=40), at=DAY) == set()
    assert blocking(lab("alt", 121, "U/L", DAY, range_high=40), at=DAY) == {"LAB-ALT"}
    assert ask(lab("alt", 201, "U/L", DAY, range_high=40), at=DAY).code == "NO_GO_HOLD"
    assert "EV-CHEM" in blocking(lab("alt", 30, "U/L", DAY), at=DAY)


# Creatinine clearance: (140 - 60) x 70 x 0.85 / (72 x 1.0) = 66.1 for the woman


@pytest.mark.parametrize(
    ("person", "creatinine", "rules"),
    [
        (WOMAN, 1.0, set()),  # 66.1
        (WOMAN, 1.46, set()),  # 45.28
        (WOMAN, 1.47, {"LAB-CRCL"}),  # 44.97 review
        (WOMAN, 2.3, {"LAB-CRCL"}),  # 28.7 holds
        (MAN, 1.7, set()),  # 45.75
        (MAN, 1.75, {"LAB-CRCL"}),  # 44.4 review
    ],
)
def test_clearance_is_computed_by_cockcroft_gault(
    person: dict[str, Any], creatinine: float, rules: set[str]
) -> None:
    # 60 completed years on 2027-03-10.
    dated = {**person, "effective": DAY}
    stated = lab("creatinine", creatinine, "mg/dL", DAY)

    assert blocking(dated, stated, at=DAY) - {"EV-HCG", "DATA-008"} == rules


def test_creatinine_in_umol_is_converted() -> None:
    # 132.6 umol/L / 88.4 = 1.5 mg/dL -> 80 x 70 / 108 = 51.9 for the man; 155 -> 44.3
    dated = {**MAN, "effective": DAY}

    assert blocking(dated, lab("creatinine", 132.6, "umol/L", DAY), at=DAY) == set()
    assert blocking(dated, lab("creatinine", 155, "umol/L", DAY), at=DAY) == {"LAB-CRCL"}


def test_a_clearance_that_cannot_be_computed_is_unknown() -> None:
    assert "EV-CHEM" in blocking(lab("creatinine", 1.0, "mg/dL", DAY), at=DAY)


def test_a_reported_clearance_may_hold_but_not_clear() -> None:
    low = lab("creatinine_clearance", 25, "mL/min", DAY)
    high = lab("creatinine_clearance", 95, "mL/min", DAY)

    assert "LAB-CRCL" in blocking(low, at=DAY)
    assert "EV-CHEM" in blocking(high, at=DAY)
    assert "LAB-CRCL" not in blocking(high, at=DAY)


# Which value counts


def test_the_newest_specimen_counts_not_the_last_to_arrive() -> None:
    old = lab("anc", 0.4, "10*9/L", "2027-03-08", recorded="2027-03-10T12:00")
    new = lab("anc", 2.0, "10*9/L", "2027-03-09", recorded="2027-03-09T12:00")

    assert blocking(old, new, at=DAY) == set()


def test_of_one_time_the_more_restrictive_counts() -> None:
    low = lab("platelets", 42, "10*9/L", "2027-03-09", source="A")
    high = lab("platelets", 142, "10*9/L", "2027-03-09", source="B")

    decision = ask(low, high, at=DAY)

    assert decision.blocking_rules == ("LAB-PLT",)
    assert "DATA-003" in infos(decision)


def test_a_preliminary_value_may_hold_but_not_clear() -> None:
    good = lab("anc", 2.0, "10*9/L", DAY, status="preliminary")
    bad = lab("anc", 0.4, "10*9/L", DAY, status="preliminary")
    older = lab("anc", 2.0, "10*9/L", "2027-03-09")

    assert {"EV-CBC", "DATA-007"} <= blocking(good, at=DAY)
    assert blocking(good, older, at=DAY) == set()
    assert blocking(bad, older, at=DAY) == {"LAB-ANC"}


def test_a_result_in_error_leaves_an_older_valid_one_in_date() -> None:
    older = lab("anc", 2.0, "10*9/L", "2027-03-09")
    wrong = lab("anc", 0.1, "10*9/L", DAY, status="entered-in-error")

    decision = ask(older, wrong, at=DAY)
    assert decision.code == "GO"
    assert "DATA-001" in infos(decision)
    assert {"EV-CBC", "DATA-001"} <= blocking(wrong, at=DAY)


@pytest.mark.parametrize(("at", "rules"), [("2027-03-13", set()), ("2027-03-14", {"EV-CBC"})])
def test_a_count_is_good_for_three_days(at: str, rules: set[str]) -> None:
    stated = lab("anc", 2.0, "10*9/L", DAY)

    assert blocking(stated, at=at) - {"DATA-009"} == rules


def test_a_partial_count_satisfies_only_its_members() -> None:
    decision = ask(lab("platelets", 200, "10*9/L", DAY), at=DAY, assume=False)

    message = one(decision, "EV-CBC").message
    assert "Neutrophils" in message
    assert "Haemoglobin" in message
    assert "Platelets" not in message


def test_the_better_of_lymphocytes_and_cd3_decides() -> None:
    low_alc = lab("alc", 0.2, "10*9/L", DAY)
    good_cd3 = lab("cd3_abs", 0.5, "10*9/L", DAY)
    low_cd3 = lab("cd3_abs", 0.05, "10*9/L", DAY)

    assert blocking(low_alc, good_cd3, at=DAY, gate="collection") == set()
    assert blocking(low_alc, at=DAY, gate="collection") == {"LAB-ALC"}
    assert blocking(low_alc, low_cd3, at=DAY, gate="collection") == {"LAB-ALC", "LAB-CD3"}
    assert blocking(good_cd3, at=DAY, gate="collection") == set()


@pytest.mark.parametrize(
    ("value", "effect"), [(26, None), (26.1, "review"), (43, "review"), (43.1, "hold")]
)
def test_gilbert_syndrome_moves_the_bilirubin_limit(value: float, effect: str | None) -> None:
    gilbert = {"kind": "condition", "concept": "gilbert_syndrome", "status": "confirmed"}

    decision = ask(gilbert, lab("bilirubin_total", value, "umol/L", DAY), at=DAY)

    found = [f.effect.value for f in decision.blocking]
    assert found == ([] if effect is None else [effect])


def test_a_blood_draw_has_lower_platelet_limits_than_apheresis() -> None:
    count = lab("platelets", 40, "10*9/L", DAY)
    draw = {"kind": "collection", "planned": DAY, "method": "blood_draw"}
    apheresis = {"kind": "collection", "planned": DAY, "method": "apheresis"}

    assert ask(count, draw, at=DAY, gate="collection").code == "NO_GO_REVIEW"
    assert ask(count, apheresis, at=DAY, gate="collection").code == "NO_GO_HOLD"
    assert ask(count, at=DAY, gate="collection").code == "NO_GO_HOLD"


def test_counts_shortly_after_a_transfusion_are_unknown() -> None:
    given = {"kind": "treatment", "class": "platelet_or_rbc_transfusion", "day": "2027-03-05"}

    early = ask(given, lab("platelets", 200, "10*9/L", "2027-03-07"), at="2027-03-09")
    late = blocking(given, lab("platelets", 200, "10*9/L", "2027-03-08"), at="2027-03-09")
    other = blocking(given, lab("anc", 3, "10*9/L", "2027-03-07"), at="2027-03-09")

    assert early.blocking_rules == ("LAB-PLT",)
    assert one(early, "LAB-PLT").is_unknown
    assert early.plan == "go"
    assert [due.item for due in early.due] == ["cbc_differential"]
    assert early.due[0].not_before == date(2027, 3, 8)
    assert late == set()
    assert other == set()


@pytest.mark.parametrize(
    ("comparator", "metric", "value", "unit", "blocks"),
    [
        ("<", "crp", 5, "mg/L", False),
        ("<", "crp", 60, "mg/L", True),
        ("<", "cmv_dna", 34, "[IU]/mL", False),
        ("<", "anc", 2.0, "10*9/L", True),  # may be anything below
        (">", "platelets", 400, "10*9/L", False),
        (">", "bilirubin_total", 20, "umol/L", True),
    ],
)
def test_a_bound_is_judged_at_its_worst(
    comparator: str, metric: str, value: float, unit: str, blocks: bool
) -> None:
    stated = lab(metric, value, unit, DAY, comparator=comparator)

    assert bool(blocking(stated, at=DAY)) is blocks


def test_saturation_without_word_of_oxygen_may_hold_but_not_clear() -> None:
    def spo2(value: int) -> dict[str, Any]:
        return {
            "kind": "vital",
            "metric": "spo2",
            "value": value,
            "unit": "%",
            "effective": "2027-03-10T09:30",
        }

    assert "VIT-SPO2" in blocking(spo2(88), at="2027-03-10T10:00")
    assert "EV-VITALS" in blocking(spo2(99), at="2027-03-10T10:00")


# Performance status, age, pregnancy test, life expectancy


@pytest.mark.parametrize(
    ("ecog", "code"), [(1, "GO"), (2, "NO_GO_REVIEW"), (3, "NO_GO_STOP"), (4, "NO_GO_STOP")]
)
def test_performance_status_bands(ecog: int, code: str) -> None:
    stated = {"kind": "performance", "ecog": ecog, "effective": DAY}

    assert ask(stated, at=DAY).code == code


def test_a_contraindicating_status_stays_until_a_newer_one() -> None:
    bad = {"kind": "performance", "ecog": 3, "effective": "2027-01-10"}
    better = {"kind": "performance", "ecog": 1, "effective": DAY}

    assert ask(bad, at=DAY).code == "NO_GO_STOP"
    assert ask(bad, better, at=DAY).code == "GO"


@pytest.mark.parametrize(
    ("born", "blocks"), [("2009-03-10", False), ("2009-03-11", True), (None, True)]
)
def test_eligibility_asks_for_eighteen_years(born: str | None, blocks: bool) -> None:
    person = {"kind": "patient", "sex": "male", "birth_date": born}

    decision = ask(person, at=DAY, gate="eligibility", assume=False)

    assert ("ELIG-002" in decision.blocking_rules) is blocks


@pytest.mark.parametrize(
    ("person", "needed"),
    [
        ({"sex": "female", "birth_date": "1990-01-01"}, True),
        ({"sex": "female", "birth_date": "1971-03-11"}, True),  # 55
        ({"sex": "female", "birth_date": "1971-03-10"}, False),  # 56 on the day
        ({"sex": "female", "birth_date": "2015-03-10"}, True),  # 12 on the day
        ({"sex": "female", "birth_date": "2015-03-11"}, False),
        ({"sex": "male", "birth_date": "1990-01-01"}, False),
        ({"sex": "female", "birth_date": "1990-01-01", "childbearing_potential": False}, False),
        ({"birth_date": "1990-01-01"}, True),  # unknown counts as yes
        ({"sex": "female"}, True),
    ],
)
def test_a_pregnancy_test_is_asked_of_whom_it_concerns(
    person: dict[str, Any], needed: bool
) -> None:
    decision = ask({"kind": "patient", **person}, at=DAY, assume=False)

    assert ("EV-HCG" in decision.blocking_rules) is needed


def test_a_positive_pregnancy_test_holds_and_menopause_needs_none() -> None:
    woman = {"kind": "patient", "sex": "female", "birth_date": "1990-01-01"}
    menopause = {"kind": "condition", "concept": "menopause", "status": "confirmed"}

    assert blocking(woman, lab("hcg", "positive", None, DAY), at=DAY) == {"LAB-HCG"}
    assert blocking(woman, lab("hcg", "negative", None, DAY), at=DAY) == set()
    assert "EV-HCG" not in blocking(woman, menopause, at=DAY, assume=False)


@pytest.mark.parametrize(("weeks", "blocks"), [(12, False), (11.9, True)])
def test_life_expectancy_is_twelve_weeks(weeks: float, blocks: bool) -> None:
    stated = lab("life_expectancy", weeks, "wk", DAY)

    decision = ask(stated, at=DAY, gate="eligibility")
    assert ("ELIG-008" in decision.blocking_rules) is blocks
    assert "ELIG-008" in ask(at=DAY, gate="eligibility", assume=False).blocking_rules


def test_a_creatinine_in_error_is_a_mention_of_the_clearance() -> None:
    dated = {**MAN, "effective": DAY}
    wrong = lab("creatinine", 0.9, "mg/dL", DAY, status="entered-in-error")

    assert blocking(dated, wrong, at=DAY) == {"EV-CHEM", "DATA-001"}


def test_a_result_in_error_under_another_name_is_the_same_metric() -> None:
    wrong = lab("neutrophils", 3.0, "10*9/L", DAY, status="entered-in-error")

    assert blocking(wrong, at=DAY) == {"EV-CBC", "DATA-001"}


def test_details_of_the_patient_are_taken_as_last_stated() -> None:
    # 80 x 70 / (72 x 1.75) = 44.4 needs the sex of the first and the birth date of the second.
    first = {"kind": "patient", "sex": "male", "weight_kg": 70, "effective": "2027-03-01"}
    second = {"kind": "patient", "birth_date": "1966-05-02", "effective": "2027-03-05"}

    stated = lab("creatinine", 1.75, "mg/dL", DAY)

    assert blocking(first, second, stated, at="2027-03-10") == {"LAB-CRCL", "EV-WEIGHT", "DATA-009"}


def test_a_weight_without_a_date_is_used_but_is_no_current_weight() -> None:
    undated = {**MAN}

    found = blocking(undated, lab("creatinine", 1.0, "mg/dL", DAY), at=DAY)

    assert found == {"EV-WEIGHT", "DATA-009"}
