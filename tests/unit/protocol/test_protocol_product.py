"""The bag, its clocks and tests; start of culture; release."""

from typing import Any

import pytest
from protocol_asking import BAG, ask, one

from shared.protocol import FindingKind

FRESH = {
    "kind": "product",
    "dose_id": "D1",
    "lot": "L1",
    "state": "released",
    "form": "fresh",
    "formulated_at": "2027-05-21T16:00",
    "expires_at": "2027-05-22T16:00",
}


def on(*statements: dict[str, Any], at: str, **rest: Any) -> set[str]:
    return set(ask(*statements, at=at, bag=False, **rest).blocking_rules)


@pytest.mark.parametrize(
    ("bag", "at", "rules"),
    [
        (FRESH, "2027-05-22T16:00", set()),
        (FRESH, "2027-05-22T16:01", {"REL-EXP-F"}),
        ({**FRESH, "expires_at": "2027-05-22T10:00"}, "2027-05-22T10:01", {"REL-EXP-F"}),
        ({**FRESH, "expires_at": "2027-05-23T10:00"}, "2027-05-22T16:01", {"REL-EXP-F"}),
        ({**FRESH, "expires_at": None}, "2027-05-22T16:01", {"REL-EXP-F"}),
        (BAG, "2028-01-20T23:59", set()),  # twelve months, to the end of that day
        (BAG, "2028-01-21T00:00", {"REL-EXP-C"}),
        ({**BAG, "expires_at": None}, "2028-01-21T00:00", {"REL-EXP-C"}),
        ({**BAG, "expires_at": "2027-06-01T10:00"}, "2027-06-01T10:01", {"REL-EXP-C"}),
        ({**BAG, "thawed_at": "2027-03-10T10:00"}, "2027-03-10T11:00", set()),
        ({**BAG, "thawed_at": "2027-03-10T10:00"}, "2027-03-10T11:01", {"REL-EXP-T"}),
        ({**BAG, "dry_ice_from": "2027-03-08T10:00"}, "2027-03-10T10:00", set()),
        ({**BAG, "dry_ice_from": "2027-03-08T10:00"}, "2027-03-10T10:01", {"REL-SHIP"}),
        (
            {**BAG, "dry_ice_from": "2027-03-01T10:00", "dry_ice_to": "2027-03-03T09:00"},
            "2027-03-10T10:00",
            set(),
        ),
    ],
)
def test_every_clock_passes_at_its_limit_and_not_after(
    bag: dict[str, Any], at: str, rules: set[str]
) -> None:
    assert on(bag, at=at) == rules


def test_an_expired_bag_never_clears_and_nobody_may_override_it() -> None:
    override = {
        "kind": "override",
        "rule": "REL-EXP-F",
        "gate": "infusion",
        "by": ["medical_director", "qa_release"],
        "valid_until": "2027-05-22T20:00",
    }

    decision = ask(FRESH, override, at="2027-05-22T17:00", bag=False)

    assert decision.code == "NO_GO_HOLD"
    assert decision.earliest is None
    assert decision.next_go is None


@pytest.mark.parametrize("lacking", ["form", "cryopreserved_on"])
def test_a_clock_that_cannot_be_told_holds(lacking: str) -> None:
    decision = ask({**BAG, lacking: None}, at="2027-03-10", bag=False)

    assert "REL-EXP-C" in decision.blocking_rules
    assert one(decision, "REL-EXP-C").kind is FindingKind.MISSING


def test_without_a_released_bag_nothing_may_start_but_all_may_be_planned() -> None:
    for bags in ((), ({**BAG, "state": "quarantine"},), (BAG, {**BAG, "dose_id": "D2"})):
        decision = ask(*bags, at="2027-03-10", bag=False)
        assert decision.blocking_rules == ("DATA-008",)
        assert decision.plan == "go"
        assert "product_release" in {due.item for due in decision.due}


def test_a_recalled_bag_is_a_condition() -> None:
    decision = ask({**BAG, "state": "recalled"}, at="2027-03-10", bag=False)

    assert decision.plan == "hold"
    assert decision.findings[0].kind is FindingKind.CONDITION


