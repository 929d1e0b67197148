"""Verdicts come from figures: each way in which a goal can fail to be met is planted and seen."""

import math

import pytest

from bench.figures import Figure, largest, middle, percentile, ratio
from bench.goals import GOALS
from bench.verdicts import Limit, Outcome, judge

AT_LEAST = Limit("speed", 0.9, at_least=True)
AT_MOST = Limit("delay", 1.5)


def told(value: float | None, reason: str | None = None) -> Figure:
    return Figure(value, "x", reason=reason)


@pytest.mark.parametrize("value", [0.9, 0.91, 40.0])
def test_a_figure_on_the_bound_or_beyond_meets_an_at_least(value: float) -> None:
    assert judge([AT_LEAST], {"speed": told(value)}).outcome is Outcome.MET


def test_a_missed_at_least_is_missed_and_says_by_what() -> None:
    verdict = judge([AT_LEAST], {"speed": told(0.899)})

    assert verdict.outcome is Outcome.MISSED
    assert verdict.reasons == ("speed ≥ 0.9, measured 0.899",)


def test_a_missed_at_most_is_missed() -> None:
    assert judge([AT_MOST], {"delay": told(1.51)}).outcome is Outcome.MISSED


def test_one_missed_limit_of_several_makes_the_goal_missed() -> None:
    figures = {"speed": told(2.0), "delay": told(9.0)}

    assert judge([AT_LEAST, AT_MOST], figures).outcome is Outcome.MISSED


def test_a_missed_limit_is_not_hidden_by_one_that_could_not_be_told() -> None:
    verdict = judge([AT_LEAST, AT_MOST], {"speed": told(None, "no disk"), "delay": told(9.0)})

    assert verdict.outcome is Outcome.MISSED
    assert verdict.reasons == ("delay ≤ 1.5, measured 9", "speed: no disk")


@pytest.mark.parametrize("figure", [None, told(None), told(math.nan)])
def test_what_was_not_measured_is_never_met(figure: Figure | None) -> None:
    verdict = judge([AT_MOST], {} if figure is None else {"delay": figure})

    assert verdict.outcome is Outcome.NOT_MEASURABLE
    assert verdict.reasons == ("delay: not measured",)


def test_a_goal_without_limits_is_refused() -> None:
    with pytest.raises(ValueError, match="without a limit"):
        judge([], {})


def test_every_goal_has_a_limit_and_none_is_met_by_nothing() -> None:
    assert {judge(goal.limits, {}).outcome for goal in GOALS.values()} == {Outcome.NOT_MEASURABLE}


def test_a_ratio_is_the_median_of_the_pairs_not_the_ratio_of_the_medians() -> None:
    # the machine slowed down fivefold in the last pair: both sides alike
    figure = ratio([100.0, 110.0, 60.0], [90.0, 88.0, 66.0], unit="events/s")

    assert figure.value == pytest.approx(0.9)


def test_two_pairs_are_no_median() -> None:
    figure = ratio([1.0, 1.0], [1.0, 1.0], unit="ms")

    assert (figure.value, figure.reason) == (None, "fewer than 3 pairs")


def test_floors_that_differ_more_than_twofold_tell_nothing() -> None:
    figure = ratio([100.0, 100.0, 49.0], [90.0, 90.0, 90.0], unit="events/s")

    assert (figure.value, figure.reason) == (None, "the floors of this run differ 2.0 times")


def test_floors_that_differ_twofold_still_count() -> None:
    assert ratio([100.0, 100.0, 50.0], [90.0, 90.0, 90.0], unit="events/s").value == 0.9


def test_a_floor_of_nothing_is_no_divisor() -> None:
    assert ratio([1.0, 0.0, 1.0], [1.0, 1.0, 1.0], unit="ms").reason == "a floor of nothing"


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.5, 5.0), (0.9, 9.0), (0.99, 10.0), (1.0, 10.0)]
)
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    values = [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]

    assert percentile(values, share) == expected


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_runs_without_a_floor_give_their_middle_or_their_worst() -> None:
    assert middle([3.0, 1.0, 2.0], unit="ms").value == 2.0
    assert largest([3.0, 1.0, 2.0], unit="MB").value == 3.0
    assert (middle([], unit="ms").value, largest([], unit="MB").value) == (None, None)
