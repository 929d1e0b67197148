"""A rulebook that is not signed for use, or no longer: it plans, and starts nothing."""

from dataclasses import replace

import pytest
from protocol_asking import PROTOCOL

from shared.contracts.vocabulary import Gate, Verdict
from shared.protocol import Decision, can_be_closed, decide

DAY = PROTOCOL.effective_from


def asked(status: str, gate: Gate = Gate.COLLECTION) -> Decision:
    protocol = replace(PROTOCOL, status=status)
    return decide(protocol, (), gate, DAY, assume_other_evidence_current=True)


@pytest.mark.parametrize("gate", Gate)
@pytest.mark.parametrize("status", ["unsigned", "retired"])
def test_a_rulebook_out_of_force_starts_nothing_and_says_why(status: str, gate: Gate) -> None:
    found = [f for f in asked(status, gate).findings if f.rule == "DATA-012"]
    assert [(f.effect.value, f.override.value, f.clears_at) for f in found] == [
        ("hold", "hard", None)
    ]
    assert asked(status, gate).verdict is not Verdict.GO


@pytest.mark.parametrize("gate", Gate)
@pytest.mark.parametrize("status", ["draft", "signed"])
def test_a_rulebook_in_force_or_in_a_demo_says_nothing_of_it(status: str, gate: Gate) -> None:
    assert [f for f in asked(status, gate).findings if f.rule == "DATA-012"] == []


@pytest.mark.parametrize("gate", Gate)
def test_planning_is_the_same_before_the_signature(gate: Gate) -> None:
    assert asked("unsigned", gate).plan is asked("signed", gate).plan


def test_a_gate_that_is_open_is_shut_by_this_alone() -> None:
    opened = asked("signed", Gate.COLLECTION)
    shut = asked("unsigned", Gate.COLLECTION)
    assert opened.verdict is Verdict.GO
    assert shut.verdict is Verdict.HOLD
    assert [f.rule for f in shut.findings if f.blocks] == ["DATA-012"]
    assert [(d.item, d.owner) for d in shut.due] == [("protocol_signature", "medical_director")]


def test_the_packaged_rulebook_can_be_taken_out_of_force() -> None:
    without = {name: rule for name, rule in PROTOCOL.rules.items() if name != "DATA-012"}
    assert can_be_closed(PROTOCOL)
    assert not can_be_closed(replace(PROTOCOL, rules=without))