def test_a_planned_infusion_names_its_bag_and_a_given_one_uses_its_bag_up() -> None:
    second = {**BAG, "dose_id": "D2", "state": "quarantine"}
    planned = {"kind": "infusion", "n": 2, "dose_id": "D2", "planned": "2027-03-10"}
    given = {"kind": "infusion", "n": 1, "dose_id": "D1", "day": "2027-02-01"}

    assert on(BAG, second, planned, at="2027-03-10") == {"DATA-008"}
    assert on(BAG, second, given, at="2027-03-10") == {"DATA-008"}
    assert on(BAG, {**second, "state": "released"}, given, at="2027-03-10") == set()


def test_late_growth_holds_all_bags_of_the_lot_and_a_pending_result_does_not() -> None:
    growth = {
        "kind": "release_test",
        "lot": "L1",
        "test": "sterility_14d",
        "result": "growth",
        "reported": "2027-03-09",
    }
    pending = {**growth, "result": "pending"}
    other = {**growth, "lot": "L2"}

    assert on(BAG, growth, at="2027-03-10") == {"REL-STER-FIN"}
    assert on(BAG, growth, at="2027-03-08") == set()
    assert on({**BAG, "state": "released_sterility_pending"}, pending, at="2027-03-10") == set()
    assert on(BAG, other, at="2027-03-10") == set()


def test_a_fresh_bag_that_expires_before_a_hold_ends_asks_for_freezing() -> None:
    fever = {
        "kind": "vital",
        "metric": "body_temp",
        "value": 38.1,
        "unit": "Cel",
        "effective": "2027-05-20T18:00",
    }
    normal = {**fever, "value": 36.8, "effective": "2027-05-22T09:30"}
    later = {**FRESH, "formulated_at": "2027-05-21T18:00", "expires_at": "2027-05-22T18:00"}

    assert on(FRESH, fever, normal, at="2027-05-22T10:00") == {"INF-001", "MFG-006"}
    assert on(later, fever, normal, at="2027-05-22T10:00") == {"INF-001"}  # clear at 18:00 itself
    frozen = {**BAG, "expires_at": "2027-05-22T16:00"}
    assert on(frozen, fever, normal, at="2027-05-22T10:00") == {"INF-001"}


# Start of culture


def started(at: str, **rest: Any) -> set[str]:
    collected = {"kind": "collection", "day": "2027-03-01T09:00", "method": "apheresis"}
    return on(collected, at=at, gate="manufacturing_start", **rest)


@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("2027-03-02T09:00", "GO"),
        ("2027-03-02T09:01", "NO_GO_REVIEW"),
        ("2027-03-03T09:00", "NO_GO_REVIEW"),
        ("2027-03-03T09:01", "NO_GO_HOLD"),
    ],
)
def test_culture_starts_within_24_hours_of_collection_48_at_most(at: str, code: str) -> None:
    collected = {"kind": "collection", "day": "2027-03-01T09:00", "method": "apheresis"}

    decision = ask(collected, at=at, gate="manufacturing_start")

    assert decision.code == code
    assert decision.blocking_rules == (() if code == "GO" else ("MFG-001",))


def test_without_a_collection_no_culture_starts() -> None:
    assert "MFG-001" in on(at="2027-03-02", gate="manufacturing_start")


@pytest.mark.parametrize(
    ("metric", "unit", "value", "effect"),
    [
        ("start_viability", "%", 79.9, "hold"),
        ("start_viability", "%", 80, "review"),
        ("start_viability", "%", 85, None),
        ("start_mnc", "1", 49999999, "hold"),
        ("start_mnc", "1", 50000000, "review"),
        ("start_mnc", "1", 100000000, None),
    ],
)
def test_starting_material_is_judged(
    metric: str, unit: str, value: float, effect: str | None
) -> None:
    stated = {
        "kind": "lab",
        "metric": metric,
        "value": value,
        "unit": unit,
        "effective": "2027-03-01T10:00",
    }
    collected = {"kind": "collection", "day": "2027-03-01T09:00"}

    decision = ask(collected, stated, at="2027-03-01T12:00", gate="manufacturing_start")

    assert [f.effect.value for f in decision.blocking] == ([] if effect is None else [effect])


# Release


