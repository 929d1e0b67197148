"""What hypothetical facts would change: hand-worked differences, and no trace of the asking."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_asking import BAG, PROTOCOL, chemo, facts, instant, lab
from protocol_budget import deterministic
from protocol_strategies import instants, records

from shared.protocol import (
    Fact,
    Gate,
    Interval,
    WhatIf,
    Window,
    canonical,
    decide,
    fact_to_json,
    timeline,
    what_if,
)

ALL = frozenset(Gate)
BEGIN, END = "2027-03-10", "2027-03-20"
STEROID = {
    "kind": "medication",
    "name": "prednisone",
    "route": "oral",
    "intent": "treatment",
    "doses": [{"mg_per_day": 40, "from": "2027-03-12", "to": "2027-03-13"}],
}


def window(at: str = BEGIN, *gates: Gate) -> Window:
    return Window(instant(at), instant(BEGIN), instant(END), frozenset(gates) or ALL)


def suppose(*supposed: dict[str, Any], on: Iterable[dict[str, Any]] = (BAG,)) -> WhatIf:
    return what_if(
        PROTOCOL, facts(*on), facts(*supposed), window(), assume_other_evidence_current=True
    )


def changes(found: WhatIf, gate: Gate) -> list[tuple[str, str, str, str, tuple[str, ...]]]:
    """From, to, start before and after, rules after."""
    shown = [difference.to_json() for difference in found.changes[gate]]
    return [
        (c["from"], c["to"], c["before"]["start"], c["after"]["start"], c["after"]["findings"])
        for c in shown
    ]


def test_chemotherapy_would_shut_the_infusion_around_it() -> None:
    found = suppose(chemo("2027-03-16", more_planned=False))

    # WO-CHEMO: an infusion needs 5 days before the next dose and 3 after the last. The 11th has
    # 16 - 11 = 5, the 12th only 4; after the dose the 18th has 18 - 16 = 2, the 19th has 3.
    assert changes(found, Gate.INFUSION) == [
        ("2027-03-12T00:00:00+03:00", "2027-03-19T00:00:00+03:00", "go", "hold", ["WO-CHEMO"])
    ]
    assert (found.before[Gate.INFUSION].code, found.after[Gate.INFUSION].code) == ("GO", "GO")


def test_a_supposed_correction_opens_what_a_fact_shuts() -> None:
    low = lab("anc", 0.2, "10*9/L", "2027-03-10", id="anc-1")
    correction = {
        "kind": "correction",
        "of": "anc-1",
        "value": 2.0,
        "recorded": "2027-03-10T09:00",
    }

    found = suppose(correction, on=(BAG, low))

    assert found.before[Gate.INFUSION].blocking_rules == ("LAB-ANC",)
    assert found.after[Gate.INFUSION].blocking_rules == ()


def test_timelines_are_of_the_gates_asked_and_decisions_of_all() -> None:
    found = what_if(PROTOCOL, (), (), window(BEGIN, Gate.RELEASE))

    assert set(found.timelines) == set(found.changes) == {Gate.RELEASE}
    assert set(found.before) == set(found.after) == ALL


def test_an_empty_range_has_no_differences() -> None:
    at = instant(BEGIN)

    found = what_if(PROTOCOL, (), facts(STEROID), Window(at, at, at, ALL))

    assert set(found.changes.values()) == {()}


# What holds for any record

WhatIfFunction = Callable[..., WhatIf]
START, FINISH = datetime(2027, 2, 25, tzinfo=UTC), datetime(2027, 5, 10, tzinfo=UTC)


def assert_leaves_no_trace(
    function: WhatIfFunction, known: list[Fact], supposed: list[Fact], asked: Window
) -> None:
    """The facts passed in are as before, and the record still answers what it answered."""
    written = [canonical(fact_to_json(f)) for f in (*known, *supposed)]
    answers = [canonical(decide(PROTOCOL, known, g, asked.at).to_json()) for g in asked.gates]

    function(PROTOCOL, known, supposed, asked)

    assert [canonical(fact_to_json(f)) for f in (*known, *supposed)] == written
    assert [
        canonical(decide(PROTOCOL, known, g, asked.at).to_json()) for g in asked.gates
    ] == answers


gates = st.sampled_from(list(Gate))


@deterministic("what-if leaves no trace")
@given(known=records, supposed=records, gate=gates, at=instants)
def test_supposing_leaves_no_trace(
    known: list[dict[str, Any]], supposed: list[dict[str, Any]], gate: Gate, at: datetime
) -> None:
    asked = Window(at, START, FINISH, frozenset({gate}))

    assert_leaves_no_trace(what_if, list(facts(*known)), list(facts(*supposed)), asked)


@deterministic("what-if of nothing")
@given(known=records, gate=gates, at=instants, assume=st.booleans())
def test_supposing_nothing_changes_nothing(
    known: list[dict[str, Any]], gate: Gate, at: datetime, assume: bool
) -> None:
    asked = Window(at, START, FINISH, frozenset({gate}))

    found = what_if(PROTOCOL, facts(*known), (), asked, assume_other_evidence_current=assume)

    assert found.changes[gate] == ()
    assert [d.to_json() for d in found.before.values()] == [
        d.to_json() for d in found.after.values()
    ]


@deterministic("what-if differences")
@given(known=records, supposed=records, gate=gates, probes=st.lists(instants, max_size=5))
def test_differences_are_exactly_where_the_two_timelines_differ(
    known: list[dict[str, Any]],
    supposed: list[dict[str, Any]],
    gate: Gate,
    probes: list[datetime],
) -> None:
    found = what_if(
        PROTOCOL, facts(*known), facts(*supposed), Window(START, START, FINISH, frozenset({gate}))
    )
    before = timeline(PROTOCOL, facts(*known), gate, START, FINISH)
    after = timeline(PROTOCOL, facts(*known, *supposed), gate, START, FINISH)

    assert found.timelines[gate] == after
    edges = [part.begins for part in (*before, *after)]
    for at in (*edges, *(e - timedelta(microseconds=1) for e in edges), *probes):
        if START <= at < FINISH:
            differs = _said(_at(before, at)) != _said(_at(after, at))
            inside = [d for d in found.changes[gate] if d.begins <= at < d.ends]
            assert len(inside) == differs, at


def _at(intervals: tuple[Interval, ...], at: datetime) -> Interval:
    return next(i for i in intervals if i.begins <= at < i.ends)


def _said(interval: Interval) -> tuple[object, ...]:
    due = {(d.item, d.owner, d.rule, d.max_age_days, d.max_age_hours) for d in interval.due}
    return interval.start, interval.plan, interval.rules, interval.plan_rules, due


def test_a_planted_what_if_that_keeps_its_facts_is_seen() -> None:
    def keeps(protocol: Any, known: list[Fact], supposed: list[Fact], asked: Window) -> WhatIf:
        known.extend(supposed)
        return what_if(protocol, known, (), asked)

    with pytest.raises(AssertionError):
        assert_leaves_no_trace(keeps, list(facts(BAG)), list(facts(STEROID)), window())
