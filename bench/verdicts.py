"""Verdicts: a goal is met when every one of its limits is kept by what was measured.

Invariant: a figure that could not be told never counts as kept, and one limit that is missed makes
the goal missed, whatever could not be told beside it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.figures import Figure


class Outcome(StrEnum):
    """What is said of a goal."""

    MET = "met"
    MISSED = "missed"
    NOT_MEASURABLE = "not measurable here"


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound of a goal on the figure of that name; `at_least` or else at most."""

    figure: str
    bound: float
    at_least: bool = False

    def is_kept_by(self, value: float) -> bool:
        """Whether the value is on the right side of the bound, or on it."""
        return value >= self.bound if self.at_least else value <= self.bound

    @property
    def text(self) -> str:
        """The limit as people write it."""
        return f"{self.figure} {'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one goal and why it is not `met`."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()


def judge(limits: Sequence[Limit], figures: Mapping[str, Figure]) -> Verdict:
    """The verdict on a goal with these limits. Raises ValueError for a goal without limits."""
    if not limits:
        raise ValueError("a goal without a limit cannot be missed")
    missed: list[str] = []
    unknown: list[str] = []
    for limit in limits:
        figure = figures.get(limit.figure)
        if figure is None or figure.value is None or math.isnan(figure.value):
            why = figure.reason if figure and figure.reason else "not measured"
            unknown.append(f"{limit.figure}: {why}")
        elif not limit.is_kept_by(figure.value):
            missed.append(f"{limit.text}, measured {figure.value:.3g}")
    if missed:
        return Verdict(Outcome.MISSED, (*missed, *unknown))
    if unknown:
        return Verdict(Outcome.NOT_MEASURABLE, tuple(unknown))
    return Verdict(Outcome.MET)
