"""Stop and pause triggers are read from the rulebook's texts; no limit stands in code.

Values are worked from protocol STOP-001 and STOP-002.
"""

from fractions import Fraction

import pytest

from services.infusion_scheduling.domain.monitoring import (
    Trigger,
    read_trigger,
    triggers_met,
)
from shared.protocol import load_protocol


@pytest.fixture(scope="module")
def triggers() -> tuple[Trigger, ...]:
    return tuple(
        read_trigger(t.id, t.action, t.any_of) for t in load_protocol().plans.stop_triggers
    )


def met(triggers: tuple[Trigger, ...], *signs: str, **measures: str) -> list[str]:
    values = {metric: Fraction(value) for metric, value in measures.items()}
    baseline = {"sbp": Fraction(140), "body_temp": Fraction("36.6")}
    return [t.rule for t in triggers_met(triggers, values, baseline, frozenset(signs))]


def test_normal_values_meet_nothing(triggers: tuple[Trigger, ...]) -> None:
    assert met(triggers, spo2="97", sbp="135", heart_rate="80", body_temp="36.8") == []


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        ({"spo2": "89"}, ["STOP-001"]),  # spo2 < 90 %
        ({"spo2": "90"}, ["STOP-002"]),  # spo2 90-92 %
        ({"spo2": "92"}, ["STOP-002"]),
        ({"spo2": "93"}, []),
        ({"sbp": "89"}, ["STOP-001"]),  # sbp < 90
        ({"sbp": "97"}, ["STOP-001"]),  # 140 - 97 = 43 = 30.7 % of the baseline: above 30 %
        ({"sbp": "98"}, []),  # 42 = exactly 30 %: not above
        ({"heart_rate": "130"}, []),
        ({"heart_rate": "131"}, ["STOP-001"]),
        ({"body_temp": "39.0"}, ["STOP-001", "STOP-002"]),
        ({"body_temp": "38.0"}, ["STOP-002"]),
        ({"body_temp": "37.6"}, ["STOP-002"]),  # a rise of exactly 1.0
        ({"body_temp": "37.5"}, []),
    ],
)
def test_limits_are_those_of_the_rulebook(
    triggers: tuple[Trigger, ...], measures: dict[str, str], expected: list[str]
) -> None:
    assert met(triggers, **measures) == expected


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        ("chest pain", ["STOP-001"]),
        ("wheeze", ["STOP-001"]),
        ("loss of consciousness", ["STOP-001"]),
        ("rigors", ["STOP-002"]),
        ("hiccups", []),
    ],
)
def test_reported_signs_count(
    triggers: tuple[Trigger, ...], sign: str, expected: list[str]
) -> None:
    assert met(triggers, sign) == expected


def test_a_fall_without_a_baseline_is_not_claimed(triggers: tuple[Trigger, ...]) -> None:
    found = triggers_met(triggers, {"sbp": Fraction(97)}, {}, frozenset())

    assert found == ()


def test_only_the_first_rule_stops(triggers: tuple[Trigger, ...]) -> None:
    assert [(t.rule, t.stops) for t in triggers] == [("STOP-001", True), ("STOP-002", False)]
