"""Corticosteroids: equivalence, daily sums, tapers, short courses, routes; worked by hand."""

from fractions import Fraction
from typing import Any

import pytest
from protocol_asking import PROTOCOL, ask, blocking, infos, iso, one, steroid

STEROID = {"STER-001", "WO-STEROID"}
SHORT = {"STER-003", "WO-STEROID"}


def _days(name: str, *days: str, mg: float = 8, **more: Any) -> dict[str, Any]:
    return steroid(name, [{"mg": mg, "day": day} for day in days], **more)


@pytest.mark.parametrize(
    ("drug", "mg_that_is_10", "mg_above"),
    [
        ("prednisone", 10, 10.1),
        ("prednisolone", 10, 10.1),
        ("methylprednisolone", 8, 8.1),
        ("triamcinolone", 8, 8.1),
        ("hydrocortisone", 40, 40.1),
        ("cortisone", 50, 50.1),
        ("dexamethasone", 1.5, 1.6),
        ("betamethasone", 1.5, 1.6),
        ("deflazacort", 12, 12.1),
    ],
)
def test_the_limit_itself_passes_and_more_does_not(
    drug: str, mg_that_is_10: float, mg_above: float
) -> None:
    at_limit = steroid(drug, [{"mg_per_day": mg_that_is_10, "from": "2027-01-01"}])
    above = steroid(drug, [{"mg_per_day": mg_above, "from": "2027-01-01"}])

    assert blocking(at_limit, at="2027-03-01") == set()
    assert blocking(above, at="2027-03-01") == STEROID


def test_sums_are_exact() -> None:
    # 0.75 mg dexamethasone = 5 mg, 20 mg hydrocortisone = 5 mg: exactly 10, which passes.
    both = [
        steroid("dexamethasone", [{"mg_per_day": 0.75, "from": "2027-01-01"}]),
        steroid("hydrocortisone", [{"mg_per_day": 20, "from": "2027-01-01"}]),
    ]
    more = steroid("prednisone", [{"mg_per_day": 0.001, "from": "2027-01-01"}])

    assert blocking(*both, at="2027-03-01") == set()
    assert blocking(*both, more, at="2027-03-01") == STEROID


def test_dexamethasone_is_exactly_20_thirds() -> None:
    assert PROTOCOL.steroids.equivalent_mg["dexamethasone"] == Fraction(20, 3)
    assert PROTOCOL.steroids.equivalent_mg["fludrocortisone"] is None


def test_a_taper_clears_seven_days_after_the_last_day_above_the_limit() -> None:
    taper = steroid(
        "prednisone",
        [
            {"mg_per_day": 40, "to": "2027-03-01"},
            {"mg_per_day": 20, "from": "2027-03-02", "to": "2027-03-05"},
            {"mg_per_day": 10, "from": "2027-03-06"},
        ],
    )

    finding = one(ask(taper, at="2027-03-10"), "STER-001")
    assert iso(finding.clears_at) == "2027-03-12"  # 03-05 + 7
    assert iso(finding.since) == "2027-03-05"
    assert finding.value == "20 mg/d"
    assert finding.limit == "10 mg/d"
    assert blocking(taper, at="2027-03-11") == STEROID
    assert blocking(taper, at="2027-03-12") == set()


def test_report_the_steroid_rule_before_its_pointer() -> None:
    decision = ask(steroid("prednisone", [{"mg_per_day": 30}]), at="2027-03-10")

    assert decision.blocking_rules == ("STER-001", "WO-STEROID")


def test_a_missing_end_means_still_taken() -> None:
    decision = ask(
        steroid("prednisone", [{"mg_per_day": 30, "from": "2027-01-01"}]), at="2028-01-01"
    )

    assert set(decision.blocking_rules) == STEROID
    assert decision.earliest is None


# Short courses (STER-003)


