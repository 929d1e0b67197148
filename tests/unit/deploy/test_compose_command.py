"""Docker's command line as the demo uses it, with a script in Docker's place; and the sign-in."""

import asyncio
import os
import sys
from pathlib import Path

import httpx
import pytest

from services.console.demo.containers import Containers, demo_compose, sign_in
from shared.contracts.vocabulary import Service
from shared.runtime.compose import Compose, ComposeFailed, ComposeMissing, find_compose
from shared.runtime.dev_identity import create_provider
from shared.runtime.dev_tokens import DEMO_USERS, DevIdentity
from shared.runtime.identity import identify
from shared.runtime.paths import CHECKOUT
from shared.runtime.world import MachineClock

ISSUER = "http://127.0.0.1:8085"


class Docker:
    """A script named `docker` that notes its words and does what a test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.noted = folder / "noted"

    def does(self, script: str) -> None:
        path = self.folder / "docker"
        path.write_text(f'#!/bin/sh\necho "$@" >>{self.noted}\n{script}\n')
        path.chmod(0o755)

    def words(self) -> list[str]:
        return self.noted.read_text().splitlines()


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = Docker(tmp_path)
    found.does("exit 0")
    return found


@pytest.fixture
def compose(docker: Docker) -> Compose:
    return Compose(("docker", "compose"), "mine", {"TANDEM_PORT_INTAKE": "1"})


async def test_every_command_names_the_file_and_the_project(
    docker: Docker, compose: Compose
) -> None:
    await compose.up(build=True)
    await compose.down(keep_data=False)
    await compose.down(keep_data=True)

    assert all("docker-compose.yml --project-name mine" in words for words in docker.words())
    assert docker.words()[0].endswith("up --detach --build")
    assert docker.words()[1].endswith("down --volumes --remove-orphans")
    assert docker.words()[2].endswith("down --remove-orphans")
    assert "--volumes" not in docker.words()[2]


async def test_a_command_that_fails_says_why(docker: Docker, compose: Compose) -> None:
    docker.does("echo 'no space left' >&2; exit 1")

    with pytest.raises(ComposeFailed, match="no space left"):
        await compose.up(build=False)


async def test_a_cancelled_command_leaves_no_process(docker: Docker, compose: Compose) -> None:
    docker.does(f"echo $$ >{docker.folder}/pid; exec sleep 60")
    starting = asyncio.create_task(compose.up(build=False))
    pid_file = docker.folder / "pid"
    async with asyncio.timeout(10):
        while not (pid_file.exists() and pid_file.read_text().strip()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    starting.cancel()
    await asyncio.wait({starting})

    assert identify(int(pid_file.read_text())) is None


async def test_a_service_without_its_one_container_is_an_error(
    docker: Docker, compose: Compose
) -> None:
    docker.does("echo a; echo b")

    with pytest.raises(ComposeFailed, match="intake has 2 containers"):
        await compose.container("intake")


def test_compose_is_found_as_plugin_before_the_older_command(docker: Docker) -> None:
    assert find_compose("mine", {}).command == ("docker", "compose")


def test_without_an_engine_both_ways_to_run_are_named(docker: Docker) -> None:
    docker.does("exit 1")

    with pytest.raises(ComposeMissing, match=r"Docker.*Java 17"):
        find_compose("mine", {})


def test_the_demo_has_a_project_of_its_own(docker: Docker) -> None:
    compose, ports = demo_compose({"PATH": os.environ["PATH"], "TANDEM_PORT_INTAKE": "0"})

    assert compose.project == "tandem-demo"
    assert ports["TANDEM_PORT_INTAKE"] > 0
    assert compose.env["TANDEM_PORT_INTAKE"] == str(ports["TANDEM_PORT_INTAKE"])


async def test_crash_and_freeze_act_on_the_service_container(
    docker: Docker, compose: Compose
) -> None:
    containers = Containers(compose, {Service.INTAKE: "id-1"}, {})

    await containers.freeze(Service.INTAKE)
    await containers.crash(Service.INTAKE)
    await containers.revive(Service.INTAKE)

    assert docker.words() == ["pause id-1", "kill id-1", "start id-1"]


async def test_a_crash_of_what_is_gone_is_told_and_a_thaw_is_harmless(
    docker: Docker, compose: Compose
) -> None:
    containers = Containers(compose, {Service.INTAKE: "id-1"}, {})
    docker.does("exit 1")

    await containers.thaw(Service.INTAKE)
    with pytest.raises(ProcessLookupError, match="intake"):
        await containers.crash(Service.INTAKE)


async def test_without_java_or_maven_the_native_demo_names_both_ways(tmp_path: Path) -> None:
    environ = {
        "PATH": str(tmp_path),
        "TANDEM_VAR": str(tmp_path / "var"),
        **dict.fromkeys(("TANDEM_KAFKA_PORT", "TANDEM_KAFKA_CONTROLLER_PORT"), "0"),
        "TANDEM_POSTGRES_PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.console.cli", "demo", "--once",
        env=environ, cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip

    said, _ = await process.communicate()

    assert process.returncode == 1, said.decode()
    assert "make doctor" in said.decode()
    assert "RUN=compose" in said.decode()


async def test_the_demos_people_sign_in_by_the_front_door(tmp_path: Path) -> None:
    identity = DevIdentity.prepare(tmp_path, ISSUER)
    app = create_provider(identity, clock=MachineClock())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        tokens = await sign_in(client, ISSUER)

    assert set(tokens) == {user.subject for user in DEMO_USERS}
    assert len(set(tokens.values())) == len(DEMO_USERS)
