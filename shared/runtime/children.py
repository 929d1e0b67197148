"""One child process: started through `launch.py`, its output passed on line by line, stopped.

Invariants: a child leads its own process group, so a Ctrl-C in the terminal reaches the runner
alone; whoever holds a `Child` can always end it and everything in its group; on Linux the kernel
ends it when the runner vanishes.
"""

import asyncio
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from shared.runtime.identity import ProcessId, identify
from shared.runtime.logs import Sink
from shared.runtime.programs import StartFailed, User

LAUNCHER = Path(__file__).with_name("launch.py")
READ_BYTES = 65_536
# A line beyond this is passed on in pieces: a program without line ends must not fill our memory.
LINE_BYTES_MAX = 16_384
# How many of its last lines a report about a dead program shows.
LINES_KEPT = 15
# A grandchild may keep the pipe open for ever.
LAST_LINES_SECONDS = 0.5
# After SIGKILL only the kernel has work to do; longer means a hung disk.
KILLED_WITHIN_SECONDS = 10.0


class Child:
    """A running (or ended) child process."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, output: int, sink: Sink
    ) -> None:
        self.name = name
        self.last_lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._process = process
        self._sink = sink
        # A child that is already gone cannot be identified, and needs no signal either.
        self._identity = identify(process.pid)
        self._pump = asyncio.create_task(self._pass_on(output), name=f"output of {name}")

    @property
    def pid(self) -> int:
        """The number of the process, which is also that of its group."""
        return self._process.pid

    @property
    def identity(self) -> ProcessId | None:
        """The process as the kernel knows it; None if it ended before it could be looked at."""
        return self._identity

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.returncode

    async def ended(self) -> int:
        """The exit code, as soon as the process ended and its last line was passed on."""
        returncode = await self._process.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._pump), timeout=LAST_LINES_SECONDS)
        return returncode

    async def stop(self, signal_: signal.Signals, *, within_seconds: float) -> int:
        """Ends the process and its group: asks, waits that long, then kills."""
        if self._process.returncode is None:
            self._signal_process(signal_)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), timeout=within_seconds)
        return await self.kill()

    async def kill(self) -> int:
        """Kills what is left of the process and of its group."""
        self.kill_now()
        async with asyncio.timeout(KILLED_WITHIN_SECONDS):
            await self._process.wait()
        self._pump.cancel()
        with suppress(asyncio.CancelledError):
            await self._pump
        return self._process.returncode or 0

    def kill_now(self) -> None:
        """Sends SIGKILL to the group without waiting.

        Right after the leader's end it reaches what the leader left behind: the group lasts, and
        its number stays taken, as long as it has a member.
        """
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _signal_process(self, signal_: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(signal_)

    async def _pass_on(self, output: int) -> None:
        """Reads until the last holder of the pipe has closed it, or until it is cancelled."""
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(output, "rb", buffering=0)
        )
        try:
            await self._pass_on_lines(stream)
        finally:
            transport.close()

    async def _pass_on_lines(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await stream.read(READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._tell(line)
            if len(rest) > LINE_BYTES_MAX:
                self._tell(rest)
                rest = b""
        if rest:
            self._tell(rest)

    def _tell(self, line: bytes) -> None:
        text = line.decode("utf-8", errors="replace").rstrip("\r")
        self.last_lines.append(text)
        self._sink(self.name, text)


async def spawn(
    name: str,
    argv: tuple[str, ...],
    sink: Sink,
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    as_user: User | None = None,
    orphan_signal: signal.Signals = signal.SIGKILL,
) -> Child:
    """Starts the command.

    Call it from the thread that lives as long as the child shall: the kernel ties a child to the
    thread that made it. A cancelled call leaves no process.
    """
    # A pipe of our own: with one of asyncio's, the end of the process would only be seen when its
    # last grandchild has closed the pipe.
    reading, writing = os.pipe()
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(LAUNCHER),
            _wishes(as_user, orphan_signal),
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writing,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **env},
            cwd=cwd,
            start_new_session=True,
        )
    )
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:
        await Child(name, await starting, reading, sink).kill()
        raise
    except OSError as problem:
        os.close(reading)
        raise StartFailed(f"{name}: {problem}") from problem
    finally:
        os.close(writing)
    return Child(name, process, reading, sink)


def _wishes(as_user: User | None, orphan_signal: signal.Signals) -> str:
    return json.dumps(
        {
            "parent": os.getpid(),
            "death_signal": int(orphan_signal),
            "uid": as_user.uid if as_user else None,
            "gid": as_user.gid if as_user else None,
            "read_anywhere": bool(as_user and as_user.read_anywhere),
        }
    )