def test_three_antiemetic_days_wait_three_days() -> None:
    course = _days("dexamethasone", "2027-01-31", "2027-02-01", "2027-02-02", intent="antiemetic")

    assert blocking(course, at="2027-02-02") == SHORT
    assert blocking(course, at="2027-02-04") == SHORT
    assert blocking(course, at="2027-02-05") == set()


def test_four_days_wait_seven() -> None:
    days = ["2027-04-05", "2027-04-06", "2027-04-07", "2027-04-08"]
    course = _days("dexamethasone", *days, intent="antiemetic")

    assert blocking(course, at="2027-04-14") == STEROID
    assert blocking(course, at="2027-04-15") == set()


@pytest.mark.parametrize(
    ("intent", "purpose", "is_short"),
    [
        ("antiemetic", None, True),
        ("premedication", "chemotherapy", True),
        ("premedication", "contrast", True),
        ("premedication", None, False),  # not stated to be for one of the listed purposes
        ("treatment", None, False),
        ("replacement", None, False),  # stress dosing is STER-001
        ("prophylaxis", None, False),
    ],
)
def test_only_listed_indications_make_a_short_course(
    intent: str, purpose: str | None, is_short: bool
) -> None:
    course = _days("dexamethasone", "2027-02-01", intent=intent)
    if purpose is not None:
        course["premedication_for"] = purpose

    assert blocking(course, at="2027-02-03") == (SHORT if is_short else STEROID)
    assert blocking(course, at="2027-02-04") == (set() if is_short else STEROID)


@pytest.mark.parametrize(
    ("earlier", "rules"),
    [
        ("2027-01-17", STEROID),  # 15 days before 02-01: outside the 14 days, not spoiling
        ("2027-01-18", STEROID),  # 14 days before: spoils
    ],
)
def test_a_clean_fortnight_is_counted_before_the_first_day(earlier: str, rules: set[str]) -> None:
    course = _days("dexamethasone", "2027-02-01", intent="antiemetic")
    before = _days("dexamethasone", earlier, intent="antiemetic")
    at = "2027-02-05"  # four days after 02-01: a short course is clear, a long one is not

    expected = set() if earlier == "2027-01-17" else rules
    assert blocking(course, before, at=at) == expected


def test_each_course_is_judged_for_itself() -> None:
    # The second course has the first in its fortnight; the first has nothing before it.
    first = _days("dexamethasone", "2027-02-01", intent="antiemetic")
    second = _days("dexamethasone", "2027-02-10", intent="antiemetic")

    assert blocking(first, second, at="2027-02-04") == set()
    assert blocking(first, second, at="2027-02-13") == STEROID
    assert blocking(first, second, at="2027-02-17") == set()


def test_the_excess_must_come_from_the_listed_indications_alone() -> None:
    # Prednisone 8 mg alone is below the limit: the excess is the antiemetic's.
    base = steroid("prednisone", [{"mg_per_day": 8, "from": "2027-01-01"}])
    course = _days("dexamethasone", "2027-02-01", intent="antiemetic")
    assert blocking(base, course, at="2027-02-04") == set()

    # Prednisone 12 mg alone is above it.
    heavy = steroid("prednisone", [{"mg_per_day": 12, "from": "2027-02-01", "to": "2027-02-01"}])
    assert blocking(heavy, course, at="2027-02-04") == STEROID


def test_an_unknown_dose_in_the_fortnight_spoils_a_short_course() -> None:
    unknown = steroid("prednisone", [{"from": "2027-01-25", "to": "2027-01-26"}])
    course = _days("dexamethasone", "2027-02-01", intent="antiemetic")

    assert blocking(unknown, course, at="2027-02-04") == STEROID


# Routes and what is not counted


@pytest.mark.parametrize("route", ["topical", "inhaled", "intranasal", "ophthalmic", "otic"])
def test_local_routes_are_not_counted_but_shown(route: str) -> None:
    decision = ask(steroid("hydrocortisone", [{"mg_per_day": 500}], route=route), at="2027-03-01")

    assert decision.code == "GO"
    assert "STER-002" in infos(decision)


