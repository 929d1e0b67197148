"""The report says what was measured: no verdict is written by hand; the table is replaced."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NoReturn
from unittest.mock import MagicMock

import pytest

from bench.__main__ import measure_all, wanted
from bench.documents import BEGIN, END, written
from bench.figures import Figure, largest, ratio
from bench.goals import GOALS
from bench.machine import Moment
from bench.measure import MEASUREMENTS
from bench.report import Result, document, results, table
from bench.stage import Stage
from bench.verdicts import Outcome

QUIET = Moment(load=0.2, fsync_p50_ms=0.4, fsync_p90_ms=4.0)
MARKED = f"# Performance\n{BEGIN}\nold table\n{END}\nHow to run.\n"


def measured(throughput: float) -> Result:
    figure = ratio([100.0] * 3, [100.0 * throughput] * 3, unit="events/s")
    (result,) = results({"P1": {"throughput ratio": figure}}, QUIET, QUIET, 1.0)
    return result


def test_a_missed_goal_is_reported_as_missed() -> None:
    report = document([measured(0.5)], commit="abc", at="2026-11-23T12:00:00+00:00")

    (goal,) = report["goals"]
    assert goal["verdict"] == "missed"
    assert goal["reasons"] == ["throughput ratio ≥ 0.9, measured 0.5"]
    assert "| missed (throughput ratio ≥ 0.9, measured 0.5) |" in table(report)


def test_a_goal_that_is_met_is_reported_as_met_with_its_runs() -> None:
    (goal,) = document([measured(1.0)], commit="abc", at="2026-11-23")["goals"]

    assert (goal["verdict"], goal["reasons"]) == ("met", [])
    assert goal["figures"]["throughput ratio"]["floor"] == [100.0] * 3


def test_a_goal_that_could_not_be_measured_says_why() -> None:
    unknown = {"throughput ratio": Figure(None, "", reason="no broker")}
    (goal,) = document([replace(measured(1.0), figures=unknown)], commit="a", at="b")["goals"]

    assert (goal["verdict"], goal["reasons"]) == (
        "not measurable here", ["throughput ratio: no broker"],
    )  # fmt: skip


@pytest.mark.parametrize(("load", "loaded"), [(1.5, False), (1.51, True)])
def test_a_machine_that_others_use_is_marked(load: float, loaded: bool) -> None:
    result = replace(measured(1.0), before=replace(QUIET, load=load))

    assert document([result], commit="abc", at="2026")["goals"][0]["loaded"] is loaded


def test_the_table_replaces_the_old_one_and_nothing_else() -> None:
    report = document([measured(1.0)], commit="abc", at="2026-11-23T12:00:00+00:00")

    once = written(MARKED, report)

    assert "old table" not in once
    assert once.startswith("# Performance\n")
    assert once.endswith("\nHow to run.\n")
    assert "Commit abc, 2026-11-23" in once
    assert written(once, report) == once


@pytest.mark.parametrize("text", ["no marks", BEGIN, f"{BEGIN}{BEGIN}{END}"])
def test_a_document_without_its_marks_is_left_alone(text: str) -> None:
    report = document([measured(1.0)], commit="abc", at="2026-11-23")

    with pytest.raises(ValueError, match="both marks"):
        written(text, report)


def test_every_goal_is_measured_by_something() -> None:
    assert {goal for goals, _ in MEASUREMENTS for goal in goals} == GOALS.keys()


def test_a_run_may_ask_for_some_goals() -> None:
    order = wanted(["--only", "p1,P3"])

    assert (order.goals, order.pairs) == (frozenset({"P1", "P3"}), 3)


@pytest.mark.parametrize(
    "arguments", [["--only", "P99"], ["--pairs", "2"], ["--only", "P1", "--write-docs"]]
)
def test_an_order_that_would_mislead_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        wanted(arguments)

    assert refused.value.code == 2


async def broken(_: Stage, __: int) -> NoReturn:
    raise OSError("no disk")


async def endless(_: Stage, __: int) -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    ("measure", "why"),
    [
        (broken, "the measurement failed: OSError"),
        (endless, "the measurement failed: TimeoutError"),
    ],
)
async def test_a_measurement_that_fails_or_hangs_leaves_the_others_their_turn(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measure: Callable[[Stage, int], Awaitable[NoReturn]],
    why: str,
) -> None:
    async def fine(_: Stage, __: int) -> Mapping[str, Mapping[str, Figure]]:
        return {"C2": {"share of a core": largest([1.0], unit="%")}}

    monkeypatch.setattr("bench.__main__.MEASUREMENTS", ((("P1",), measure), (("C2",), fine)))
    monkeypatch.setattr("bench.__main__.MEASUREMENT_SECONDS_MAX", 0.01)
    stage = Stage(infra=MagicMock(), pid=0, directory=tmp_path)

    failed, done = await measure_all(stage, wanted(["--only", "P1,C2"]))

    assert failed.verdict.outcome is Outcome.NOT_MEASURABLE
    assert failed.verdict.reasons == (f"throughput ratio: {why}",)
    assert done.verdict.outcome is Outcome.MET
