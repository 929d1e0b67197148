"""The worked cases: decision, exact set of blocking rules, earliest date. Never edited to fit."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from protocol_asking import PROTOCOL, moment

from shared.protocol import Gate, decide, parse_facts_document

CASES = Path(__file__).parents[2] / "data" / "cases"


def _asked() -> list[Any]:
    found = []
    for path in sorted(CASES.glob("*.yaml")):
        case = yaml.safe_load(path.read_text("utf-8"))
        base = {"gate": case["gate"], "at": case["at"], **case["expected"]}
        blocks = [base, *({**base, **also} for also in case.get("also", ()))]
        for i, block in enumerate(blocks):
            found.append(pytest.param(case, block, id=f"{path.stem}{'-also' * bool(i)}"))
    return found


def test_all_24_worked_cases_are_here() -> None:
    assert len(list(CASES.glob("*.yaml"))) == 24


@pytest.mark.parametrize(("case", "expected"), _asked())
def test_worked_case_is_decided_as_worked_by_hand(
    case: dict[str, Any], expected: dict[str, Any]
) -> None:
    document = parse_facts_document(case, zone=PROTOCOL.zone)
    assert document.problems == ()

    decision = decide(
        PROTOCOL,
        document.facts,
        Gate(expected["gate"]),
        moment(str(expected["at"])),
        assume_other_evidence_current=document.assume_other_evidence_current,
    )

    wanted = expected["earliest"]
    assert decision.code == expected["decision"]
    assert set(decision.blocking_rules) == set(expected["rules"])
    assert decision.earliest == (None if wanted is None else moment(str(wanted)))
