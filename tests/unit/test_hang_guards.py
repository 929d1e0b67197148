"""How long a test may take before it counts as hung."""

import pytest
from hypothesis import given, is_hypothesis_test, settings
from hypothesis import strategies as st

OWN_SECONDS = 77


@given(st.integers())
@settings(max_examples=1)
def test_a_search(number: int) -> None:
    assert isinstance(number, int)


@pytest.mark.timeout(OWN_SECONDS)
@given(st.integers())
@settings(max_examples=1)
def test_a_search_with_a_limit_of_its_own(number: int) -> None:
    assert isinstance(number, int)


def test_a_search_gets_more_time_than_one_wait(request: pytest.FixtureRequest) -> None:
    """The ordinary guard cut a search of 1,000 examples short on a machine that stood still."""
    ordinary = float(request.config.getini("timeout"))
    searches = {
        item.name: item.get_closest_marker("timeout")
        for item in request.session.items
        if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj)
    }

    assert searches
    for name, guard in searches.items():
        assert guard is not None, name
        assert guard.args[0] > ordinary, name
    own = searches.get("test_a_search_with_a_limit_of_its_own")
    assert own is None or own.args == (OWN_SECONDS,)


def test_any_other_test_keeps_the_ordinary_guard(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("timeout") is None
