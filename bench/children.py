"""Starts the processes of a measurement and talks with them; none outlives its block."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.child import LINE_BYTES_MAX
from shared.runtime.paths import CHECKOUT

READY_SECONDS: Final = 40.0
#: the longest single command: a saturated run or a drain on a loaded machine
COMMAND_SECONDS: Final = 300.0
STOP_SECONDS: Final = 15.0


class ChildFailedError(RuntimeError):
    """A process of a measurement ended or went silent; the text is the end of its log."""


@dataclass(slots=True)
class Child:
    """A running process that plays a role."""

    role: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        """Its process id, for CPU and memory."""
        return self.process.pid

    async def ask(self, command: str, /, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """What the process answers. Raises `ChildFailedError`."""
        assert self.process.stdin is not None  # noqa: S101 - made with a pipe
        self.process.stdin.write(
            json.dumps({"command": command, "with": arguments}).encode() + b"\n"
        )
        await self.process.stdin.drain()
        return await self.answer(COMMAND_SECONDS)

    async def answer(self, seconds: float) -> Any:  # noqa: ANN401 - JSON
        """The next line. Raises `ChildFailedError`."""
        assert self.process.stdout is not None  # noqa: S101 - made with a pipe
        try:
            line = await asyncio.wait_for(self.process.stdout.readline(), seconds)
        except TimeoutError:
            raise ChildFailedError(f"{self.role} is silent: {self._tail()}") from None
        if not line:
            raise ChildFailedError(f"{self.role} ended: {self._tail()}")
        return json.loads(line)

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]

    async def end(self) -> None:
        """Ends it in order, or else by force."""
        assert self.process.stdin is not None  # noqa: S101 - made with a pipe
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def playing(role: str, order: Mapping[str, object], logs: Path) -> AsyncIterator[Child]:
    """A process that plays `role` (module:name) and is ready."""
    path = logs / f"{role.replace(':', '.')}.log"
    with path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.child", role, json.dumps(order),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
            cwd=CHECKOUT, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, limit=LINE_BYTES_MAX,
        )  # fmt: skip
    child = Child(role, process, path)
    try:
        await child.answer(READY_SECONDS)
        yield child
    finally:
        await child.end()
