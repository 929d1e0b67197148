"""From a real bundle to a decision: an impossible result is unknown, never a pass."""

import json
from datetime import datetime
from typing import Any

import pytest
from fhir_builders import DATA, RECEIVED_AT, raw

from services.intake.adapters.fhir import read_bundle
from shared.protocol import Decision, Gate, decide, load_protocol, parse_statement

PROTOCOL = load_protocol()
JENNY = json.loads(
    (DATA / "mcode" / "assembled" / "cancer-patient-jenny-m.collection.json").read_text()
)
NEUTROPHILS = "us-core-observation-lab-neutrophils-jenny-m"
DAY_AFTER = datetime(2018, 5, 21, 12, tzinfo=PROTOCOL.zone)
"""Her neutrophils were counted on 2018-05-20; a count is valid for three days."""


def jenny(unit: str) -> list[Any]:
    """Jenny M's facts, with her neutrophils of 3000 in this unit."""
    content = json.loads(json.dumps(JENNY))
    (lab,) = [e["resource"] for e in content["entry"] if e["resource"]["id"] == NEUTROPHILS]
    assert (lab["valueQuantity"]["value"], lab["valueQuantity"]["unit"]) == (3000, "10*3/uL")
    lab["valueQuantity"] |= {"unit": unit, "code": unit}
    statements = read_bundle(raw(content), received_at=RECEIVED_AT).statements
    facts = [parse_statement(dict(one), zone=PROTOCOL.zone) for one in statements]
    assert not [fact for fact in facts if isinstance(fact, tuple)]
    return facts


def told_unknown(decision: Decision, fact: str) -> list[str]:
    """The rules that call a fact unknown."""
    return [
        finding.rule
        for finding in decision.findings
        if finding.rule == "DATA-006" and any(fact in used.id for used in finding.uses)
    ]


def missing_of_the_count(decision: Decision) -> str:
    (finding,) = [found for found in decision.findings if found.rule == "EV-CBC"]
    return finding.message


@pytest.mark.parametrize("gate", [Gate.COLLECTION, Gate.INFUSION])
def test_jennys_neutrophils_as_sent_are_unknown_and_do_not_pass(gate: Gate) -> None:
    # 3000 10*3/uL is a thousand times the plausible count: the sender means 3000 per microlitre.
    decision = decide(PROTOCOL, jenny("10*3/uL"), gate, DAY_AFTER)

    assert told_unknown(decision, NEUTROPHILS) == ["DATA-006"]
    assert "Neutrophils" in missing_of_the_count(decision)


@pytest.mark.parametrize("gate", [Gate.COLLECTION, Gate.INFUSION])
def test_the_same_number_in_its_right_unit_is_known(gate: Gate) -> None:
    decision = decide(PROTOCOL, jenny("/uL"), gate, DAY_AFTER)

    assert told_unknown(decision, NEUTROPHILS) == []
    assert "Neutrophils" not in missing_of_the_count(decision)


def test_a_unit_that_nobody_knows_is_unknown_too() -> None:
    decision = decide(PROTOCOL, jenny("thou"), Gate.COLLECTION, DAY_AFTER)

    assert told_unknown(decision, NEUTROPHILS) == ["DATA-006"]
