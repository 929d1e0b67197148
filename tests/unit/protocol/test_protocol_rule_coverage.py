"""Every rule of the rulebook fires in a worked case, and in another it nearly does and does not.

A near miss is a question of the same case as a firing: the same story with the moment, or one fact,
on the other side of the limit.
"""

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest
from protocol_asking import PROTOCOL
from worked_cases import Question, own, questions_of

from shared.permits.times import PermitTimes
from shared.protocol.rulebook.rows import RequireRule

TESTS = Path(__file__).parents[2]
QUESTIONS = own()
# answers of the permit at the press, never findings of a decision: where each is tested
AT_THE_PRESS = {
    "IFU-002": "component/infusion_scheduling/test_bedside.py",
    "IFU-003": "component/infusion_scheduling/test_bedside.py",
    "CLR-001": "unit/protocol/test_protocol_rule_coverage.py",
    "CLR-003": "unit/protocol/test_protocol_rule_coverage.py",
}
# about the rulebook itself, whatever the facts: where each is tested
ABOUT_THE_RULEBOOK = {"DATA-012": "unit/protocol/test_protocol_standing.py"}


def lacking(rules: Iterable[str], questions: Iterable[Question]) -> list[str]:
    """The rules without a firing, or without a near miss in a case in which they fire."""
    found: dict[str, set[str]] = {}
    near: dict[str, set[str]] = {}
    for question in questions:
        for rule in question.fires:
            found.setdefault(rule, set()).add(question.case)
        for rule in question.near:
            near.setdefault(rule, set()).add(question.case)
    return [rule for rule in rules if not found.get(rule, set()) & near.get(rule, set())]


def decided() -> list[str]:
    return [rule for rule in PROTOCOL.rules if rule not in {*AT_THE_PRESS, *ABOUT_THE_RULEBOOK}]


def test_every_rule_fires_and_nearly_fires() -> None:
    assert lacking(decided(), QUESTIONS) == []


@pytest.mark.parametrize("rule", ["WO-CHEMO", "INF-001", "REL-DOSE"])
def test_a_rule_that_lost_its_near_miss_is_found(rule: str) -> None:
    blunt = [q for q in QUESTIONS if rule not in q.near]
    silent = [q for q in QUESTIONS if rule not in q.fires]

    assert lacking([rule], blunt) == [rule]
    assert lacking([rule], silent) == [rule]
    assert lacking([rule], QUESTIONS) == []


def test_a_near_miss_that_fires_is_a_difference() -> None:
    planted = {
        "id": "planted",
        "asked": [
            {
                "at": "2027-03-02",
                "hold": ["WO-PROTEA"],
                "earliest": "2027-03-08",
                "near": ["WO-PROTEA"],
                "facts": [
                    {
                        "kind": "medication",
                        "class": "proteasome_inhibitor",
                        "last_dose": "2027-03-01",
                    }
                ],
            }
        ],
    }
    (question,) = questions_of(planted)

    assert "near: worked out [], engine ['WO-PROTEA']" in str(question.difference(PROTOCOL))


def test_rules_of_the_press_are_those_that_the_rulebook_says_so_of() -> None:
    clearance = PROTOCOL.clearance
    required = {
        rule.rule.id
        for rule in PROTOCOL.patient_rules
        if isinstance(rule, RequireRule) and rule.at_permit
    }

    assert required | {clearance.expires.id, clearance.confirmed.id} == set(AT_THE_PRESS)
    for place in AT_THE_PRESS.values():
        tree = ast.parse((TESTS / place).read_text("utf-8"))
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert any(isinstance(n, kinds) and n.name.startswith("test_") for n in ast.walk(tree))


def test_permit_life_is_within_clr_003() -> None:
    """The version is confirmed when the permit is asked for, and a permit lives seconds."""
    limit_seconds = 60 * PROTOCOL.clearance.confirmed_within_minutes

    assert PermitTimes().ttl_seconds <= limit_seconds
    assert limit_seconds <= 3600 * PROTOCOL.clearance.expires_after_hours  # CLR-001: 24 h
