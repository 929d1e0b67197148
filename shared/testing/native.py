"""The native back end of the test servers, from the side of the tests.

The servers belong to a helper process (`shared.testing.native_server`). Whoever uses them holds a
shared lock on one file; the helper ends when it can lock that file exclusively, that is when the
last user has let go, has exited or was killed: the kernel counts, and nothing is left running.
"""

import asyncio
import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.runtime.identity import ProcessId, identify
from shared.runtime.paths import CHECKOUT

# Fetching Kafka's jars for the first time is the long part.
READY_WITHIN_SECONDS = 660.0
GONE_WITHIN_SECONDS = 45.0
COMMAND_WITHIN_SECONDS = 120.0
PAUSE_SECONDS = 0.05

USERS_LOCK = "users.lock"
START_LOCK = "start.lock"
READY_FILE = "ready.json"
HELPER_FILE = "helper.json"
HELPER_LOG = "helper.log"


class ServersFailed(RuntimeError):
    """The test servers did not come up, or a command to them failed."""


@dataclass(frozen=True, slots=True)
class NativeServers:
    """Running servers and the address at which their helper takes commands."""

    kafka_bootstrap: str
    postgres_dsn: str
    helper: ProcessId
    control_port: int
    control_token: str

    async def command(self, verb: str, server: str) -> None:
        """Has the helper kill, stop or start a server; returns when it is done."""
        request = {"token": self.control_token, "verb": verb, "server": server}
        async with asyncio.timeout(COMMAND_WITHIN_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.control_port)
            writer.write(json.dumps(request).encode() + b"\n")
            answer = json.loads(await reader.readline() or b'{"error": "the helper hung up"}')
            writer.close()
            await writer.wait_closed()
        if answer["error"] is not None:
            raise ServersFailed(f"{verb} {server}: {answer['error']}")


@contextmanager
def joined(directory: Path) -> Iterator[NativeServers]:
    """The servers of this directory, started by the first who asks."""
    users = _hold(directory)
    try:
        with _locked(directory / START_LOCK):
            servers = _running(directory) or _start(directory)
        yield servers
    finally:
        os.close(users)


def wait_until_gone(directory: Path) -> None:
    """Returns when the helper has stopped its servers and removed the directory.

    What a helper left that was killed is removed here.
    """
    helper = _helper(directory)
    deadline = time.monotonic() + GONE_WITHIN_SECONDS
    while helper is not None and helper.is_alive():
        if time.monotonic() > deadline:
            raise ServersFailed(
                f"the servers of {directory} still run after {GONE_WITHIN_SECONDS:g} s"
            )
        time.sleep(PAUSE_SECONDS)
    shutil.rmtree(directory, ignore_errors=True)


def _hold(directory: Path) -> int:
    """Takes a share of the users' lock, of the file that is really in the directory.

    The helper removes the directory while it holds the lock, so a lock that was waited for may be
    one on a file that is gone.
    """
    path = directory / USERS_LOCK
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _running(directory: Path) -> NativeServers | None:
    try:
        raw = json.loads((directory / READY_FILE).read_text())
    except FileNotFoundError:
        return None
    servers = NativeServers(**{**raw, "helper": ProcessId(**raw["helper"])})
    return servers if servers.helper.is_alive() else None


def _helper(directory: Path) -> ProcessId | None:
    try:
        return ProcessId(**json.loads((directory / HELPER_FILE).read_text()))
    except FileNotFoundError:
        return None


def _start(directory: Path) -> NativeServers:
    helper = identify(_spawn_helper(directory))
    if helper is not None:
        (directory / HELPER_FILE).write_text(json.dumps(asdict(helper)))
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while (servers := _running(directory)) is None:
        if time.monotonic() > deadline or helper is None or not helper.is_alive():
            raise ServersFailed(
                f"the test servers did not start:\n{(directory / HELPER_LOG).read_text()}"
            )
        time.sleep(PAUSE_SECONDS)
    return servers


def _spawn_helper(directory: Path) -> int:
    """Starts the helper as a process that outlives this one if others still use the servers."""
    log = str(directory / HELPER_LOG)
    command = [sys.executable, "-m", "shared.testing.native_server", str(directory)]
    return os.posix_spawn(
        command[0],
        command,
        {**os.environ, "PYTHONPATH": str(CHECKOUT)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
