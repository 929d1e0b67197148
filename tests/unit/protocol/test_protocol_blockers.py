"""Why not now: exactly the blockers open a gate, fewer do not; holds and unknowns never do."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_asking import BAG, PROTOCOL, chemo, facts, instant, lab, steroid
from protocol_budget import deterministic
from protocol_strategies import instants, records

from shared.protocol import Blocker, Effect, Gate, Record, Verdict, blockers, decide
from shared.protocol.blockers import cause_of
from shared.protocol.rules.check import Case
from shared.protocol.rules.families import checks_of, settled

DAY = "2027-03-10"
gates = st.sampled_from(list(Gate))

#: things that shut the infusion on 2027-03-10, each by itself and each undone by itself
PLANTS: dict[str, dict[str, Any]] = {
    "chemo": chemo("2027-03-09", more_planned=False, id="chemo"),
    "steroid": steroid("prednisone", [{"mg_per_day": 40, "day": "2027-03-08"}], id="steroid"),
    "anc": lab("anc", 0.2, "10*9/L", "2027-03-10", id="anc"),
    "platelets": lab("platelets", 5, "10*9/L", "2027-03-10", id="platelets"),
    "autoimmune": {
        "kind": "condition", "id": "autoimmune", "concept": "autoimmune_uncontrolled",
        "onset": "2027-03-01",
    },
    "irae": {"kind": "irae", "id": "irae", "grade": 3, "organ": "colon", "effective": "2027-03-09"},
    "flag": {
        "kind": "red_flag", "id": "flag", "symptom": "chest_pain", "from": "2027-03-09T08:00",
        "closed": None,
    },
    "transplant": {
        "kind": "treatment", "id": "transplant", "class": "surgery_major", "day": "2027-03-08",
    },
}  # fmt: skip
#: evidence that was had long ago, and what is had now instead
STALE: dict[str, dict[str, Any]] = {
    item: {"kind": "evidence", "id": f"old-{item}", "item": item, "effective": "2025-01-04"}
    for item in ("consent", "oncology_plan_ack", "medication_reconciliation", "ecog")
}


def why(*stated: dict[str, Any], at: str = DAY, gate: Gate = Gate.INFUSION) -> list[Blocker]:
    found = blockers(
        PROTOCOL, facts(BAG, *stated), gate, instant(at), assume_other_evidence_current=True
    )
    return list(found)


def verdict(*stated: dict[str, Any], gate: Gate = Gate.INFUSION) -> Verdict:
    return decide(
        PROTOCOL, facts(BAG, *stated), gate, instant(DAY), assume_other_evidence_current=True
    ).verdict


def fresh(item: str) -> dict[str, Any]:
    return {"kind": "evidence", "id": f"new-{item}", "item": item, "effective": DAY}


def test_an_open_gate_has_no_blockers() -> None:
    assert verdict() is Verdict.GO
    assert why() == []


@pytest.mark.parametrize("name", PLANTS)
def test_each_plant_is_one_blocker_by_itself(name: str) -> None:
    (blocker,) = why(PLANTS[name])

    assert blocker.facts == (name,)
    assert blocker.items == ()


def test_one_missing_item_is_one_blocker_however_many_rules_ask_for_it() -> None:
    (blocker,) = why(STALE["consent"])

    assert blocker.items == ("consent",)
    assert len(blocker.rules) > 1
    assert "EV-CONSENT" in blocker.rules


def test_the_data_rule_behind_a_missing_item_is_no_blocker_of_its_own() -> None:
    decision = decide(PROTOCOL, facts(BAG), Gate.INFUSION, instant(DAY))
    found = blockers(PROTOCOL, facts(BAG), Gate.INFUSION, instant(DAY))

    assert "DATA-008" in decision.blocking_rules
    assert "DATA-008" not in {rule for blocker in found for rule in blocker.rules}


def test_a_blocker_clears_when_the_last_of_its_findings_does() -> None:
    two_drugs = steroid(
        "prednisone", [{"mg_per_day": 40, "from": "2027-03-01", "to": "2027-03-08"}], id="course"
    )

    (blocker,) = why(two_drugs)

    dates = [f.clears_at for f in blocker.findings]
    assert None not in dates
    assert blocker.clears_at == max(d for d in dates if d is not None)


@deterministic("blockers undone")
@given(
    planted=st.sets(st.sampled_from(sorted(PLANTS))),
    stale=st.sets(st.sampled_from(sorted(STALE))),
    pick=st.randoms(),
)
def test_undoing_exactly_the_blockers_opens_and_undoing_fewer_does_not(
    planted: set[str], stale: set[str], pick: Any
) -> None:
    stated = [*(PLANTS[n] for n in sorted(planted)), *(STALE[n] for n in sorted(stale))]
    found = why(*stated)

    def after(undone: list[Blocker]) -> Verdict:
        gone = {name for blocker in undone if not blocker.items for name in blocker.facts}
        had = [fresh(item) for blocker in undone for item in blocker.items]
        return verdict(*(s for s in stated if s["id"] not in gone), *had)

    assert len(found) == len(planted) + len(stale)
    assert after(found) is Verdict.GO
    fewer = [found[:n] + found[n + 1 :] for n in range(len(found))]
    fewer += [pick.sample(found, pick.randrange(len(found)))] if found else []
    for part in fewer:
        assert after(part) is not Verdict.GO


# For any record: a gate without the findings of some causes


def _opens(record: Record, gate: Gate, at: datetime, causes: set[Any]) -> bool:
    """Whether the gate opens when these causes make no findings; derived ones follow anew."""
    case, moment = Case(record, gate), record.time.moment(at)
    found = [f for check in checks_of(case) for f in check.find(moment)]
    kept = [f for f in found if cause_of(f) not in causes]
    left = [f for f in settled(case, moment, kept) if f.blocks and cause_of(f) not in causes]
    return not left


def _is_minimal(record: Record, gate: Gate, at: datetime, causes: set[Any]) -> bool:
    """Whether the causes open the gate together, and none of them is one too many."""
    fewer = (causes - {cause} for cause in causes)
    return _opens(record, gate, at, causes) and not any(
        _opens(record, gate, at, part) for part in fewer
    )


@deterministic("blockers minimal")
@given(stated=records, gate=gates, at=instants, assume=st.booleans(), pick=st.randoms())
def test_the_causes_listed_are_enough_and_none_is_too_many(
    stated: list[dict[str, Any]], gate: Gate, at: datetime, assume: bool, pick: Any
) -> None:
    record = Record(PROTOCOL, facts(*stated), assume_other_evidence_current=assume)
    found = blockers(PROTOCOL, record, gate, at)
    causes = {blocker.cause for blocker in found}
    decision = decide(PROTOCOL, record, gate, at)

    assert bool(found) is (decision.verdict is not Verdict.GO)
    assert {rule for b in found for rule in b.rules} <= set(decision.blocking_rules)
    assert _is_minimal(record, gate, at, causes)
    if causes:
        some = pick.sample(sorted(causes, key=repr), pick.randrange(len(causes)))
        assert not _opens(record, gate, at, set(some))


def test_a_planted_blocker_too_many_and_one_too_few_are_seen() -> None:
    record = Record(
        PROTOCOL, facts(BAG, PLANTS["anc"], PLANTS["flag"]), assume_other_evidence_current=True
    )
    causes = {b.cause for b in blockers(PROTOCOL, record, Gate.INFUSION, instant(DAY))}

    def is_minimal(planted: set[Any]) -> bool:
        return _is_minimal(record, Gate.INFUSION, instant(DAY), planted)

    assert len(causes) == 2
    assert is_minimal(causes)
    assert not is_minimal(causes | {("rule", "DATA-008", "evidence")})
    assert not any(is_minimal({cause}) for cause in causes)


# Monotone: what shuts never opens

_SHUTTING = [
    *PLANTS.values(),
    {"kind": "evidence", "id": "no", "item": "consent", "effective": DAY, "withdrawn": True},
    {"kind": "infection", "id": "inf", "type": "serious", "onset": "2027-03-05"},
]


@deterministic("one more hold")
@given(stated=records, gate=gates, at=instants, assume=st.booleans(), n=st.integers(0, 9))
def test_one_more_reason_to_hold_never_opens_a_gate(
    stated: list[dict[str, Any]], gate: Gate, at: datetime, assume: bool, n: int
) -> None:
    more = {**_SHUTTING[n], "id": "one-more"}
    before = decide(PROTOCOL, facts(*stated), gate, at, assume_other_evidence_current=assume)
    after = decide(PROTOCOL, facts(*stated, more), gate, at, assume_other_evidence_current=assume)

    assert before.verdict is Verdict.GO or after.verdict is not Verdict.GO


_UNKNOWN_MAKERS = (
    {"unit": "furlong"},
    {"status": "preliminary"},
    {"value": 1e9},
    {"effective": "2020-01-01"},
)


@deterministic("one more unknown")
@given(stated=records, gate=gates, at=instants, how=st.sampled_from(_UNKNOWN_MAKERS))
def test_a_value_that_turns_unknown_never_opens_a_gate(
    stated: list[dict[str, Any]], gate: Gate, at: datetime, how: dict[str, Any]
) -> None:
    good = [lab("anc", 3.0, "10*9/L", "2027-03-10", id="known"), *stated]
    bad = [{**good[0], **how}, *stated]

    known = decide(PROTOCOL, facts(*good), gate, at)
    unknown = decide(PROTOCOL, facts(*bad), gate, at)

    assert known.verdict is Verdict.GO or unknown.verdict is not Verdict.GO


def test_an_answered_finding_is_no_blocker() -> None:
    ecog = {"kind": "performance", "id": "ecog-1", "ecog": 2, "effective": DAY}
    review = {
        "kind": "review_decision", "rule": "ELIG-003", "gate": "infusion", "decision": "proceed",
        "by": ["oncologist"], "facts": ["ecog-1"], "valid_until": "2027-03-12",
    }  # fmt: skip

    assert [b.findings[0].effect for b in why(ecog)] == [Effect.REVIEW]
    assert why(ecog, review) == []


def test_a_blocker_is_shown_with_what_to_do_and_by_whom() -> None:
    (stale,) = why(STALE["consent"])
    (held,) = why(PLANTS["chemo"])

    shown = stale.to_json(PROTOCOL.zone)
    assert (shown["items"], shown["clears_at"]) == (["consent"], None)
    assert len(shown["owners"]) == 1
    # WO-CHEMO: given on the 9th, 3 free days before an infusion
    assert held.to_json(PROTOCOL.zone)["clears_at"] == "2027-03-12"
