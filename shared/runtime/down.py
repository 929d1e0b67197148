"""Ends a run from another shell, also one whose runner is gone.

Invariant: only processes that the run's state file names, and that still are those processes, get
a signal.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from shared.runtime import run_state
from shared.runtime.paths import Paths
from shared.runtime.programs import NotYet, wait_until
from shared.runtime.run_state import RunningProgram, RunState

# Services may take 30 s, then Kafka 15 s and PostgreSQL 20 s; all containers together 120 s.
RUNNER_SECONDS = 135.0
LEFTOVER_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Ended:
    """What was ended: the runner, if it ran, and programs that it had left behind."""

    runner: bool
    leftovers: tuple[str, ...]

    @property
    def anything(self) -> bool:
        """True if something ran at all."""
        return self.runner or bool(self.leftovers)


async def end_run(paths: Paths, *, runner_seconds: float = RUNNER_SECONDS) -> Ended:
    """Returns when nothing of the run is left."""
    state = run_state.read(paths.run_state)
    if state is None:
        return Ended(runner=False, leftovers=())
    runner = await _end_runner(state, runner_seconds)
    # The state may have grown while the runner was on its way out.
    state = run_state.read(paths.run_state) or state
    leftovers = [await _end_leftover(program) for program in state.leftovers()]
    paths.run_state.unlink(missing_ok=True)
    return Ended(runner=runner, leftovers=tuple(leftovers))


async def _end_runner(state: RunState, seconds: float) -> bool:
    if not state.runner.send(signal.SIGTERM):
        return False
    if not await _gone(state.runner.is_alive, seconds):
        state.runner.send(signal.SIGKILL)
        await _gone(state.runner.is_alive, LEFTOVER_SECONDS)
    return True


async def _end_leftover(program: RunningProgram) -> str:
    program.process.send(signal.Signals(program.stop_signal))
    if not await _gone(program.process.is_alive, LEFTOVER_SECONDS):
        program.process.send_group(signal.SIGKILL)
        await _gone(program.process.is_alive, LEFTOVER_SECONDS)
    return program.name


async def _gone(is_alive: Callable[[], bool], seconds: float) -> bool:
    async def gone() -> bool:
        return not is_alive()

    try:
        await wait_until(gone, "the end of a process", within_seconds=seconds)
    except NotYet:
        return False
    return True
