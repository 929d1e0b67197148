"""The services' processes, as far as the demo crashes and freezes them.

Invariant: only processes of this run are touched, each known by pid and start time.
"""

import signal
from typing import Protocol

from shared.contracts.vocabulary import Service
from shared.runtime.processes import Runner
from shared.runtime.run_state import RunningProgram
from shared.runtime.stack import health_is_ready


class Processes(Protocol):
    """The services' processes, or the containers that they run in."""

    async def crash(self, service: Service) -> None:
        """Ends it at once, as SIGKILL does. Raises ProcessLookupError if it is gone already."""
        ...

    async def freeze(self, service: Service) -> None:
        """Lets it stand still: alive, and silent. Raises ProcessLookupError if it is gone."""
        ...

    async def thaw(self, service: Service) -> None:
        """Lets it go on; harmless for one that runs or is gone."""
        ...

    async def revive(self, service: Service) -> None:
        """Sees to it that a crashed one starts again; harmless for one that runs."""
        ...

    async def is_ready(self, service: Service) -> bool:
        """Whether it answers that it is ready."""
        ...


class NativeProcesses:
    """Programs of a runner, which starts a dead one again."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def crash(self, service: Service) -> None:
        """SIGKILL."""
        self._send(service, signal.SIGKILL)

    async def freeze(self, service: Service) -> None:
        """SIGSTOP."""
        self._send(service, signal.SIGSTOP)

    async def thaw(self, service: Service) -> None:
        """SIGCONT."""
        program = self._program_of(service)
        if program is not None:
            program.process.send(signal.SIGCONT)

    async def revive(self, service: Service) -> None:
        """The runner does."""

    async def is_ready(self, service: Service) -> bool:
        """Asks the port of the running program."""
        program = self._program_of(service)
        return program is not None and await health_is_ready(program.ports[0])

    def _program_of(self, service: Service) -> RunningProgram | None:
        programs = self._runner.state().programs
        return next((p for p in programs if p.name == service.value), None)

    def _send(self, service: Service, number: signal.Signals) -> None:
        program = self._program_of(service)
        if program is None or not program.process.send(number):
            raise ProcessLookupError(service.value)
