"""What can be told about this machine's wall clock without asking a stranger.

Three sources: the kernel's own opinion (Linux), files that seem to come from the future, and the
clock of a database server that the settings name.
"""

import ctypes
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# <linux/timex.h>
_STA_UNSYNC = 0x0040
_TIMEX_BYTES = 208
_STATUS_OFFSET = 40
# File systems and a clock that was just put right may differ by this much.
FUTURE_SECONDS_MAX = 120.0


@dataclass(frozen=True, slots=True)
class Ahead:
    """A file that was written later than now, and by how much."""

    path: Path
    seconds: float


def is_synchronised() -> bool | None:
    """Whether the kernel thinks that something keeps its clock right; None if it cannot say."""
    if sys.platform != "linux":
        return None
    timex = (ctypes.c_char * _TIMEX_BYTES)()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) < 0:
        return None
    status = ctypes.c_int.from_buffer(timex, _STATUS_OFFSET).value
    return not status & _STA_UNSYNC


def from_the_future(files: Iterable[Path], *, now: float | None = None) -> Ahead | None:
    """The file that was written furthest ahead of our clock, if any is too far ahead."""
    present = time.time() if now is None else now
    seen = [Ahead(f, f.stat().st_mtime - present) for f in files if f.exists()]
    worst = max(seen, key=lambda a: a.seconds, default=None)
    return worst if worst is not None and worst.seconds > FUTURE_SECONDS_MAX else None
