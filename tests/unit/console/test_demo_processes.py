"""Crashes and freezes of the demo's native processes, on a child that does nothing."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.console.demo.processes import NativeProcesses
from shared.contracts.vocabulary import Service
from shared.runtime.identity import identify
from shared.runtime.programs import wait_until
from shared.runtime.run_state import RunningProgram


@pytest.fixture
async def child() -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import time; time.sleep(60)"
    )
    yield process
    if process.returncode is None:
        process.kill()
    await process.wait()


def processes(child: asyncio.subprocess.Process) -> NativeProcesses:
    known = identify(child.pid)
    assert known is not None
    programs = (RunningProgram(Service.INTAKE.value, known, signal.SIGTERM, (1,)),)
    return NativeProcesses(SimpleNamespace(state=lambda: SimpleNamespace(programs=programs)))  # type: ignore[arg-type]


def state_of(child: asyncio.subprocess.Process) -> str:
    return Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_a_crash_is_sigkill_and_a_second_one_finds_nothing(
    child: asyncio.subprocess.Process,
) -> None:
    native = processes(child)

    await native.crash(Service.INTAKE)

    assert await child.wait() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError, match="intake"):
        await native.crash(Service.INTAKE)


async def test_a_frozen_process_stands_still_until_it_is_thawed(
    child: asyncio.subprocess.Process,
) -> None:
    native = processes(child)

    async def stopped() -> bool:
        return state_of(child) == "T"

    async def goes_on() -> bool:
        return state_of(child) != "T"

    await native.freeze(Service.INTAKE)
    await wait_until(stopped, "the child standing still", within_seconds=5)
    await native.thaw(Service.INTAKE)
    await wait_until(goes_on, "the child going on", within_seconds=5)


async def test_what_does_not_run_is_not_ready_and_a_thaw_of_it_is_harmless(
    child: asyncio.subprocess.Process,
) -> None:
    native = processes(child)

    await native.thaw(Service.CONSOLE)
    await native.revive(Service.CONSOLE)

    assert not await native.is_ready(Service.CONSOLE)
    assert not await native.is_ready(Service.INTAKE)
    with pytest.raises(ProcessLookupError):
        await native.freeze(Service.CONSOLE)
