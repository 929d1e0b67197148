"""What must hold for any record: order changes nothing, time is exact, unknown never opens."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from protocol_asking import PROTOCOL, facts
from protocol_budget import LONG_RUN, PARTS, deterministic
from protocol_strategies import FAMILIES, instants, mostly, records, statement

from shared.protocol import (
    Decision,
    Gate,
    Interval,
    Record,
    canonical,
    decide,
    fact_from_json,
    fact_to_json,
    timeline,
)

gates = st.sampled_from(list(Gate))
slow_is_fine = [HealthCheck.too_slow]
many = settings(max_examples=60, deadline=None, suppress_health_check=slow_is_fine)
few = settings(max_examples=25, deadline=None, suppress_health_check=slow_is_fine)


def _ask(stated: list[dict[str, Any]], gate: Gate, at: datetime, assume: bool) -> Decision:
    return decide(PROTOCOL, facts(*stated), gate, at, assume_other_evidence_current=assume)


def _converges(
    stated: list[dict[str, Any]], arrived: list[dict[str, Any]], gate: Gate, at: datetime
) -> bool:
    """Whether two arrivals of the same facts make the same record and the same answer."""
    one, other = (Record(PROTOCOL, facts(*part)) for part in (stated, arrived))
    answers = [decide(PROTOCOL, record, gate, at).to_json() for record in (one, other)]
    for answer in answers:
        # That something arrived twice is itself information; nothing else may differ.
        answer["findings"] = [f for f in answer["findings"] if f["rule"] != "DATA-005"]
    is_same_record = one.resolved.current == other.resolved.current
    return is_same_record and canonical(answers[0]) == canonical(answers[1])


@deterministic("convergence")
@given(data=st.data(), stated=records, gate=gates, at=instants)
def test_facts_converge_in_any_order_and_however_often_they_arrive(
    data: st.DataObject, stated: list[dict[str, Any]], gate: Gate, at: datetime
) -> None:
    again = data.draw(st.lists(st.sampled_from(stated), max_size=6))
    arrived = data.draw(st.permutations([*stated, *again]))

    assert _converges(stated, arrived, gate, at)


def test_a_planted_arrival_that_lost_or_changed_a_fact_is_seen() -> None:
    count = {
        "kind": "lab",
        "metric": "anc",
        "value": 2.0,
        "unit": "10*9/L",
        "effective": "2027-03-09",
    }
    stated = [count, {"kind": "performance", "ecog": 1, "effective": "2027-03-09"}]
    at = datetime(2027, 3, 10, tzinfo=UTC)

    assert _converges(stated, [*stated[::-1], count], Gate.INFUSION, at)
    assert not _converges(stated, stated[1:], Gate.INFUSION, at)
    assert not _converges(stated, [{**count, "value": 0.2}, stated[1]], Gate.INFUSION, at)


def test_the_long_run_has_ten_thousand_examples() -> None:
    assert sum(round(LONG_RUN * part) for part in PARTS.values()) >= 10_000


@pytest.mark.parametrize("family", FAMILIES)
@few
@given(data=st.data())
def test_timeline_says_at_every_instant_what_decide_says(family: str, data: st.DataObject) -> None:
    stated, gate = data.draw(mostly(family)), data.draw(gates)
    assume, probes = data.draw(st.booleans()), data.draw(st.lists(instants, max_size=8))
    start, end = datetime(2027, 2, 25, tzinfo=UTC), datetime(2027, 5, 10, tzinfo=UTC)
    record = Record(PROTOCOL, facts(*stated), assume_other_evidence_current=assume)

    intervals = timeline(PROTOCOL, record, gate, start, end)

    assert intervals[0].begins == start
    assert intervals[-1].ends == end
    for one, following in pairwise(intervals):
        assert one.ends == following.begins
        assert _said(one) != _said(following)
    edges = [i.begins for i in intervals] + [i.ends - timedelta(microseconds=1) for i in intervals]
    for at in (*probes, *edges):
        if start <= at < end:
            _assert_same(_at(intervals, at), decide(PROTOCOL, record, gate, at))


def _said(interval: Interval) -> tuple[Any, ...]:
    due = {(d.item, d.max_age_days, d.max_age_hours, d.rule) for d in interval.due}
    starts = {(d.item, d.not_before) for d in interval.due if d.max_age_days is None}
    said = (interval.start, interval.plan, interval.rules, interval.plan_rules)
    return *said, frozenset(due), frozenset(starts)


def _at(intervals: tuple[Interval, ...], at: datetime) -> Interval:
    return next(i for i in intervals if i.begins <= at < i.ends)


def _assert_same(interval: Interval, decision: Decision) -> None:
    at = decision.at
    assert interval.start is decision.verdict, at
    assert interval.plan is decision.plan, at
    assert interval.rules == decision.blocking_rules, at
    planned = {f.rule for f in decision.blocking if not f.only_evidence}
    assert set(interval.plan_rules) == planned, at
    assert {d.item for d in interval.due} == {d.item for d in decision.due}, at


@pytest.mark.parametrize("family", FAMILIES)
@few
@given(data=st.data())
def test_next_go_and_valid_until_agree_with_the_timeline(family: str, data: st.DataObject) -> None:
    stated, gate = data.draw(mostly(family)), data.draw(gates)
    assume, at = data.draw(st.booleans()), data.draw(instants)
    record = Record(PROTOCOL, facts(*stated), assume_other_evidence_current=assume)
    horizon = timedelta(days=PROTOCOL.tables.horizon_days)

    decision = decide(PROTOCOL, record, gate, at)
    intervals = timeline(PROTOCOL, record, gate, at, at + horizon)

    opens = next((i.begins for i in intervals if i.start == "go"), None)
    assert decision.next_go == opens
    if decision.valid_until is not None:
        assert intervals[0].ends >= decision.valid_until
    else:
        assert len(intervals) == 1


@many
@given(stated=records, gate=gates, at=instants)
def test_removing_evidence_never_opens_a_gate(
    stated: list[dict[str, Any]], gate: Gate, at: datetime
) -> None:
    whole = _ask(stated, gate, at, assume=False)
    if whole.verdict == "go":
        return
    blockers = {name for finding in whole.blocking for name in finding.facts}
    for i, fact in enumerate(facts(*stated)):
        if fact.id in blockers or stated[i]["kind"] not in ("evidence", "lab", "vital"):
            continue
        without = _ask(stated[:i] + stated[i + 1 :], gate, at, assume=False)
        assert without.verdict != "go"


@many
@given(stated=records, gate=gates, at=instants)
def test_nothing_known_is_never_go_where_evidence_is_asked(
    stated: list[dict[str, Any]], gate: Gate, at: datetime
) -> None:
    only = [s for s in stated if s["kind"] in ("medication", "condition", "infection")]

    assert _ask(only, gate, at, assume=False).verdict != "go"


@many
@given(stated=records, gate=gates, at=instants, assume=st.booleans())
def test_every_blocking_finding_is_dated_or_listed_as_undated(
    stated: list[dict[str, Any]], gate: Gate, at: datetime, assume: bool
) -> None:
    decision = _ask(stated, gate, at, assume)

    for finding in decision.blocking:
        assert (finding.clears_at is None) == (finding.rule in decision.undated) or any(
            other.rule == finding.rule and other.clears_at is None for other in decision.blocking
        )
        assert "None" not in finding.message
    if not decision.undated and decision.blocking:
        assert decision.earliest is not None


@pytest.mark.parametrize("family", FAMILIES)
@few
@given(data=st.data())
def test_a_dated_finding_ends_at_its_clear_date(family: str, data: st.DataObject) -> None:
    stated, gate = data.draw(mostly(family)), data.draw(gates)
    assume, at = data.draw(st.booleans()), data.draw(instants)
    record = Record(PROTOCOL, facts(*stated), assume_other_evidence_current=assume)
    decision = decide(PROTOCOL, record, gate, at)

    for finding in decision.blocking:
        # Rules that look at others, or are refreshed by later facts, have no date of their own.
        if finding.clears_at is None:
            continue
        clear = record.time.earliest(finding.clears_at)
        before = decide(PROTOCOL, record, gate, clear - timedelta(microseconds=1))
        after = decide(PROTOCOL, record, gate, clear)
        later = {(f.rule, f.episode, f.clears_at) for f in after.blocking}
        assert (finding.rule, finding.episode, finding.clears_at) not in later
        assert any(f.rule == finding.rule for f in before.findings) or clear <= at


@many
@given(stated=statement)
def test_a_fact_survives_its_json(stated: dict[str, Any]) -> None:
    (fact,) = facts(stated)

    assert fact_from_json(fact_to_json(fact)) == fact


@pytest.mark.parametrize("gate", list(Gate))
def test_an_empty_record_opens_no_gate(gate: Gate) -> None:
    assert decide(PROTOCOL, (), gate, datetime(2027, 3, 1, tzinfo=UTC)).verdict == "hold"