@pytest.mark.parametrize("route", ["intra_articular", "epidural", "rectal", "intralesional"])
def test_absorbable_routes_are_reviewed_for_seven_days(route: str) -> None:
    injected = _days("triamcinolone", "2027-03-01", mg=40, route=route)

    assert blocking(injected, at="2027-03-07") == {"STER-004"}
    assert ask(injected, at="2027-03-07").code == "NO_GO_REVIEW"
    assert blocking(injected, at="2027-03-08") == set()


def test_swallowed_budesonide_is_reviewed_not_counted() -> None:
    taken = steroid("budesonide", [{"mg_per_day": 9, "from": "2027-01-01"}])

    assert blocking(taken, at="2027-03-01") == {"STER-004"}


@pytest.mark.parametrize(
    "stated",
    [
        {"doses": [{"from": "2027-02-20", "to": "2027-03-01"}]},  # no dose
        {"doses": [{"mg": 8, "from": "2027-02-20", "to": "2027-03-01"}]},  # no frequency
        {"doses": [{"mg_per_day": 2, "to": "2027-03-01"}], "route": None},  # no route
        {"doses": [{"mg_per_day": 2, "to": "2027-03-01"}], "route": "somewhere"},
        {"doses": [], "last_dose": "2027-03-01"},
    ],
)
def test_unknown_dose_route_or_frequency_holds(stated: dict[str, Any]) -> None:
    taken = steroid("prednisone", stated.pop("doses"), **stated)

    decision = ask(taken, at="2027-03-07")
    assert decision.blocking_rules == ("STER-007",)
    assert iso(decision.earliest) == "2027-03-08"
    assert decision.unknown == ("STER-007",)
    assert blocking(taken, at="2027-03-08") == set()


def test_replacement_is_shown_and_stress_dosing_counts() -> None:
    insufficiency = {"kind": "condition", "concept": "adrenal_insufficiency", "status": "confirmed"}
    usual = steroid(
        "hydrocortisone", [{"mg_per_day": 20, "to": "2027-03-01"}], intent="replacement"
    )
    stress = steroid(
        "hydrocortisone",
        [{"mg_per_day": 100, "from": "2027-03-02", "to": "2027-03-04"}],
        intent="replacement",
    )

    assert "STER-005" in infos(ask(insufficiency, usual, at="2027-03-01"))
    assert blocking(insufficiency, usual, at="2027-03-01") == set()
    assert blocking(insufficiency, usual, stress, at="2027-03-08") == STEROID
    assert blocking(insufficiency, usual, stress, at="2027-03-11") == set()


def test_fludrocortisone_is_never_counted() -> None:
    taken = steroid("fludrocortisone", [{"mg_per_day": 500, "from": "2027-01-01"}])

    assert blocking(taken, at="2027-03-01") == set()


def test_premedication_for_cik_holds_on_its_day_and_counts() -> None:
    ordered = _days("dexamethasone", "2027-03-01", intent="premedication", premedication_for="cik")

    assert blocking(ordered, at="2027-03-01") == {"STER-006", *STEROID}
    assert blocking(ordered, at="2027-03-02") == STEROID
    assert blocking(ordered, at="2027-02-28") == set()


def test_premedication_for_cik_does_not_hold_a_collection_by_itself() -> None:
    ordered = _days("dexamethasone", "2027-03-01", intent="premedication", premedication_for="cik")

    assert blocking(ordered, at="2027-03-01", gate="collection") == STEROID


def test_steroids_do_not_hold_other_gates() -> None:
    taken = steroid("prednisone", [{"mg_per_day": 30}])

    for gate in ("eligibility", "manufacturing_start"):
        assert not blocking(taken, at="2027-03-01", gate=gate) & {*STEROID, "STER-007"}
