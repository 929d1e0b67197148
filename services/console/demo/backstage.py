"""What the demo does to processes: crashes and freezes, as a failing machine would.

Invariant: only programs of this run are touched, each known by pid and start time; a frozen one
goes on again whatever happens inside the block.
"""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.console.demo.stage import Stage
from shared.contracts.vocabulary import Service
from shared.runtime.run_state import RunningProgram
from shared.runtime.stack import health_is_ready


def program_of(stage: Stage, service: Service) -> RunningProgram | None:
    """The running program of a service; None while it is down."""
    programs = stage.runner.state().programs
    return next((p for p in programs if p.name == service.value), None)


def crash(stage: Stage, service: Service) -> None:
    """SIGKILL. The runner starts it again, as it would after any crash."""
    _send(stage, service, signal.SIGKILL)


@asynccontextmanager
async def frozen(stage: Stage, service: Service) -> AsyncIterator[None]:
    """SIGSTOP for as long as the block lasts: alive, and silent."""
    _send(stage, service, signal.SIGSTOP)
    try:
        yield
    finally:
        thaw(stage, service)


def thaw(stage: Stage, service: Service) -> None:
    """SIGCONT, harmless for a program that runs or is gone."""
    program = program_of(stage, service)
    if program is not None:
        program.process.send(signal.SIGCONT)


async def ready_again(stage: Stage, service: Service) -> None:
    """Returns when a crashed service answers that it is ready."""

    async def ready() -> bool:
        program = program_of(stage, service)
        return program is not None and await health_is_ready(program.ports[0])

    await stage.eventually(ready, f"{service.value} ready again")


def _send(stage: Stage, service: Service, number: signal.Signals) -> None:
    program = program_of(stage, service)
    if program is None or not program.process.send(number):
        raise ProcessLookupError(service.value)
