"""The first screen's answer: nothing that is not known reads as a yes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.pages.go_ahead import (
    GateState,
    IntervalRow,
    Known,
    RuleWords,
    Standing,
    gate_state,
    go_ahead,
)
from tests.unit.console.console_events import START

DAY = timedelta(days=1)
WORDS = {
    "WO-CHEMO": RuleWords("cytotoxic chemotherapy", "soft", ("medical_director",)),
    "EV-CBC": RuleWords("", "hard", (), "cbc_differential"),
}


def interval(start: int, end: int, verdict: str, *rules: str, plan: str = "go") -> IntervalRow:
    """An interval of the infusion gate from day `start` to day `end` after START."""
    return IntervalRow("infusion", START + start * DAY, START + end * DAY, verdict, plan, rules, ())


OPEN = gate_state("infusion", [interval(-1, 9, "go")], START, WORDS)
CLEAR = Known(None, 0, 0, [], 0, [], OPEN)
MISSING = GateState("infusion", None, None, (), (), None, None)


def test_nothing_against_it_still_leaves_the_decision_to_the_permit() -> None:
    answer = go_ahead(CLEAR)

    assert answer.standing is Standing.CLEAR
    assert "start permit decides" in answer.sentence


@pytest.mark.parametrize(
    "unknown",
    [
        replace(CLEAR, parked_at=["manufacturing"]),
        replace(CLEAR, silent=["intake"]),
        replace(CLEAR, waiting_events=1),
        replace(CLEAR, gate=MISSING),
    ],
)
def test_each_thing_that_is_not_known_keeps_the_answer_from_being_clear(unknown: Known) -> None:
    answer = go_ahead(unknown)

    assert answer.standing is Standing.UNKNOWN
    assert len(answer.unknown) == 1


def test_a_certain_no_is_said_together_with_what_is_not_known() -> None:
    answer = go_ahead(replace(CLEAR, open_holds=2, silent=["intake"]))

    assert answer.standing is Standing.NO
    assert answer.sentence == "No: 2 open holds."
    assert answer.unknown == ("no word from intake for too long",)


def test_all_reasons_are_counted_and_not_only_the_first() -> None:
    shut = gate_state("infusion", [interval(-1, 9, "hold", "WO-CHEMO", "EV-CBC")], START, WORDS)

    answer = go_ahead(replace(CLEAR, open_holds=1, gate=shut))

    assert answer.sentence == (
        "No: 1 open hold, 1 rule against it and 1 item of evidence missing or too old."
    )


def test_a_closed_case_is_closed_whatever_its_gate_says() -> None:
    assert go_ahead(replace(CLEAR, closed_because="completed")).standing is Standing.CLOSED


def test_a_rule_clears_where_the_first_later_interval_lacks_it() -> None:
    rows = [
        interval(-3, 2, "hold", "WO-CHEMO", "EV-CBC", plan="hold"),
        interval(2, 5, "hold", "EV-CBC"),
        interval(5, 9, "go"),
    ]

    state = gate_state("infusion", rows, START, WORDS)

    assert state.verdict == "hold"
    assert [(b.rule, b.clears_at) for b in state.rules] == [
        ("WO-CHEMO", START + 2 * DAY),
        ("EV-CBC", START + 5 * DAY),
    ]
    assert (state.next_plan, state.next_go) == (START + 2 * DAY, START + 5 * DAY)
    assert [b.rule for b in state.conditions] == ["WO-CHEMO"]


def test_a_rule_that_stands_to_the_end_clears_at_no_known_time() -> None:
    state = gate_state("infusion", [interval(-1, 9, "hold", "WO-CHEMO")], START, WORDS)

    assert state.rules[0].clears_at is None
    assert state.rules[0].beyond_horizon


def test_intervals_are_closed_at_the_start_and_open_at_the_end() -> None:
    rows = [interval(-1, 0, "hold", "WO-CHEMO"), interval(0, 1, "go")]

    assert gate_state("infusion", rows, START, WORDS).verdict == "go"
    assert gate_state("infusion", rows, START - timedelta(microseconds=1), WORDS).verdict == "hold"
    assert gate_state("infusion", rows, START + DAY, WORDS).verdict is None


def test_another_gates_interval_says_nothing_of_this_one() -> None:
    other = replace(interval(-1, 1, "go"), gate="collection")

    assert gate_state("infusion", [other], START, WORDS).verdict is None


@given(
    closed=st.sampled_from([None, "completed"]),
    holds=st.integers(0, 2),
    parked=st.lists(st.just("intake"), max_size=1),
    waiting=st.integers(0, 2),
    silent=st.lists(st.just("intake"), max_size=1),
    verdict=st.sampled_from([None, "go", "review", "hold", "contraindicated"]),
)
def test_only_a_case_with_everything_known_and_nothing_against_it_is_clear(
    closed: str | None,
    holds: int,
    parked: list[str],
    waiting: int,
    silent: list[str],
    verdict: str | None,
) -> None:
    gate = replace(OPEN, verdict=verdict)

    answer = go_ahead(Known(closed, holds, 0, parked, waiting, silent, gate))

    harmless = not (closed or holds or parked or waiting or silent) and verdict == "go"
    assert (answer.standing is Standing.CLEAR) == harmless
