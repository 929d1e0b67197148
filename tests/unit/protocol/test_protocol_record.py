"""Versions, corrections, late arrival, as-of: what the record takes for true, and when."""

from typing import Any

from protocol_asking import PROTOCOL, ask, blocking, facts, infos, instant, lab, one

from shared.protocol import Gate, Record, canonical, decide
from shared.protocol.holds import blocking_rule_findings, newly_blocking, releasable

INFECTION = {"kind": "infection", "id": "inf-1", "type": "uncomplicated", "onset": "2027-09-01"}
RESOLVED = {**INFECTION, "version": 2, "resolved": "2027-09-05", "recorded": "2027-09-08T09:00"}
EARLIER = {**INFECTION, "version": 1, "recorded": "2027-09-08T09:05"}


def test_a_late_older_version_never_overwrites_a_newer_one() -> None:
    for order in ((RESOLVED, EARLIER), (EARLIER, RESOLVED)):
        decision = ask(*order, at="2027-09-10")
        assert decision.code == "GO"
        assert "DATA-004" in infos(decision)


def test_a_duplicate_changes_nothing_and_is_told() -> None:
    again = {**EARLIER, "recorded": "2027-09-08T09:10"}

    decision = ask(EARLIER, again, at="2027-09-10")

    assert decision.blocking_rules == ("INF-002",)
    assert "DATA-005" in infos(decision)


def test_the_first_statement_of_a_version_stands() -> None:
    first = lab("anc", 0.4, "10*9/L", "2027-03-09", id="a", recorded="2027-03-09T10:00")
    second = lab("anc", 4.0, "10*9/L", "2027-03-09", id="a", recorded="2027-03-09T11:00")

    assert blocking(second, first, at="2027-03-10") == {"LAB-ANC"}


PLATELETS = lab(
    "platelets", 58, "10*9/L", "2027-08-01", id="Observation/plt-1", recorded="2027-08-01T18:00"
)


def correction(**more: Any) -> dict[str, Any]:
    return {"kind": "correction", "of": "Observation/plt-1", "recorded": "2027-08-02T09:10", **more}


def test_a_correction_replaces_the_value_and_may_name_the_fact_by_its_bare_id() -> None:
    low = correction(status="corrected", value=24)

    assert blocking(PLATELETS, at="2027-08-02") == set()
    assert blocking(PLATELETS, low, at="2027-08-02") == {"LAB-PLT"}
    assert blocking(PLATELETS, {**low, "of": "plt-1"}, at="2027-08-02") == {"LAB-PLT"}
    assert blocking(PLATELETS, {**low, "of": "Condition/plt-1"}, at="2027-08-02") == set()


def test_entered_in_error_takes_a_fact_away() -> None:
    wrong = {**PLATELETS, "value": 20}

    assert blocking(wrong, at="2027-08-02") == {"LAB-PLT"}
    after = ask(wrong, correction(status="entered-in-error"), at="2027-08-02")
    # Nothing else is known of the platelets, and the item is mentioned: so it is unknown.
    assert set(after.blocking_rules) == {"EV-CBC", "DATA-001"}


def test_a_version_sent_after_a_correction_wins_over_it() -> None:
    newer = {**PLATELETS, "version": 2, "value": 90, "recorded": "2027-08-02T10:00"}

    assert blocking(PLATELETS, correction(value=24), newer, at="2027-08-02") == set()


def test_as_of_answers_with_what_was_known_then() -> None:
    low = correction(status="corrected", value=24)

    before = ask(PLATELETS, low, at="2027-08-02", as_of="2027-08-02T09:00")
    after = ask(PLATELETS, low, at="2027-08-02", as_of="2027-08-02T09:10")
    only_known = ask(PLATELETS, at="2027-08-02")

    assert before.code == "GO"
    assert after.code == "NO_GO_HOLD"
    assert canonical(before.to_json()) == canonical(only_known.to_json())


