"""Chains of causes: effects below their causes, in the order in which they were sent."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.pages.chains import Logged, causal_order, chains, merged_detail
from shared.contracts.vocabulary import Service
from tests.unit.console.console_events import known_id, logged

_SUSPENDED = "tandem.infusion.infusion-suspended.v1"


def names(steps: object, *events: Logged) -> list[tuple[str, int]]:
    """Each step as (name of its first event, depth)."""
    called = {event.event_id: name for name, event in zip("abcdefgh", events, strict=False)}
    return [(called[step.event.event_id], step.depth) for step in steps]  # type: ignore[attr-defined]


def test_an_effect_stands_below_its_cause_although_its_clock_was_behind() -> None:
    cause = logged("cause", after_ms=100)
    effect = logged("effect", cause="cause", after_ms=40)

    steps = causal_order([effect, cause], together=False)

    assert names(steps, cause, effect) == [("a", 0), ("b", 1)]
    assert steps[1].after_ms == (-60, -60)


def test_effects_of_one_cause_stand_in_the_order_in_which_they_were_sent() -> None:
    root = logged("root")
    late = logged("late", cause="root", after_ms=90)
    early = logged("early", cause="root", after_ms=30)
    below_early = logged("below", cause="early", after_ms=200)

    steps = causal_order([late, below_early, early, root], together=False)

    assert names(steps, root, early, below_early, late) == [("a", 0), ("b", 1), ("c", 2), ("d", 1)]
    assert [step.after_ms for step in steps] == [None, (30, 30), (170, 170), (90, 90)]


def test_events_of_one_type_and_cause_make_one_step_in_the_compact_view() -> None:
    root = logged("root")
    suspended = [
        logged(f"s{n}", cause="root", after_ms=100 + n, wire_type=_SUSPENDED,
               source=Service.INFUSION_SCHEDULING, detail={"cause": "hold", "number": n})
        for n in (1, 2, 3)
    ]  # fmt: skip
    told = logged("told", cause="s2", after_ms=300)

    steps = causal_order([root, *suspended, told], together=True)

    assert [(len(step.events), step.depth) for step in steps] == [(1, 0), (3, 1), (1, 2)]
    assert steps[1].after_ms == (101, 103)
    assert steps[1].detail == {"cause": "hold", "number": ["1", "2", "3"]}


def test_long_values_that_differ_are_left_to_the_full_view() -> None:
    details = [{"cause": "hold", "planned_at": f"2027-03-{n:02}T08:00:00Z"} for n in range(1, 9)]

    assert merged_detail(details) == {"cause": "hold"}


def test_events_of_different_requests_are_different_chains_newest_first() -> None:
    older = logged("older", chain="one")
    newer = logged("newer", chain="two", after_ms=10)

    found = chains([older, newer], together=True)

    assert [chain.correlation_id for chain in found] == [known_id("two"), known_id("one")]


def test_a_forged_ring_of_causes_is_shown_all_the_same() -> None:
    one = logged("one", cause="two")
    two = logged("two", cause="one", after_ms=5)
    itself = logged("itself", cause="itself", after_ms=9)

    steps = causal_order([one, two, itself], together=False)

    assert {step.event.event_id for step in steps} == {e.event_id for e in (one, two, itself)}


@given(st.data())
def test_any_tree_in_any_order_is_whole_and_causal(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 12))
    events = [logged("0")]
    for n in range(1, size):
        parent = data.draw(st.integers(0, n - 1))
        delay = data.draw(st.integers(0, 50))
        events.append(logged(str(n), cause=str(parent), after_ms=delay))
    shuffled = data.draw(st.permutations(events))
    together = data.draw(st.booleans())

    steps = causal_order(shuffled, together=together)

    order = [event.event_id for step in steps for event in step.events]
    assert sorted(order) == sorted(event.event_id for event in events)
    place = {event_id: i for i, event_id in enumerate(order)}
    for event in events:
        cause = event.causation_id
        assert cause is None or place[cause] < place[event.event_id]
    assert steps == causal_order(events, together=together)


@pytest.mark.parametrize("together", [True, False])
def test_no_events_make_no_steps(together: bool) -> None:
    assert causal_order([], together=together) == ()
    assert chains([], together=together) == ()
    assert isinstance(known_id("x"), UUID)
