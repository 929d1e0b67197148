"""`tandem up --compose` as a process, with a script in Docker's place and healthy ports."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.console import contained
from services.console.contained import LAST_WORDS
from services.console.operator.calling import address_of
from services.console.programs import SERVICES
from shared.contracts.vocabulary import Service
from shared.runtime import run_state
from shared.runtime.compose import Compose
from shared.runtime.identity import own_identity
from shared.runtime.paths import CHECKOUT
from shared.runtime.programs import StartFailed, wait_until
from shared.runtime.run_state import RunState

pytestmark = pytest.mark.timeout(60)

HEALTHY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
OTHER_PORTS = (
    "TANDEM_PORT_IDENTITY",
    "TANDEM_PORT_MAIL",
    "TANDEM_PORT_MAIL_PAGE",
    "TANDEM_KAFKA_PORT",
    "TANDEM_KAFKA_CONTROLLER_PORT",
    "TANDEM_POSTGRES_PORT",
)


@dataclass
class Machine:
    """A `var`, a script named `docker` that notes its words, and services that are healthy."""

    folder: Path
    ports: dict[Service, int]
    runs: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def var(self) -> Path:
        return self.folder / "var"

    def docker_does(self, script: str) -> None:
        path = self.folder / "docker"
        path.write_text(f'#!/bin/sh\necho "$@" >>{self.folder}/noted\n{script}\n')
        path.chmod(0o755)

    def words(self, verb: str) -> list[str]:
        """What docker was told with this verb, oldest first."""
        noted = self.folder / "noted"
        lines = noted.read_text().splitlines() if noted.exists() else []
        return [line for line in lines if f" {verb} " in line]

    async def tandem(self, *arguments: str, **settings: str) -> asyncio.subprocess.Process:
        ports = {f"TANDEM_PORT_{s.value.upper()}": str(port) for s, port in self.ports.items()}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.console.cli", *arguments),
            env={
                "PATH": f"{self.folder}:/usr/bin:/bin", "TANDEM_VAR": str(self.var),
                "TANDEM_IMAGE": "tandem:local", **dict.fromkeys(OTHER_PORTS, "0"), **ports,
                **settings,
            },
            cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        self.runs.append(process)
        return process

    async def until_ready(self) -> RunState:
        async def ready() -> bool:
            state = run_state.read(self.var / "run.json")
            return state is not None and state.phase == "ready"

        await wait_until(ready, "the phase ready", within_seconds=20)
        found = run_state.read(self.var / "run.json")
        assert found is not None
        return found

    async def until_told(self, verb: str) -> None:
        async def told() -> bool:
            return bool(self.words(verb))

        await wait_until(told, f"docker told to {verb}", within_seconds=20)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEALTHY)
        await writer.drain()
        writer.close()


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    servers = [await asyncio.start_server(_answer, "127.0.0.1", 0) for _ in SERVICES]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    found = Machine(tmp_path, dict(zip(SERVICES, ports, strict=True)))
    found.docker_does("exit 0")
    yield found
    for process in found.runs:
        if process.returncode is None:
            process.kill()
        await process.communicate()
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_it_serves_until_down_and_its_data_stays(machine: Machine) -> None:
    up = await machine.tandem("up", "--compose", "--json")
    state = await machine.until_ready()
    second = await machine.tandem("up", "--compose")
    await second.communicate()

    down = await machine.tandem("down", "--json")
    said, _ = await down.communicate()
    output, _ = await up.communicate()

    assert json.loads(said)["was_running"] is True
    assert (up.returncode, down.returncode, second.returncode) == (0, 0, 5), output.decode()
    assert {"event": "ready", "endpoints": dict(state.endpoints)} in [
        json.loads(line) for line in output.splitlines()
    ]
    assert [words.partition("--project-name ")[2] for words in machine.words("--project-name")] == [
        "tandem up --detach",
        "tandem down --remove-orphans",
    ]
    assert not (machine.var / "run.json").exists()


async def test_detached_it_goes_on_until_down(machine: Machine) -> None:
    up = await machine.tandem("up", "--compose", "--detach", "--json", COMPOSE_PROJECT_NAME="mine")
    output, _ = await up.communicate()
    assert up.returncode == 0, output.decode()
    assert json.loads(output)["event"] == "ready"
    assert machine.words("down") == []

    down = await machine.tandem("down")
    await down.communicate()

    assert len(machine.words("--project-name mine down")) == 1


async def test_a_second_signal_does_not_stop_the_way_down(machine: Machine) -> None:
    go, ended = machine.folder / "go", machine.folder / "ended"
    waiting = f"while [ ! -e {go} ]; do sleep 0.05; done; touch {ended}"
    machine.docker_does(f'case "$*" in *" down "*) {waiting};; esac')
    up = await machine.tandem("up", "--compose")
    await machine.until_ready()

    up.send_signal(signal.SIGINT)
    await machine.until_told("down")
    up.send_signal(signal.SIGTERM)
    go.touch()
    output, _ = await up.communicate()

    assert up.returncode == 0, output.decode()
    assert ended.exists()
    assert len(machine.words("down")) == 1


async def test_a_signal_while_containers_start_takes_them_down(machine: Machine) -> None:
    machine.docker_does('case "$*" in *"up --detach"*) exec sleep 60;; esac')
    up = await machine.tandem("up", "--compose")
    await machine.until_told("up")

    up.send_signal(signal.SIGTERM)
    output, _ = await up.communicate()

    assert up.returncode == 0, output.decode()
    assert len(machine.words("down")) == 1


async def test_containers_that_do_not_start_leave_their_last_words(machine: Machine) -> None:
    failing = "echo 'kafka is unhealthy' >&2; exit 1"
    machine.docker_does(
        f'case "$*" in *"up --detach"*) {failing};; *" logs "*) echo "no space left";; esac'
    )

    up = await machine.tandem("up", "--compose")
    output, _ = await up.communicate()

    kept = machine.var / "log" / LAST_WORDS
    assert up.returncode == 1
    assert "kafka is unhealthy" in output.decode()
    assert str(kept) in output.decode()
    assert kept.read_text() == "no space left\n"
    assert len(machine.words("down")) == 1


async def test_services_that_never_get_ready_end_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contained, "READY_SECONDS_MAX", 0.2)
    monkeypatch.setenv("PATH", f"{machine.folder}:{os.environ['PATH']}")
    nobody = dict.fromkeys((f"TANDEM_PORT_{s.value.upper()}" for s in SERVICES), 1)

    with pytest.raises(StartFailed, match="every service"):
        async with contained.up(
            Compose(("docker", "compose"), "mine"), nobody, machine.var,
            build=False, keep_data=True,
        ):  # fmt: skip
            raise AssertionError("nobody is ready")

    assert len(machine.words("down")) == 1


@pytest.mark.parametrize(
    ("settings", "code", "problem"),
    [
        ({"TANDEM_MODE": "production"}, 2, "unset TANDEM_MODE"),
        ({"TANDEM_KAFKA_PORT": "kafka"}, 2, "TANDEM_KAFKA_PORT=kafka is no port"),
        ({"PATH": "/nowhere"}, 1, "no Docker engine answers"),
    ],
    ids=["another-mode", "no-port", "no-docker"],
)
async def test_what_cannot_run_is_refused_before_anything_starts(
    machine: Machine, settings: dict[str, str], code: int, problem: str
) -> None:
    up = await machine.tandem("up", "--compose", **settings)
    output, _ = await up.communicate()

    assert up.returncode == code
    assert problem in output.decode()
    assert machine.words("--project-name") == []


def test_commands_find_the_services_where_their_containers_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_VAR", str(tmp_path))
    monkeypatch.delenv("TANDEM_URL_INTAKE", raising=False)
    told = {"intake": "http://127.0.0.1:18081"}
    run_state.write(tmp_path / "run.json", RunState(own_identity(), "ready", endpoints=told))

    assert address_of(Service.INTAKE) == "http://127.0.0.1:18081"
    assert address_of(Service.MANUFACTURING) == "http://127.0.0.1:8082"
