"""`make bench`: measures the goals that are asked for, writes the report, prints the table.

    python -m bench [--only P1,P3] [--pairs 3] [--write-docs]

Exit code 0 when everything that was asked for was measured, whatever the verdicts (a benchmark is
no test); 1 when a measurement failed.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run
from typing import Final

from bench import documents
from bench.figures import PAIRS_MIN, Figure
from bench.goals import GOALS
from bench.machine import moment
from bench.measure import MEASUREMENTS
from bench.report import Result, document, results, table
from bench.stage import Stage, stage
from shared.runtime.paths import CHECKOUT, default_paths

#: no measurement may take longer; the longest takes half of it on 2 quiet cores
MEASUREMENT_SECONDS_MAX: Final = 240.0
#: a quarter of an hour, with the start and the end of the servers
RUN_SECONDS_MAX: Final = 840.0
DOCUMENT: Final = CHECKOUT / "docs" / "performance.md"

Figures = Mapping[str, Mapping[str, Figure]]
Measure = Callable[[Stage, int], Awaitable[Figures]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run was asked for."""

    goals: frozenset[str]
    pairs: int
    write_docs: bool


def wanted(arguments: Sequence[str]) -> Wanted:
    """The order on the command line. Exits with 2 on one that cannot be followed."""
    parser = argparse.ArgumentParser(prog="make bench", description="Goals against floors.")
    parser.add_argument("--only", default=",".join(GOALS), help="goals, with commas between")
    parser.add_argument("--pairs", type=int, default=PAIRS_MIN, help="at least 3")
    parser.add_argument("--write-docs", action="store_true", help=f"also {DOCUMENT.name}")
    found = parser.parse_args(arguments)
    goals = frozenset(found.only.upper().split(","))
    unknown = sorted(goals - GOALS.keys())
    if unknown:
        parser.error(f"no such goal: {', '.join(unknown)}; there are {', '.join(GOALS)}")
    if found.pairs < PAIRS_MIN:
        parser.error(f"a median needs at least {PAIRS_MIN} pairs")
    if found.write_docs and goals != GOALS.keys():
        parser.error("the document is written from a whole run alone")
    return Wanted(goals, found.pairs, found.write_docs)


async def measure_all(stage: Stage, order: Wanted) -> list[Result]:
    """The results, in the order of the goals; a failed measurement is told of as such."""
    found: dict[str, Result] = {}
    ends = time.monotonic() + RUN_SECONDS_MAX
    for goals, measure in MEASUREMENTS:
        asked = [goal for goal in goals if goal in order.goals]
        if asked:
            left = min(MEASUREMENT_SECONDS_MAX, ends - time.monotonic())
            for result in await _measured(stage, asked, measure, order.pairs, left):
                found[result.goal.name] = _joined(found.get(result.goal.name), result)
    return [found[name] for name in GOALS if name in found and name in order.goals]


async def _measured(
    stage: Stage, asked: Sequence[str], measure: Measure, pairs: int, seconds: float
) -> list[Result]:
    sys.stderr.write(f"measuring {', '.join(asked)} …\n")
    before, began = moment(stage.directory), time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            figures = await measure(stage, pairs)
    except Exception as error:
        traceback.print_exception(error)
        reason = f"the measurement failed: {type(error).__name__}"
        figures = {goal: _failed(goal, reason) for goal in asked}
    return results(figures, before, moment(stage.directory), time.monotonic() - began)


def _failed(goal: str, reason: str) -> Mapping[str, Figure]:
    return {limit.figure: Figure(None, "", reason=reason) for limit in GOALS[goal].limits}


def _joined(known: Result | None, result: Result) -> Result:
    """Figures of one goal may come from several measurements."""
    if known is None:
        return result
    return Result(
        result.goal, {**known.figures, **result.figures}, known.before, result.after,
        known.seconds + result.seconds,
    )  # fmt: skip


def _commit() -> str:
    told = run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stdout.strip() or "unknown"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, writes, prints."""
    order = wanted(sys.argv[1:] if arguments is None else arguments)
    # as Ctrl-C: what was started is stopped
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    var = default_paths().var
    var.mkdir(parents=True, exist_ok=True)
    with stage(var / "bench") as servers:
        found = asyncio.run(measure_all(servers, order))
    report = document(found, commit=_commit(), at=datetime.now(UTC).isoformat(timespec="seconds"))
    target: Path = var / "bench-report.json"
    target.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(table(report) + "\n")
    if order.write_docs:
        documents.write(DOCUMENT, report)
    return int(any("failed" in reason for r in found for reason in r.verdict.reasons))


if __name__ == "__main__":
    raise SystemExit(main())
