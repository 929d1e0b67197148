"""Signs at which an infusion is paused or stopped, read from the rulebook's stop triggers.

The rulebook states them as short texts (`spo2 < 90 %`, `temp rise >= 1.0 Cel`, `sbp < 90 mm[Hg] or
fall > 30 % from baseline`); everything that is no comparison is the name of a sign that a nurse
reports. No limit stands in code. A value that is not given triggers nothing and hides nothing: the
monitoring schedule tells when one is missing.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

Change = Literal["value", "rise", "fall"]

_NUMBER: Final = r"(?P<limit>\d+(?:\.\d+)?)"
_COMPARISON: Final = re.compile(
    rf"^(?:(?P<metric>(?!rise\b|fall\b)[a-z][a-z0-9_]*)\s+)?(?:(?P<change>rise|fall)\s+)?(?P<op><=|>=|<|>)\s*{_NUMBER}"
    r"\s*(?P<unit>\S+)?(?:\s+from baseline)?$"
)
_RANGE: Final = re.compile(
    r"^(?P<metric>[a-z][a-z0-9_]*)\s+(?P<low>\d+(?:\.\d+)?)-(?P<high>\d+(?:\.\d+)?)\s*(?P<unit>\S+)$"
)
#: the rulebook's short word for a metric
_METRICS: Final = {"temp": "body_temp"}
_COMPARE: Final[Mapping[str, Callable[[Fraction, Fraction], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison. A fall in `%` is relative to the baseline; other changes are absolute."""

    metric: str
    change: Change
    comparator: str
    limit: Fraction
    unit: str
    upper: Fraction | None = None

    def is_met(self, value: Fraction, baseline: Fraction | None) -> bool:
        """Whether the measured value meets it; a change without a baseline is not known, so no."""
        if self.upper is not None:
            return self.limit <= value <= self.upper
        compare = _COMPARE[self.comparator]
        if self.change == "value":
            return compare(value, self.limit)
        if baseline is None:
            return False
        moved = value - baseline if self.change == "rise" else baseline - value
        if self.unit == "%" and self.change == "fall":
            return baseline > 0 and compare(moved * 100 / baseline, self.limit)
        return compare(moved, self.limit)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A rule with what meets it: any comparison, or any reported sign."""

    rule: str
    action: str
    stops: bool
    comparisons: tuple[Comparison, ...]
    signs: frozenset[str]


def read_trigger(rule: str, action: str, texts: Sequence[str]) -> Trigger:
    """The trigger in the rulebook's texts. Raises ValueError for a comparison without a metric."""
    comparisons: list[Comparison] = []
    signs: set[str] = set()
    for text in texts:
        found = _comparisons(text)
        comparisons.extend(found)
        if not found:
            signs |= {sign.strip() for sign in re.split(r",| or ", text) if sign.strip()}
    stops = action.startswith("stop")
    return Trigger(rule, action, stops, tuple(comparisons), frozenset(signs))


def _comparisons(text: str) -> list[Comparison]:
    found: list[Comparison] = []
    for part in text.split(" or "):
        made = _comparison(part.strip(), found[-1].metric if found else None)
        if made is None:
            return []
        found.append(made)
    return found


def _comparison(text: str, metric_before: str | None) -> Comparison | None:
    if span := _RANGE.match(text):
        named = _METRICS.get(span["metric"], span["metric"])
        return Comparison(
            named, "value", ">=", Fraction(span["low"]), span["unit"], Fraction(span["high"])
        )
    match = _COMPARISON.match(text)
    if match is None:
        return None
    metric: str | None = match["metric"] or metric_before
    if metric is None:
        raise ValueError(f"no metric in {text!r}")
    change: Change = "value"
    if match["change"] is not None:
        change = "rise" if match["change"] == "rise" else "fall"
    return Comparison(
        _METRICS.get(metric, metric), change, match["op"], Fraction(match["limit"]),
        match["unit"] or "",
    )  # fmt: skip


def triggers_met(
    triggers: Sequence[Trigger],
    measures: Mapping[str, Fraction],
    baseline: Mapping[str, Fraction],
    signs: frozenset[str],
) -> tuple[Trigger, ...]:
    """The triggers that these vital signs and reported signs meet, in the rulebook's order.

    `measures` and `baseline` map the metric to its value in the rulebook's unit.
    """
    return tuple(t for t in triggers if _is_met(t, measures, baseline, signs))


def _is_met(
    trigger: Trigger,
    measures: Mapping[str, Fraction],
    baseline: Mapping[str, Fraction],
    signs: frozenset[str],
) -> bool:
    if trigger.signs & signs:
        return True
    return any(
        comparison.is_met(measures[comparison.metric], baseline.get(comparison.metric))
        for comparison in trigger.comparisons
        if comparison.metric in measures
    )
