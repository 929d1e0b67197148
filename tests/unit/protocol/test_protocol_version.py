"""A made-up rulebook 1.1.0 without code: numbers changed, rules added and retired."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from protocol_asking import PROTOCOL, ask, blocking, chemo, facts, infos, lab

from shared.protocol import Protocol, checklist, load_protocol
from shared.protocol.checklist import ItemState
from shared.protocol.loader import RulebookError
from tests.made_up_rulebook import RETIRED, made_up

DAY = "2027-03-10"


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Protocol:
    path = tmp_path_factory.mktemp("rulebook") / "coordination.yaml"
    path.write_text(made_up(), "utf-8")
    return load_protocol(path)


def test_every_decision_carries_its_version(later: Protocol) -> None:
    assert ask(at=DAY).to_json()["protocol"]["version"] == "1.0.0"
    assert ask(at=DAY, protocol=later).to_json()["protocol"]["version"] == "1.1.0"
    assert later.effective_from == date(2027, 2, 1)


def test_the_same_words_under_another_status_are_another_identity() -> None:
    signed = replace(PROTOCOL, status="signed")

    assert signed.identity == f"{PROTOCOL.digest}:signed"
    assert PROTOCOL.identity == f"{PROTOCOL.digest}:draft"


def test_only_what_was_changed_is_different(later: Protocol) -> None:
    assert set(PROTOCOL.rules) - set(later.rules) == set(RETIRED)
    assert set(later.rules) - set(PROTOCOL.rules) == {"WO-ADC", "LAB-K", "INF-016", "EV-ECG"}


@pytest.mark.parametrize(
    ("stated", "at", "before", "after"),
    [
        # i 3 -> 5: 03-06 + 3 = 03-09, + 5 = 03-11
        (chemo("2027-03-06", more_planned=False), DAY, set(), {"WO-CHEMO"}),
        # lead 5 -> 6: 03-15 is 5 d ahead
        (chemo("2027-02-01", "2027-03-15"), DAY, set(), {"WO-CHEMO"}),
        # platelets 35: review from 30, hold below 40
        (lab("platelets", 35, "10*9/L", DAY), DAY, {"LAB-PLT"}, {"LAB-PLT"}),
        # a count of three days ago
        (lab("anc", 2.0, "10*9/L", "2027-03-07"), DAY, set(), {"EV-CBC", "DATA-009"}),
    ],
    ids=["free-days", "lead", "platelets", "age"],
)
def test_a_changed_number_changes_the_decision(
    later: Protocol, stated: dict[str, object], at: str, before: set[str], after: set[str]
) -> None:
    assert blocking(stated, at=at) == before
    assert blocking(stated, at=at, protocol=later) == after


def test_platelets_of_35_were_review_and_are_a_hold(later: Protocol) -> None:
    count = lab("platelets", 35, "10*9/L", DAY)

    assert ask(count, at=DAY).code == "NO_GO_REVIEW"
    assert ask(count, at=DAY, protocol=later).code == "NO_GO_HOLD"


@pytest.mark.parametrize(
    ("stated", "clear", "rule"),
    [
        ({"kind": "medication", "class": "antibody_drug_conjugate", "last_dose": "2027-03-04"},
         {"kind": "medication", "class": "antibody_drug_conjugate", "last_dose": "2027-03-03"},
         "WO-ADC"),
        (lab("potassium", 2.9, "mmol/L", DAY), lab("potassium", 3.0, "mmol/L", DAY), "LAB-K"),
        ({"kind": "condition", "concept": "donor_alert", "effective": DAY},
         {"kind": "condition", "concept": "donor_alert", "status": "refuted", "effective": DAY},
         "INF-016"),
        ({"kind": "evidence", "item": "ecg", "effective": "2027-02-07"},  # 31 d
         {"kind": "evidence", "item": "ecg", "effective": "2027-02-08"},  # 30 d
         "EV-ECG"),
    ],
    ids=["wash-out", "limit", "condition", "evidence"],
)  # fmt: skip
def test_an_added_rule_of_a_known_kind_decides(
    later: Protocol, stated: dict[str, object], clear: dict[str, object], rule: str
) -> None:
    assert rule in blocking(stated, at=DAY, protocol=later)
    assert rule not in blocking(clear, at=DAY, protocol=later)
    assert rule not in blocking(stated, at=DAY)


@pytest.mark.parametrize(
    ("stated", "gate", "rule"),
    [
        ({"kind": "medication", "class": "anticoagulant_therapeutic", "doses": [{"from": DAY}]},
         "collection", "WO-ANTICOAG"),
        ({"kind": "condition", "concept": "autoimmune_controlled", "effective": DAY},
         "eligibility", "ELIG-006"),
        ({"kind": "evidence", "item": "prior_treatments", "effective": "2026-01-01"},
         "eligibility", "EV-PRIORTX"),
    ],
    ids=["wash-out", "condition", "evidence"],
)  # fmt: skip
def test_a_retired_rule_says_nothing_any_more(
    later: Protocol, stated: dict[str, object], gate: str, rule: str
) -> None:
    assert rule in blocking(stated, at=DAY, gate=gate)
    decision = ask(stated, at=DAY, gate=gate, protocol=later)
    assert rule not in {*decision.blocking_rules, *infos(decision)}
    assert "DATA-006" not in decision.blocking_rules  # the drug is still known


def test_an_item_without_age_is_on_the_checklist_however_old(later: Protocol) -> None:
    old = facts({"kind": "evidence", "item": "prior_treatments", "effective": "2026-01-01"})
    states = [
        {item.item: item.state for item in checklist(protocol, old, date(2027, 3, 10))}
        for protocol in (PROTOCOL, later)
    ]

    assert states[0]["prior_treatments"] is ItemState.TOO_OLD
    assert states[1]["prior_treatments"] is ItemState.PRESENT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("[WO-ANTICOAG, ", "["), "names rule 'WO-ANTICOAG'"),
        (lambda text: text.replace("[WO-ANTICOAG", "[WO-CHEMO, WO-ANTICOAG"), "still a rule"),
    ],
    ids=["gone-unsaid", "said-but-there"],
)  # fmt: skip
def test_a_retirement_is_said_and_done(
    tmp_path: Path, change: Callable[[str], str], said: str
) -> None:
    path = tmp_path / "coordination.yaml"
    path.write_text(change(made_up()), "utf-8")

    with pytest.raises(RulebookError, match=said):
        load_protocol(path)
