"""A result passes only when it can be read, in its unit, within limits and final."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mfg_builders import PASSING, RULES

from services.manufacturing.domain.product import Form
from services.manufacturing.domain.specification import (
    Doubt,
    Judgement,
    Quantity,
    ResultStatus,
    Unparsable,
    Verdict,
    Word,
    judge,
    judge_reading,
    read_result,
    worst,
)

SPEC = RULES.specification
FINAL = ResultStatus.FINAL


def verdict(test: str, value: str, unit: str | None, status: ResultStatus = FINAL) -> Verdict:
    requirement = SPEC.for_test(test)
    assert requirement is not None
    return judge(requirement, read_result(value, unit), status).verdict


def test_the_rows_that_must_pass_are_those_of_the_protocols_release_table() -> None:
    fresh = {r.test for r in SPEC.for_form(Form.FRESH)}
    frozen = {r.test for r in SPEC.for_form(Form.CRYOPRESERVED)}

    assert fresh == {*PASSING, "sterility_14d"}
    assert frozen == (fresh - {"viability_fresh"}) | {"viability_post_thaw", "dmso_dose"}


# limits: protocol, table `release` (REL-VIAB-F 80 %, REL-VIAB-T 70 %, REL-ENDO 5, REL-CD3CD56
# 15/20 %, REL-NKB 5 %, REL-DOSE 1e9 to 2e10, review below 3e9)
@pytest.mark.parametrize(
    ("test", "value", "unit", "expected"),
    [
        ("viability_fresh", "80", "%", Verdict.PASS),
        ("viability_fresh", "79.9", "%", Verdict.FAIL),
        ("viability_post_thaw", "70", "%", Verdict.PASS),
        ("viability_post_thaw", "69.99", "%", Verdict.FAIL),
        ("endotoxin_dose", "5", "[EU]/kg/h", Verdict.PASS),
        ("endotoxin_dose", "5.01", "[EU]/kg/h", Verdict.FAIL),
        ("cd3_cd56_pct", "14.9", "%", Verdict.FAIL),
        ("cd3_cd56_pct", "15", "%", Verdict.REVIEW),
        ("cd3_cd56_pct", "19.9", "%", Verdict.REVIEW),
        ("cd3_cd56_pct", "20", "%", Verdict.PASS),
        ("cd19_pct", "5.1", "%", Verdict.FAIL),
        ("total_viable_cells", "999999999", "1", Verdict.FAIL),
        ("total_viable_cells", "1e9", "1", Verdict.REVIEW),
        ("total_viable_cells", "3e9", "1", Verdict.PASS),
        ("total_viable_cells", "2.0e10", "1", Verdict.PASS),
        ("total_viable_cells", "20000000001", "1", Verdict.FAIL),
        ("mycoplasma_nat", "not_detected", None, Verdict.PASS),
        ("mycoplasma_nat", "detected", None, Verdict.FAIL),
        ("sterility_14d", "no_growth", None, Verdict.PASS),
        ("sterility_14d", "growth", None, Verdict.FAIL),
        ("label_identity", "mismatch", None, Verdict.FAIL),
    ],
)
def test_limits_are_those_of_the_protocol(
    test: str, value: str, unit: str | None, expected: Verdict
) -> None:
    assert verdict(test, value, unit) is expected


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        ("> 95", "%"),
        ("95 %", "%"),
        ("95,5", "%"),
        ("n/a", "%"),
        ("NaN", "%"),
        ("Infinity", "%"),
        ("1e999", "%"),
        ("95", "{ratio}"),
        ("0.95", "1"),
        ("95", None),
        ("pass", None),
        ("pass", "%"),
        ("-1", "%"),
        ("101", "%"),
        ("", "%"),
    ],
)
def test_what_cannot_be_judged_is_unknown_and_never_a_pass(value: str, unit: str | None) -> None:
    assert verdict("viability_fresh", value, unit) is Verdict.UNKNOWN


@given(st.text(max_size=30), st.one_of(st.none(), st.text(max_size=8)))
def test_no_text_at_all_passes_a_numeric_test_by_accident(value: str, unit: str | None) -> None:
    reading = read_result(value, unit)

    found = verdict("viability_fresh", value, unit)

    numeric = isinstance(reading, Quantity) and reading.unit == "%" and reading.value >= 80
    assert found is not Verdict.PASS or numeric


def test_an_unknown_word_is_unknown() -> None:
    requirement = SPEC.for_test("sterility_14d")
    assert requirement is not None

    found = judge_reading(requirement.criterion, Word("contaminated"))

    assert found == Judgement(Verdict.UNKNOWN, Doubt.UNKNOWN_WORD)


def test_what_could_not_be_read_is_kept_with_its_unit() -> None:
    assert read_result("> 95", "%") == Unparsable("> 95", "%")


def test_a_preliminary_result_may_fail_but_not_pass() -> None:
    early = ResultStatus.PRELIMINARY

    assert verdict("viability_fresh", "92", "%", early) is Verdict.UNKNOWN
    assert verdict("viability_fresh", "60", "%", early) is Verdict.FAIL
    assert verdict("cd3_cd56_pct", "16", "%", early) is Verdict.UNKNOWN


def test_the_preliminary_sterility_test_alone_passes_preliminarily() -> None:
    early = ResultStatus.PRELIMINARY

    assert verdict("sterility_rapid_and_gram", "no_growth", None, early) is Verdict.PASS
    assert verdict("sterility_14d", "no_growth", None, early) is Verdict.UNKNOWN


def test_the_worst_of_several_judgements_counts() -> None:
    found = worst([Judgement(Verdict.PASS), Judgement(Verdict.FAIL), Judgement(Verdict.REVIEW)])

    assert found == Judgement(Verdict.FAIL)
    assert worst([]) is None


def test_passed_is_true_only_for_a_pass() -> None:
    assert Judgement(Verdict.PASS).passed is True
    assert Judgement(Verdict.FAIL).passed is False
    assert Judgement(Verdict.REVIEW).passed is None
    assert Judgement(Verdict.UNKNOWN, Doubt.UNPARSABLE).passed is None


def test_a_quantity_keeps_the_digits_that_were_stated() -> None:
    assert read_result("92.50", "%") == Quantity(Decimal("92.50"), "%")
