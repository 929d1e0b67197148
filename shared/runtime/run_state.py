"""The file that tells other shells what runs: `var/run.json`.

Invariant: it is replaced as a whole, and every process in it is named with its start time, so that
a reader never signals a process that merely inherited a number.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shared.runtime.identity import ProcessId

FORMAT = 1


@dataclass(frozen=True, slots=True)
class RunningProgram:
    """A program of the run, in the order in which the programs were started."""

    name: str
    process: ProcessId
    stop_signal: int
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunState:
    """A run: its runner, how far it is, and its programs.

    `phase` is one of preparing, starting, ready, stopping. `endpoints` are the addresses that a
    person or another process may use, without secrets.
    """

    runner: ProcessId
    phase: str
    programs: tuple[RunningProgram, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)

    def is_alive(self) -> bool:
        """True while the runner itself runs."""
        return self.runner.is_alive()

    def leftovers(self) -> tuple[RunningProgram, ...]:
        """The programs that still run, last started first."""
        return tuple(p for p in reversed(self.programs) if p.process.is_alive())


def write(path: Path, state: RunState) -> None:
    """Replaces the file at once; only the owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    text = json.dumps({"format": FORMAT, **asdict(state)}, indent=2)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    fresh.replace(path)


def read(path: Path) -> RunState | None:
    """The state in the file; None if there is none, or one that this version cannot read."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return _parse(raw) if raw["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _parse(raw: dict[str, Any]) -> RunState:
    return RunState(
        runner=ProcessId(**raw["runner"]),
        phase=raw["phase"],
        programs=tuple(
            RunningProgram(
                name=p["name"],
                process=ProcessId(**p["process"]),
                stop_signal=p["stop_signal"],
                ports=tuple(p["ports"]),
            )
            for p in raw["programs"]
        ),
        endpoints=raw["endpoints"],
    )
