"""What is told about the machine beside every figure: its size, its load, its disk, CPU and memory.

CPU is counted for our own processes and servers alone, children that have ended included, so that
other work on the machine does not count as ours.
"""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.figures import percentile

#: as large as an event's row
_PROBE_BYTES: Final = 850
_PROBES: Final = 120
_MIB: Final = 2**20
#: more load than this of others, before a measurement begins, and its figures count as loaded
QUIET_LOAD: Final = 1.5


@dataclass(frozen=True, slots=True)
class Moment:
    """The machine at one moment: load average, and how long the disk takes to keep a row."""

    load: float
    fsync_p50_ms: float
    fsync_p90_ms: float


def moment(directory: Path) -> Moment:
    """Looks at the machine; the disk is that of `directory`."""
    load = os.getloadavg()[0]
    times = _fsync_times(directory / "fsync-probe")
    return Moment(
        round(load, 2), round(percentile(times, 0.5), 3), round(percentile(times, 0.9), 3)
    )


def _fsync_times(path: Path) -> list[float]:
    times = []
    with path.open("ab", buffering=0) as file:
        for _ in range(_PROBES):
            began = time.perf_counter()
            file.write(b"x" * _PROBE_BYTES)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1e3)
    path.unlink()
    return times


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes and of everything that they have started."""
    total = 0.0
    for pid in pids:
        for process in _family(pid):
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def resident_mb(pid: int) -> float:
    """The resident memory of one process."""
    return float(psutil.Process(pid).memory_info().rss) / _MIB


def cores() -> int:
    """The cores that this process may use."""
    return len(psutil.Process().cpu_affinity())


def memory_gb() -> float:
    """The machine's memory."""
    return float(psutil.virtual_memory().total) / 2**30