def test_a_fact_without_recorded_was_known_at_its_effective_time() -> None:
    stated = lab("anc", 0.4, "10*9/L", "2027-03-09T10:00")

    assert ask(stated, at="2027-03-10", as_of="2027-03-09T09:59").code == "GO"
    assert ask(stated, at="2027-03-10", as_of="2027-03-09T10:00").code == "NO_GO_HOLD"


def test_what_is_learnt_after_a_clearance_revokes_it() -> None:
    clearance = {
        "kind": "clearance",
        "version": 3,
        "gate": "infusion",
        "issued_at": "2027-08-02T08:00",
    }
    low = correction(status="corrected", value=24)
    harmless = correction(status="corrected", value=60)

    revoked = ask(PLATELETS, clearance, low, at="2027-08-02T09:30")
    assert set(revoked.blocking_rules) == {"LAB-PLT", "DATA-002", "CLR-002"}
    told = ask(PLATELETS, clearance, harmless, at="2027-08-02T09:30")
    assert told.code == "GO"
    newer = {**clearance, "version": 4, "issued_at": "2027-08-02T09:20"}
    again = ask(PLATELETS, clearance, low, newer, at="2027-08-02T09:30")
    assert set(again.blocking_rules) == {"LAB-PLT"}
    other_gate = {**clearance, "gate": "collection"}
    assert set(ask(PLATELETS, other_gate, low, at="2027-08-02T09:30").blocking_rules) == {"LAB-PLT"}


# Holds by rule


def test_a_new_condition_asks_for_a_hold_and_missing_evidence_does_not() -> None:
    before = ask(at="2027-03-10", assume=False)
    after = ask(lab("anc", 0.4, "10*9/L", "2027-03-10"), at="2027-03-10", assume=False)

    found = blocking_rule_findings(before, after)

    assert [(f.rule, f.episode) for f in found] == [("LAB-ANC", "anc")]
    assert blocking_rule_findings(None, before) == ()
    assert blocking_rule_findings(after, after) == ()


def test_a_gate_that_is_already_shut_still_yields_the_new_hold() -> None:
    fever = {
        "kind": "vital",
        "metric": "body_temp",
        "value": 39,
        "unit": "Cel",
        "effective": "2027-03-10T09:30",
    }
    low = lab("anc", 0.9, "10*9/L", "2027-03-10")
    before, after = ask(low, at="2027-03-10T10:00"), ask(low, fever, at="2027-03-10T10:00")

    fresh = newly_blocking({("LAB-ANC", "anc")}, (after,))

    assert before.code == after.code == "NO_GO_HOLD"
    assert {f.rule for f in fresh} == {"INF-001"}
    assert releasable({("LAB-ANC", "anc"), ("INF-001", "body_temp")}, (before,)) == {
        ("INF-001", "body_temp")
    }


def test_review_findings_and_answered_ones_ask_for_no_hold() -> None:
    review = ask(lab("anc", 1.2, "10*9/L", "2027-03-10"), at="2027-03-10")

    assert review.code == "NO_GO_REVIEW"
    assert newly_blocking(set(), (review,)) == ()


def test_a_hold_key_stays_the_same_while_its_episode_lasts() -> None:
    first = ask(lab("anc", 0.4, "10*9/L", "2027-03-10"), at="2027-03-10")
    second = ask(
        lab("anc", 0.4, "10*9/L", "2027-03-10"),
        lab("anc", 0.3, "10*9/L", "2027-03-12"),
        at="2027-03-12",
    )

    assert one(first, "LAB-ANC").hold_key == one(second, "LAB-ANC").hold_key


def test_one_record_answers_many_questions_alike() -> None:
    stated = facts(PLATELETS, lab("anc", 1.2, "10*9/L", "2027-08-01"))
    record = Record(PROTOCOL, stated)

    for gate in Gate:
        for at in ("2027-08-01", "2027-08-03", "2027-08-06"):
            once = decide(PROTOCOL, stated, gate, instant(at))
            again = decide(PROTOCOL, record, gate, instant(at))
            assert once == again
