"""Starts `tandem up` as a process of its own that goes on after this one has returned."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from shared.runtime import run_state
from shared.runtime.paths import Paths
from shared.runtime.run_state import RunState

# The first time, fetching Kafka's jars or building and pulling images is the long part; the run
# has its own, shorter limits.
READY_SECONDS_MAX = 2100.0
# Containers may take 120 s to go.
STOP_SECONDS_MAX = 150.0
PAUSE_SECONDS = 0.1
LINES_SHOWN = 30


class DidNotStart(RuntimeError):
    """The run ended before it was ready; the text is the end of its log."""

    def __init__(self, problem: str, exit_code: int) -> None:
        super().__init__(problem)
        self.exit_code = exit_code


def start(paths: Paths, *words: str) -> RunState:
    """Returns the state of the run when it is ready; raises `DidNotStart`.

    `words` are further words of the command.

    An interruption while waiting ends the run as well: nothing stays that nobody was told of.
    """
    paths.logs.mkdir(parents=True, exist_ok=True)
    log = paths.logs / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "services.console.cli", "up", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        state = _wait_until_ready(process, paths, log)
    except BaseException:
        _end(process)
        raise
    # It is no longer ours to wait for.
    process.returncode = 0
    return state


def _wait_until_ready(process: "subprocess.Popen[bytes]", paths: Paths, log: Path) -> RunState:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while process.poll() is None:
        state = run_state.read(paths.run_state)
        if state is not None and state.runner.pid == process.pid and state.phase == "ready":
            return state
        if time.monotonic() > deadline:
            raise DidNotStart(f"not ready after {READY_SECONDS_MAX:g} s; see {log}", 1)
        time.sleep(PAUSE_SECONDS)
    lines = log.read_text(errors="replace").splitlines()[-LINES_SHOWN:]
    raise DidNotStart("\n".join(lines), process.returncode or 1)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(timeout=STOP_SECONDS_MAX)