LOT = {
    **BAG,
    "state": "awaiting_release",
    "culture_started_on": "2027-03-01",
    "harvested_on": "2027-03-22",
    "dmso_g": 7,
    "weight_kg": 70,
    "volume_mL": 100,
    "endotoxin_EU_per_mL": 0.5,
    "infusion_h": 1,
    "cryopreserved_on": "2027-03-22",
    "expires_at": None,
}
TESTS: dict[str, Any] = {
    "viability_post_thaw": 85,
    "sterility_rapid_and_gram": "negative",
    "mycoplasma_nat": "not detected",
    "cd3_pct": 90,
    "cd3_cd56_pct": 25,
    "cd19_pct": 2,
    "k562_lysis_20to1": 30,
    "total_viable_cells": 6400000000,
    "appearance": "pass",
    "label_identity": "match",
    "qp_release_signature": "signed",
}


def released(change: dict[str, Any] | None = None, lot: dict[str, Any] | None = None) -> set[str]:
    results = {**TESTS, **(change or {})}
    statements = [
        {
            "kind": "release_test",
            "lot": "L1",
            "test": test,
            ("result" if isinstance(value, str) else "value"): value,
            "reported": "2027-03-23",
        }
        for test, value in results.items()
        if value is not None
    ]
    markers = {"kind": "evidence", "item": "infection_markers", "effective": "2027-02-20"}
    return on({**LOT, **(lot or {})}, markers, *statements, at="2027-03-24", gate="release")


def test_a_lot_with_every_test_passed_may_be_released() -> None:
    assert released() == set()


@pytest.mark.parametrize("test", sorted(TESTS))
def test_a_missing_result_never_counts_as_passed(test: str) -> None:
    assert len(released({test: None}) - {"DATA-008"}) == 1


@pytest.mark.parametrize(
    ("test", "value", "rule"),
    [
        ("viability_post_thaw", 69.9, "REL-VIAB-T"),
        ("sterility_rapid_and_gram", "growth", "REL-STER-PRE"),
        ("mycoplasma_nat", "detected", "REL-MYCO"),
        ("cd3_pct", 79.9, "REL-CD3"),
        ("cd3_cd56_pct", 14.9, "REL-CD3CD56"),
        ("cd3_cd56_pct", 19.9, "REL-CD3CD56"),
        ("cd19_pct", 5.1, "REL-NKB"),
        ("k562_lysis_20to1", 19.9, "REL-POT"),
        ("total_viable_cells", 999999999, "REL-DOSE"),
        ("total_viable_cells", 20000000001, "REL-DOSE"),
        ("total_viable_cells", 2999999999, "REL-DOSE"),
        ("appearance", "clumps", "REL-APPEAR"),
        ("label_identity", "mismatch", "REL-LABEL"),
        ("qp_release_signature", "draft", "REL-SIGN"),
    ],
)
def test_a_result_outside_the_specification_blocks(test: str, value: Any, rule: str) -> None:
    assert released({test: value}) == {rule}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"endotoxin_EU_per_mL": 3.6}, "REL-ENDO"),  # 3.6 x 100 / 70 = 5.14
        ({"dmso_g": 71}, "REL-DMSO"),
        ({"harvested_on": "2027-03-14"}, "MFG-004"),  # day 13
        ({"harvested_on": "2027-03-30"}, "MFG-004"),  # day 29
        ({"harvested_on": None}, "MFG-004"),
    ],
)
def test_what_follows_from_the_lot_itself_is_judged(change: dict[str, Any], rule: str) -> None:
    assert released(lot=change) - {"DATA-008"} == {rule}


@pytest.mark.parametrize("day", ["2027-03-15", "2027-03-29"])
def test_the_harvest_window_includes_its_ends(day: str) -> None:
    assert released(lot={"harvested_on": day}) == set()


def test_a_result_in_another_unit_is_not_read() -> None:
    wrong = {
        "kind": "release_test",
        "lot": "L1",
        "test": "cd3_pct",
        "value": 90,
        "unit": "1",
        "reported": "2027-03-23",
    }

    assert "REL-CD3" in on(LOT, wrong, at="2027-03-24", gate="release")


def test_without_infection_markers_the_lot_is_not_released() -> None:
    assert "MFG-005" in set(
        ask(LOT, at="2027-03-24", gate="release", assume=False, bag=False).blocking_rules
    )
