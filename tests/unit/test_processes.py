"""The process runner, on small real processes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from shared.runtime import run_state
from shared.runtime.down import end_run
from shared.runtime.identity import ProcessId, identify
from shared.runtime.paths import CHECKOUT, Paths
from shared.runtime.processes import RUNNER, Runner
from shared.runtime.programs import (
    NotYet,
    Program,
    Restart,
    StartFailed,
    Step,
    Steps,
    at_once,
    wait_until,
)
from shared.runtime.run_state import RunningProgram, RunState

STAYS = "import signal; print('up', flush=True); signal.pause()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STAYS}"
QUICK = Restart(attempts=2, first_pause_seconds=0.01)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", code)


class Lines:
    """What was printed: (program, line), oldest first."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.seen.append((name, line))

    def of(self, name: str) -> list[str]:
        return [line for who, line in self.seen if who == name]

    def program(self, name: str, code: str = STAYS, **more: object) -> Program:
        """A program that is ready when it has printed its first line."""

        async def has_printed() -> bool:
            return bool(self.of(name))

        fixed = {"awaited": f"the first line of {name}", "ready": has_printed}
        return Program(name=name, argv=python(code), **{**fixed, **more})


@asynccontextmanager
async def running(lines: Lines, *programs: Program) -> AsyncIterator[Runner]:
    runner = Runner(lines)
    try:
        await runner.start(programs)
        yield runner
    finally:
        await runner.stop()


async def until_gone(pid: int) -> None:
    async def gone() -> bool:
        return identify(pid) is None

    await wait_until(gone, f"the end of process {pid}", within_seconds=20)


async def test_programs_start_after_those_they_need_and_stop_before_them() -> None:
    lines = Lines()

    async with running(lines, lines.program("base"), lines.program("user", after=("base",))):
        pass

    told = [line.rpartition(" after")[0] for line in lines.of(RUNNER)]
    assert told == ["base is ready", "user is ready", "user stopped", "base stopped"]


async def test_a_start_without_readiness_in_time_says_what_was_awaited() -> None:
    async def never() -> bool:
        return False

    lines = Lines()
    slow = lines.program("slow", ready=never, awaited="godot", ready_within_seconds=0.2)

    with pytest.raises(StartFailed, match=r"slow: still waiting after 0.2 s for godot"):
        async with running(lines, slow):
            pass


async def test_a_program_that_ends_too_early_is_reported_with_its_last_words() -> None:
    async def never() -> bool:
        return False

    lines = Lines()
    broken = lines.program("broken", "print('no config'); raise SystemExit(3)", ready=never)

    with pytest.raises(StartFailed, match=r"exit code 3 while waiting for .*\n +no config"):
        async with running(lines, broken):
            pass


async def test_an_unknown_program_is_reported_by_name() -> None:
    lines = Lines()
    missing = Program(name="missing", argv=("/no/such/file",), awaited="x", ready=_never)

    with pytest.raises(StartFailed, match="cannot run /no/such/file: No such file"):
        async with running(lines, missing):
            pass


async def test_a_missing_working_directory_is_reported_by_name() -> None:
    lines = Lines()

    with pytest.raises(StartFailed, match=r"lost: .*/no/such/place"):
        async with running(lines, lines.program("lost", cwd=Path("/no/such/place"))):
            pass


async def _never() -> bool:
    return False


async def test_an_unexpected_death_ends_the_run_and_is_reported() -> None:
    lines = Lines()

    async with running(lines, lines.program("fragile")) as runner:
        os.kill(runner.state().programs[0].process.pid, signal.SIGKILL)
        died = await asyncio.wait_for(runner.failure(), timeout=5)

    assert "fragile died unexpectedly with exit code -9" in str(died)
    assert any("fragile died unexpectedly" in line for line in lines.of(RUNNER))


async def test_a_clean_exit_that_nobody_asked_for_is_a_death_too() -> None:
    lines = Lines()
    brief = lines.program("brief", "print('up', flush=True)", ready=at_once)

    async with running(lines, brief) as runner:
        died = await asyncio.wait_for(runner.failure(), timeout=5)

    assert "brief died unexpectedly with exit code 0" in str(died)


async def test_a_program_with_restarts_comes_back() -> None:
    lines = Lines()

    async with running(lines, lines.program("tough", restart=QUICK)) as runner:
        first = runner.state().programs[0].process
        os.kill(first.pid, signal.SIGKILL)

        async def is_back() -> bool:
            now = runner.state().programs
            return bool(now) and now[0].process != first and now[0].process.is_alive()

        await wait_until(is_back, "another child of tough", within_seconds=20)

    assert any("died unexpectedly" in line for line in lines.of(RUNNER))


async def test_restarts_are_bounded() -> None:
    lines = Lines()
    hopeless = lines.program("hopeless", "print('up')", ready=at_once, restart=QUICK)

    async with running(lines, hopeless) as runner:
        await asyncio.wait_for(runner.failure(), timeout=10)

    assert lines.of("hopeless") == ["up"] * (1 + QUICK.attempts)


def test_pauses_between_restarts_double_up_to_a_bound() -> None:
    restart = Restart(attempts=4, first_pause_seconds=1, pause_seconds_max=5)

    assert [restart.pause_seconds(n) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 5, None]


async def test_a_program_that_ignores_the_signal_is_killed() -> None:
    lines = Lines()

    async with running(lines, lines.program("deaf", DEAF, stop_within_seconds=0.2)) as runner:
        pid = runner.state().programs[0].process.pid

    await until_gone(pid)
    assert any("deaf stopped with exit code -9" in line for line in lines.of(RUNNER))


