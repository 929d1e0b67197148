"""`tandem demo --once` as a process: the story holds, the report says so, and nothing is left."""

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.paths import CHECKOUT
from shared.runtime.ports import free_ports
from tests.integration.test_tandem_up import SEED, Installation

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600)]

#: during the start of the servers, of the services, and in the middle of the story
MOMENTS_SECONDS = [round(random.Random(SEED + n).uniform(1, 35), 1) for n in range(2)]  # noqa: S311
FIGURES_ABOVE_ZERO = (
    "events_published", "holds_recorded", "holds_effective", "starts_granted",
    "starts_refused_by_the_authority", "starts_given_go", "facts_imported", "facts_entered",
)  # fmt: skip


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    found = Installation(tmp_path / "var", CHECKOUT / "var", free_ports(3))
    yield found
    for process in found.runs:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


async def played(installation: Installation) -> tuple[int, str]:
    process = await installation.tandem("demo", "--once", "--fast")
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_the_demo_holds_and_leaves_a_report_and_nothing_else(
    installation: Installation,
) -> None:
    returncode, printed = await played(installation)

    assert returncode == 0, printed[-6000:]
    report = json.loads((installation.var / "demo-report.json").read_text())
    assert report["held"] is True
    assert_told(report)
    assert "unknown opens no gate" in printed
    assert "starts_against_an_effective_hold" not in printed.splitlines()[0]
    await installation.until_nothing_is_left()


def assert_told(report: dict[str, Any]) -> None:
    figures = report["figures"]
    assert [name for name in FIGURES_ABOVE_ZERO if not figures[name]] == []
    for way in ("NO_PERMIT", "ACK", "LAPSE"):
        assert figures["holds_effective_by"][way] > 0, way
    assert figures["starts_against_an_effective_hold"] == 0
    assert figures["events_unsent"] == 0
    assert figures["duplicates_dropped"] >= 0
    letters = "".join(beat["name"][:3] for beat in report["beats"] if beat["name"][0] == "(")
    assert letters == "(a)(b)(c)(d)(e)(f)(e)"
    assert all(beat["seconds"] > 0 and all(beat["checks"].values()) for beat in report["beats"])


@pytest.mark.parametrize("seconds", MOMENTS_SECONDS)
async def test_ctrl_c_at_any_second_leaves_no_process_and_no_port(
    installation: Installation, seconds: float
) -> None:
    process = await installation.tandem("demo", "--once", "--fast")
    reading = asyncio.create_task(process.communicate())
    await asyncio.sleep(seconds)

    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(reading, 60)

    await installation.until_nothing_is_left()


async def test_stores_that_no_demo_filled_are_left_alone(installation: Installation) -> None:
    kept = installation.var / "postgres" / "data" / "PG_VERSION"
    kept.parent.mkdir(parents=True)
    kept.write_text("18\n")

    returncode, printed = await played(installation)

    assert returncode == 2
    assert "no demo wrote" in printed
    assert kept.read_text() == "18\n"
