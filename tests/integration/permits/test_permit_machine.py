"""Random schedules of authority and holders on real PostgreSQL, checked after every step.

Invariants I1-I5 and I8 of the start permit, with presses interrupted in every gap, time passing,
words lost, late, doubled, and people doing whatever they do. Defects are planted and must be found.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from permit_defects import DEFECTS, Defect
from permit_machine import PermitMachine
from permit_stage import BACKEND, Stage, a_stage

from shared.testing.infra import Infra

#: set it to search deeper: more runs of the same machine
RUNS: Final = int(os.environ.get("TANDEM_PERMIT_RUNS", "60"))
STEPS: Final = 8
NEEDED: Final = frozenset(
    {"granted", "go", "NO_PERMIT", "ACK", "LAPSE", "CONSUMED", "crash", "unpermitted", "recover"}
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60 + RUNS)]


@pytest.fixture(scope="module")
def shared_stage(infra: Infra) -> Iterator[Stage]:
    """Databases and an event loop for all runs of all tests here."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        stack = AsyncExitStack()
        yield runner.run(stack.enter_async_context(a_stage(infra)))
        runner.run(stack.aclose())


@pytest.fixture
def stage(shared_stage: Stage) -> Stage:
    shared_stage.clear()
    PermitMachine.stage = shared_stage
    return shared_stage


def explore(runs: int) -> None:
    """Raises AssertionError for the first schedule that breaks an invariant."""
    run_state_machine_as_test(
        PermitMachine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=STEPS,
            backend=BACKEND,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            report_multiple_bugs=False,
        ),
    )


def test_no_schedule_breaks_an_invariant(stage: Stage, record_property: Any) -> None:
    explore(RUNS)

    record_property("counts", stage.counts)
    missing = NEEDED - set(stage.counts)
    assert not missing, f"nothing was shown for {missing}: {stage.counts}"


def test_the_same_schedules_come_each_time(stage: Stage) -> None:
    trails = []
    for _ in range(2):
        stage.clear()
        explore(5)
        trails.append(stage.trail)

    assert trails[0] == trails[1]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_the_machine_finds(stage: Stage, defect: Defect, monkeypatch: pytest.MonkeyPatch) -> None:
    defect(stage, monkeypatch)

    with pytest.raises(AssertionError, match=DEFECTS[defect]):
        explore(4 * RUNS)
