"""Tells one process from a later one that got the same number.

Invariant: nothing is signalled on the strength of a process id alone.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# /proc/<pid>/stat, counted after the command's closing parenthesis: state first, then start time.
_STATE = 0
_START_TIME = 19
_GONE = frozenset({"Z", "X", "x"})


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process: its number, and when it started in the words of this machine's kernel."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        """True while this very process runs; a zombie does not."""
        return started(self.pid) == self.started

    def send(self, signal_: signal.Signals) -> bool:
        """Signals the process, and says whether it was still there."""
        if not self.is_alive():
            return False
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal_)
            return True
        return False

    def send_group(self, signal_: signal.Signals) -> bool:
        """Signals the process and the group that it leads, and says whether it was still there."""
        if not self.is_alive():
            return False
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal_)
            return True
        return False


def identify(pid: int) -> ProcessId | None:
    """The running process with this number, or None."""
    since = started(pid)
    return None if since is None else ProcessId(pid, since)


def own_identity() -> ProcessId:
    """This process."""
    own = identify(os.getpid())
    assert own is not None  # noqa: S101 - this process runs
    return own


def started(pid: int) -> str | None:
    """When the process started: a text that only equals itself; None if it does not run."""
    if sys.platform == "linux":
        return _started_linux(pid)
    return _started_by_ps(pid)


def _started_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STATE] in _GONE else fields[_START_TIME]


def _started_by_ps(pid: int) -> str | None:
    answer = subprocess.run(  # noqa: S603 - fixed command, numeric argument
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        timeout=5,
    )
    state, _, since = answer.stdout.strip().partition(" ")
    return since.strip() if since and not state.startswith("Z") else None
