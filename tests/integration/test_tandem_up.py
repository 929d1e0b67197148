"""`tandem up` as a process: it serves, and however it ends it leaves no process and no port."""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from shared.contracts.vocabulary import Service
from shared.runtime import run_state
from shared.runtime.paths import CHECKOUT
from shared.runtime.ports import free_ports, is_free
from shared.runtime.programs import wait_until
from shared.runtime.stack import DEFAULT_PORTS
from shared.runtime.topics import create_topics

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

# Another value is another five moments; the name of each test shows the one that was used.
SEED = int(os.environ.get("TANDEM_TEST_SEED", "20261123"))
MOMENTS_SECONDS = [round(random.Random(SEED + n).uniform(0.2, 8.0), 2) for n in range(5)]  # noqa: S311


# Whatever else the run starts takes free ports.
OTHER_PORTS = {
    f"TANDEM_PORT_{name}": "0"
    for name in (*(service.name for service in Service), "IDENTITY", "MAIL", "MAIL_PAGE")
}


@dataclass
class Installation:
    """A `var` of its own with ports of its own, and the runs that were started from it."""

    var: Path
    downloads: Path
    ports: tuple[int, ...]
    runs: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        ports = dict(zip(DEFAULT_PORTS, map(str, self.ports), strict=True))
        places = {"TANDEM_VAR": str(self.var), "TANDEM_DOWNLOADS": str(self.downloads)}
        return {**os.environ, **places, **ports, **OTHER_PORTS}

    async def tandem(self, *arguments: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.console.cli", *arguments),
            env=self.environ,
            cwd=CHECKOUT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self.runs.append(process)
        return process

    async def until_phase(self, phase: str) -> run_state.RunState:
        """The state of the run when it has come to the phase."""
        state: run_state.RunState | None = None

        async def has_come() -> bool:
            nonlocal state
            state = run_state.read(self.var / "run.json")
            return state is not None and state.phase == phase

        await wait_until(has_come, f"phase {phase}", within_seconds=90)
        assert state is not None
        return state

    def processes(self) -> list[str]:
        """What still runs of it, zombies aside."""
        return processes_that_mention(str(self.var))

    async def until_nothing_is_left(self) -> None:
        async def nothing() -> bool:
            return not self.processes() and all(map(is_free, self.ports))

        await wait_until(nothing, f"the end of {self.processes()}, {self.ports}", within_seconds=10)


def processes_that_mention(text: str) -> list[str]:
    """Command lines of processes with the text in them, in the environment, or as directory."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = [(place / name).read_bytes().decode(errors="replace") for name in PARTS]
            if place.name != str(os.getpid()) and text in "".join([*words, _directory(place)]):
                found.append(words[0].replace("\0", " "))
    return found


PARTS = ("cmdline", "environ")


def _directory(process: Path) -> str:
    return str((process / "cwd").readlink())


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    found = Installation(tmp_path / "var", CHECKOUT / "var", free_ports(3))
    yield found
    for process in found.runs:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_search_for_processes_finds_a_planted_one(installation: Installation) -> None:
    installation.var.mkdir()
    planted = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import signal; signal.pause()", cwd=installation.var
    )

    assert len(installation.processes()) == 1

    planted.kill()
    await planted.wait()
    await installation.until_nothing_is_left()


async def test_up_serves_kafka_and_postgres_and_stops_cleanly(installation: Installation) -> None:
    process = await installation.tandem("up", "--json")

    state = await installation.until_phase("ready")
    await create_topics(state.endpoints["kafka"], {"first": (1, {})})
    producer = AIOKafkaProducer(bootstrap_servers=state.endpoints["kafka"], acks="all")
    await producer.start()
    await producer.send_and_wait("first", b"acknowledged")
    await producer.stop()
    process.send_signal(signal.SIGINT)
    output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()
    events = [json.loads(line) for line in output.splitlines()]
    assert {"event": "ready", "endpoints": dict(state.endpoints)} in events
    await installation.until_nothing_is_left()
    assert not (installation.var / "run.json").exists()


@pytest.mark.parametrize("seconds", MOMENTS_SECONDS)
async def test_ctrl_c_at_any_second_leaves_nothing(
    installation: Installation, seconds: float
) -> None:
    """From nothing at all: the moments fall into fetching, `initdb`, the JVM's start and after."""
    installation.downloads = installation.var
    process = await installation.tandem("up")

    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), timeout=seconds)
    process.send_signal(signal.SIGINT)
    output, _ = await asyncio.wait_for(process.communicate(), timeout=30)

    # Before the command has put up its handlers, Python itself answers the signal.
    assert process.returncode in (0, -signal.SIGINT, 130), output.decode()
    await installation.until_nothing_is_left()


@pytest.mark.parametrize("step", ["maven", "initdb", "kafka-format"])
async def test_ctrl_c_in_each_step_leaves_nothing(installation: Installation, step: str) -> None:
    installation.downloads = installation.var
    process = await installation.tandem("up")
    assert process.stdout is not None
    async for line in process.stdout:
        if f"| {step}: " in line.decode():
            break

    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), timeout=30)

    assert process.returncode == 0
    await installation.until_nothing_is_left()


@pytest.mark.parametrize("phase", ["starting", "ready"])
async def test_a_runner_that_is_killed_leaves_nothing(
    installation: Installation, phase: str
) -> None:
    process = await installation.tandem("up")
    await installation.until_phase(phase)

    process.kill()
    await process.wait()

    await installation.until_nothing_is_left()


async def test_the_death_of_a_server_is_reported_and_it_comes_back(
    installation: Installation,
) -> None:
    process = await installation.tandem("up", "--json")
    state = await installation.until_phase("ready")
    postgres = next(p for p in state.programs if p.name == "postgres")

    postgres.process.send(signal.SIGKILL)

    async def another_runs() -> bool:
        now = run_state.read(installation.var / "run.json")
        pids = {p.name: p.process for p in now.programs} if now else {}
        return pids.get("postgres", postgres.process) != postgres.process and not is_free(
            postgres.ports[0]
        )

    await wait_until(another_runs, "another postgres", within_seconds=20)
    process.send_signal(signal.SIGTERM)
    output, _ = await process.communicate()
    assert "postgres died unexpectedly with exit code -9" in output.decode()
    await installation.until_nothing_is_left()


async def test_detached_it_goes_on_until_down(installation: Installation) -> None:
    up = await installation.tandem("up", "--detach", "--json")
    output, _ = await up.communicate()
    assert up.returncode == 0, output.decode()
    assert json.loads(output)["event"] == "ready"

    second = await installation.tandem("up")
    await second.communicate()
    doctor = await installation.tandem("doctor", "--json")
    findings = json.loads((await doctor.communicate())[0])["findings"]
    down = await installation.tandem("down", "--json")
    await down.communicate()

    assert second.returncode == 5
    assert [f for f in findings if f["check"] != "clock"] == []
    assert down.returncode == 0
    await installation.until_nothing_is_left()


async def test_a_taken_port_is_refused_before_anything_starts(installation: Installation) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", installation.ports[2])

    process = await installation.tandem("up")
    output, _ = await process.communicate()
    server.close()
    await server.wait_closed()

    assert process.returncode == 1
    assert f"postgres: port {installation.ports[2]} is taken" in output.decode()
    assert not (installation.var / "postgres" / "data").exists()
