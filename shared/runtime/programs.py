"""Declares what is to run: a program, when it counts as ready, and what happens if it dies.

A `Program` is data; `shared.runtime.processes.Runner` brings it up and down.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

Condition = Callable[[], Awaitable[bool]]
"""Answers at once (no waiting inside beyond about a second) whether something holds now."""

CONDITION_PAUSE_SECONDS = 0.05
CONNECT_SECONDS_MAX = 1.0


class StartFailed(RuntimeError):
    """A program or one of its preparing steps did not come up; the text says what was awaited."""


class NotYet(TimeoutError):
    """A condition did not come true before its deadline."""


async def wait_until(holds: Condition, awaited: str, *, within_seconds: float) -> None:
    """Returns as soon as the condition holds; raises `NotYet` naming what was awaited."""
    try:
        async with asyncio.timeout(within_seconds):
            # Sockets of other processes give no event to wait for.
            while not await holds():  # noqa: ASYNC110
                await asyncio.sleep(CONDITION_PAUSE_SECONDS)
    except TimeoutError:
        raise NotYet(f"still waiting after {within_seconds:g} s for {awaited}") from None


async def listening(host: str, port: int) -> bool:
    """True if something accepts connections there."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def at_once() -> bool:
    """The condition of a program that is ready as soon as it runs."""
    return True


@dataclass(frozen=True, slots=True)
class User:
    """The unprivileged user that a program runs as when the runner is root."""

    uid: int
    gid: int
    read_anywhere: bool


@dataclass(frozen=True, slots=True)
class Restart:
    """How often a program that died is started again, with growing pauses.

    `attempts` counts deaths in a row: a program that stayed up for `forgiven_after_seconds` begins
    anew. With no attempts left its death is the failure of the whole run.
    """

    attempts: int
    first_pause_seconds: float = 0.5
    pause_seconds_max: float = 10.0
    forgiven_after_seconds: float = 60.0

    def pause_seconds(self, deaths: int) -> float | None:
        """How long to wait after that many deaths in a row; None if it is enough."""
        if deaths > self.attempts:
            return None
        return float(min(self.first_pause_seconds * 2 ** (deaths - 1), self.pause_seconds_max))


FAIL = Restart(attempts=0)
"""The death of the program ends the run."""


class Steps(Protocol):
    """Runs commands that end by themselves, watched and stopped like any program."""

    async def run_step(self, step: "Step") -> None:
        """Returns when the command ended well; raises `StartFailed` otherwise."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command that must end before a program can start, such as `initdb`."""

    name: str
    purpose: str
    argv: tuple[str, ...]
    within_seconds: float
    env: Mapping[str, str] = field(default_factory=dict)
    as_user: User | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A process that stays up.

    `after` names the programs that must be ready before this one starts; it is stopped before they
    are. `prepare` runs before each first start. `env` is added to the runner's own environment.
    `orphan_signal` is what the kernel sends it when the runner vanished (Linux).
    """

    name: str
    argv: tuple[str, ...]
    awaited: str
    ready: Condition = at_once
    ready_within_seconds: float = 30.0
    after: tuple[str, ...] = ()
    prepare: Callable[[Steps], Awaitable[None]] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    as_user: User | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_seconds: float = 10.0
    orphan_signal: signal.Signals = signal.SIGKILL
    restart: Restart = FAIL
    ports: tuple[int, ...] = ()

    def ended_cleanly(self, returncode: int) -> bool:
        """True for the exit codes of a program that stopped because it was asked to.

        Java answers SIGTERM with 143 and uvicorn dies of it (-15) after a clean stop.
        """
        asked = (self.stop_signal, signal.SIGTERM)
        return returncode == 0 or any(returncode in (-s, 128 + s) for s in asked)
