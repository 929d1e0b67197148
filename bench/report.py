"""The report of a run: everything measured, as JSON, as a table for people, and as documentation.

Invariant: what is written of a goal comes from its figures and `judge`; nothing here decides.
"""

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.figures import Figure
from bench.goals import GOALS, Goal
from bench.machine import QUIET_LOAD, Moment, cores, memory_gb
from bench.verdicts import Verdict, judge


@dataclass(frozen=True, slots=True)
class Result:
    """What a measurement found for one goal, and the machine before and after it."""

    goal: Goal
    figures: Mapping[str, Figure]
    before: Moment
    after: Moment
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """Judged from the figures, each time anew."""
        return judge(self.goal.limits, self.figures)

    @property
    def is_loaded(self) -> bool:
        """Whether others used the machine when the measurement began."""
        return self.before.load > QUIET_LOAD


def results(
    figures: Mapping[str, Mapping[str, Figure]], before: Moment, after: Moment, seconds: float
) -> list[Result]:
    """One result for each goal that a measurement has figures for."""
    return [Result(GOALS[name], found, before, after, seconds) for name, found in figures.items()]


def document(found: Sequence[Result], *, commit: str, at: str) -> dict[str, Any]:
    """The report as JSON."""
    return {
        "at": at,
        "commit": commit,
        "machine": {
            "cores": cores(), "memory_gb": round(memory_gb()),
            "python": platform.python_version(),
        },
        "goals": [_goal(result) for result in found],
    }  # fmt: skip


def _goal(result: Result) -> dict[str, Any]:
    return {
        "goal": result.goal.name,
        "text": result.goal.text,
        "limits": [limit.text for limit in result.goal.limits],
        "verdict": result.verdict.outcome.value,
        "reasons": list(result.verdict.reasons),
        "figures": {name: _figure(figure) for name, figure in result.figures.items()},
        "loaded": result.is_loaded,
        "load": [result.before.load, result.after.load],
        "fsync_p50_ms": [result.before.fsync_p50_ms, result.after.fsync_p50_ms],
        "fsync_p90_ms": [result.before.fsync_p90_ms, result.after.fsync_p90_ms],
        "seconds": round(result.seconds, 1),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "value": None if figure.value is None else round(figure.value, 4),
        "unit_of_runs": figure.unit,
        "floor": [round(run, 4) for run in figure.floor],
        "ours": [round(run, 4) for run in figure.ours],
        "reason": figure.reason,
    }


HEADER = ("goal", "what", "limit", "measured", "verdict", "load, fsync p50/p90")


def rows(report: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    """The rows of the table, from a report as JSON."""
    for goal in report["goals"]:
        measured = "; ".join(_told(name, figure) for name, figure in goal["figures"].items())
        reasons = f" ({'; '.join(goal['reasons'])})" if goal["reasons"] else ""
        load = f"{goal['load'][0]:.1f}{' (loaded)' if goal['loaded'] else ''}"
        disk = f"{goal['fsync_p50_ms'][0]:.2f}/{goal['fsync_p90_ms'][0]:.2f} ms"
        yield (
            goal["goal"], goal["text"], "; ".join(goal["limits"]), measured,
            goal["verdict"] + reasons, f"{load}, {disk}",
        )  # fmt: skip


def _told(name: str, figure: Mapping[str, Any]) -> str:
    value = "?" if figure["value"] is None else f"{figure['value']:.3g}"
    if not figure["floor"]:
        return f"{name} {value} {figure['unit_of_runs']}"
    floor, ours = (_span(figure[side]) for side in ("floor", "ours"))
    return f"{name} {value} (floor {floor}, ours {ours} {figure['unit_of_runs']})"


def _span(runs: Sequence[float]) -> str:
    low, high = f"{min(runs):.3g}", f"{max(runs):.3g}"
    return low if low == high else f"{low} to {high}"


def table(report: Mapping[str, Any]) -> str:
    """The table in Markdown."""
    lines = [HEADER, tuple("---" for _ in HEADER), *rows(report)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
