"""The helper process that owns the native test servers: `python -m shared.testing.native_server`.

It starts Kafka and PostgreSQL on free ports in the directory that it is given, writes their
addresses into `ready.json`, takes commands on a loopback port, and ends when no test process holds
the users' lock any more. The directory goes with it.
"""

import asyncio
import hmac
import json
import os
import secrets
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from shared.runtime.identity import identify
from shared.runtime.kafka import Kafka
from shared.runtime.locks import lock_file, try_lock
from shared.runtime.logs import LogFiles, console, tee
from shared.runtime.paths import Paths, default_paths
from shared.runtime.ports import LOOPBACK, free_ports
from shared.runtime.postgres import Postgres
from shared.runtime.processes import Runner
from shared.testing.native import READY_FILE, USERS_LOCK, NativeServers

LOCK_PAUSE_SECONDS = 0.1
REQUEST_BYTES_MAX = 4_096


async def serve(directory: Path, users: int) -> None:
    """Runs the servers until the lock `users` is ours alone, or a signal comes."""
    broker, controller, database = free_ports(3)
    paths = Paths(var=directory, downloads=default_paths().downloads)
    kafka = Kafka(paths, broker, controller)
    postgres = Postgres(paths, database, throw_away=True)
    files = LogFiles(directory / "log")
    runner = Runner(tee(console(), files))
    try:
        async with asyncio.TaskGroup() as tasks:
            over = tasks.create_task(_until_over(users))
            work = tasks.create_task(_run(runner, kafka, postgres, directory))
            over.add_done_callback(lambda _: work.cancel())
            work.add_done_callback(lambda _: over.cancel())
    finally:
        await runner.stop()
        files.close()


async def _run(runner: Runner, kafka: Kafka, postgres: Postgres, directory: Path) -> None:
    await runner.start([postgres.program(), kafka.program()])
    token = secrets.token_hex(16)
    commands = Commands(runner, token)
    server = await asyncio.start_server(commands.answer, LOOPBACK, 0, limit=REQUEST_BYTES_MAX)
    helper = identify(os.getpid())
    assert helper is not None  # noqa: S101 - this process runs
    async with server:
        servers = NativeServers(
            kafka_bootstrap=kafka.bootstrap,
            postgres_dsn=postgres.dsn(),
            helper=helper,
            control_port=server.sockets[0].getsockname()[1],
            control_token=token,
        )
        _write(directory / READY_FILE, json.dumps(asdict(servers)))
        await server.serve_forever()


class Commands:
    """Answers the commands of the tests, one line of JSON each."""

    def __init__(self, runner: Runner, token: str) -> None:
        self._runner = runner
        self._token = token

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Reads one request, obeys, and says what went wrong, if anything."""
        error: str | None = None
        try:
            request = json.loads(await reader.readline())
            await self._obey(request)
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
        writer.write(json.dumps({"error": error}).encode() + b"\n")
        with suppress(OSError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    async def _obey(self, request: dict[str, str]) -> None:
        if not hmac.compare_digest(request["token"], self._token):
            raise PermissionError("wrong token")
        match request["verb"]:
            case "kill":
                await self._runner.kill(request["server"])
            case "stop":
                await self._runner.stop_one(request["server"])
            case "start":
                await self._runner.start_again(request["server"])
            case unknown:
                raise ValueError(f"no such command: {unknown}")


async def _until_over(users: int) -> None:
    """Returns on SIGTERM, or with the users' lock taken: then nobody can join any more."""
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, signalled.set)
    while not signalled.is_set() and not try_lock(users):
        with suppress(TimeoutError):
            await asyncio.wait_for(signalled.wait(), timeout=LOCK_PAUSE_SECONDS)


def _write(path: Path, text: str) -> None:
    """Puts the whole file in place at once: readers poll for it."""
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)


def main() -> None:
    """Serves in the directory named by the only argument, and removes it after a good end."""
    # A Ctrl-C in the terminal of the tests is theirs; this process ends after them.
    os.setsid()
    directory = Path(sys.argv[1])
    # The lock is kept over the removal: who waits for it then finds that its file is gone.
    with lock_file(directory / USERS_LOCK) as users:
        asyncio.run(serve(directory, users))
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