@pytest.mark.parametrize("returncode", [0, 143, -15])
def test_the_exit_codes_of_an_orderly_stop_are_clean(returncode: int) -> None:
    program = Program(name="x", argv=("x",), awaited="x")

    assert program.ended_cleanly(returncode)


@pytest.mark.parametrize("returncode", [1, -9, 137, -11])
def test_other_exit_codes_are_not_clean(returncode: int) -> None:
    program = Program(name="x", argv=("x",), awaited="x")

    assert not program.ended_cleanly(returncode)


async def test_children_of_a_program_go_with_it() -> None:
    lines = Lines()
    child = f"{sys.executable!r}, '-c', 'import signal; signal.pause()'"
    parent = f"import subprocess; print(subprocess.Popen([{child}]).pid, flush=True); {STAYS}"

    async with running(lines, lines.program("parent", parent)):
        grandchild = int(lines.of("parent")[0])
        assert identify(grandchild) is not None

    await until_gone(grandchild)


async def test_a_cancelled_start_leaves_no_process_of_a_step() -> None:
    lines = Lines()
    step = Step(name="long", purpose="lasting", argv=python(STAYS), within_seconds=30)

    async def prepare(steps: Steps) -> None:
        await steps.run_step(step)

    others = _children()

    async def has_child() -> bool:
        return bool(_children() - others)

    runner = Runner(lines)
    starting = asyncio.create_task(runner.start([lines.program("p", prepare=prepare)]))
    await wait_until(has_child, "the step's process", within_seconds=20)
    children = _children() - others

    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    await runner.stop()

    for pid in children:
        await until_gone(pid)


def _children() -> set[int]:
    """This process's children; other tests of the run may have left long-lived ones."""
    threads = Path("/proc/self/task").glob("*/children")
    return {int(pid) for file in threads for pid in file.read_text().split()}


async def test_a_failed_step_shows_its_output() -> None:
    lines = Lines()
    step = Step(
        name="init",
        purpose="making",
        argv=python("print('disk full'); raise SystemExit(1)"),
        within_seconds=20,
    )

    with pytest.raises(StartFailed, match=r"init: exit code 1\n +disk full"):
        await Runner(lines).run_step(step)


async def test_a_step_that_hangs_is_ended_at_its_limit() -> None:
    step = Step(name="hang", purpose="hanging", argv=python(STAYS), within_seconds=0.3)

    with pytest.raises(StartFailed, match=r"hang: did not end within 0.3 s"):
        await Runner(Lines()).run_step(step)


async def test_a_killed_program_stays_down_until_it_is_started_again() -> None:
    lines = Lines()

    async with running(lines, lines.program("server", restart=QUICK)) as runner:
        await runner.kill("server")
        assert runner.state().programs == ()

        await runner.start_again("server")

        assert [p.name for p in runner.state().programs] == ["server"]


async def test_a_line_without_end_is_passed_on_in_bounded_pieces() -> None:
    lines = Lines()
    endless = "print('up', flush=True); print('x' * 200_000, end='', flush=True); " + STAYS

    async with running(lines, lines.program("chatty", endless)):

        async def all_passed_on() -> bool:
            return sum(map(len, lines.of("chatty"))) >= 180_000

        await wait_until(all_passed_on, "180,000 characters", within_seconds=20)

    assert max(map(len, lines.of("chatty"))) < 100_000


async def test_programs_die_with_a_runner_that_was_killed() -> None:
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(CHECKOUT)!r})
from shared.runtime.processes import Runner
from shared.runtime.programs import Program

async def main():
    runner = Runner(lambda name, line: None)
    await runner.start([Program(name="p", argv={python(DEAF)!r}, awaited="nothing")])
    print(runner.state().programs[0].process.pid, flush=True)
    await runner.failure()

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    assert identify(pid) is not None

    process.kill()
    await process.wait()

    await until_gone(pid)


async def test_down_ends_what_a_killed_runner_left(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path, downloads=tmp_path)
    left = await asyncio.create_subprocess_exec(*python(STAYS), start_new_session=True)
    process = identify(left.pid)
    assert process is not None
    program = RunningProgram("left", process, int(signal.SIGTERM), ())
    gone = ProcessId(pid=process.pid, started="another time")
    run_state.write(paths.run_state, RunState(gone, "ready", (program,)))

    ended = await end_run(paths)

    assert (ended.runner, ended.leftovers) == (False, ("left",))
    assert await left.wait() == -signal.SIGTERM
    assert not paths.run_state.exists()


async def test_down_never_signals_a_process_that_inherited_a_number(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path, downloads=tmp_path)
    other = await asyncio.create_subprocess_exec(*python(STAYS), start_new_session=True)
    stale = ProcessId(pid=other.pid, started="another time")
    program = RunningProgram("old", stale, int(signal.SIGTERM), ())
    run_state.write(paths.run_state, RunState(stale, "ready", (program,)))

    ended = await end_run(paths)

    assert not ended.anything
    assert identify(other.pid) is not None
    other.kill()
    await other.wait()


async def test_an_unreadable_run_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format": 99, "who": "knows"}')

    assert run_state.read(tmp_path / "run.json") is None


async def test_waiting_in_vain_names_what_was_awaited() -> None:
    with pytest.raises(NotYet, match=r"after 0.1 s for the end of time"):
        await wait_until(_never, "the end of time", within_seconds=0.1)
