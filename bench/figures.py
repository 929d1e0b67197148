"""The statistics of the benchmark: medians of pairs, percentiles by nearest rank.

Floor and ours are measured turn about, and each pair gives one ratio, so that a machine that slows
down or speeds up during the run moves both sides of a ratio alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

#: a run whose floors differ by more than this tells nothing
FLOORS_DIFFER_MAX: Final = 2.0
PAIRS_MIN: Final = 3


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed. Raises ValueError."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a goal. `value` is None when it cannot be told; `reason` then says why.

    `floor` and `ours` are the runs in the order in which they were made; a figure without a floor
    has none.
    """

    value: float | None
    unit: str
    ours: tuple[float, ...] = ()
    floor: tuple[float, ...] = ()
    reason: str | None = None


def ratio(floor: Sequence[float], ours: Sequence[float], *, unit: str) -> Figure:
    """The median of ours / floor, pair by pair. `unit` is that of the runs."""
    reason = _why_no_ratio(floor, ours)
    value = None
    if reason is None:
        value = median(mine / theirs for theirs, mine in zip(floor, ours, strict=True))
    return Figure(value, unit, tuple(ours), tuple(floor), reason)


def _why_no_ratio(floor: Sequence[float], ours: Sequence[float]) -> str | None:
    if len(floor) != len(ours) or len(floor) < PAIRS_MIN:
        return f"fewer than {PAIRS_MIN} pairs"
    if min(floor) <= 0:
        return "a floor of nothing"
    apart = max(floor) / min(floor)
    if apart > FLOORS_DIFFER_MAX:
        return f"the floors of this run differ {apart:.1f} times"
    return None


def middle(runs: Sequence[float], *, unit: str) -> Figure:
    """The median of runs that have no floor."""
    if not runs:
        return Figure(None, unit, reason="not measured")
    return Figure(median(runs), unit, tuple(runs))


def largest(runs: Sequence[float], *, unit: str) -> Figure:
    """The largest run: for what may never be more."""
    if not runs:
        return Figure(None, unit, reason="not measured")
    return Figure(max(runs), unit, tuple(runs))
