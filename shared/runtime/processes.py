"""Brings declared programs up in order, watches them, and takes them down in the reverse order.

Invariants: every process that was started is known to the runner before anything else happens, so
`stop()` at any moment leaves none; a program that dies unexpectedly is always reported, and is
either started again within bounds or ends the run.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from shared.runtime.children import Child, spawn
from shared.runtime.identity import own_identity
from shared.runtime.logs import Sink, discard
from shared.runtime.programs import NotYet, Program, StartFailed, Step, wait_until
from shared.runtime.run_state import RunningProgram, RunState

RUNNER = "tandem"
"""The name under which the runner's own lines appear."""

Listener = Callable[[RunState], None]
"""Told of every change of the run; must not raise."""


class ProgramDied(RuntimeError):
    """A program ended without being asked to, and will not be started again."""


class Supervised:
    """A declared program with its present child and the task that watches it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.ready = asyncio.Event()
        self.child: Child | None = None
        self.watch: asyncio.Task[None] | None = None
        self.prepared = False


class Runner:
    """Runs programs until `stop()`."""

    def __init__(self, sink: Sink, *, listener: Listener | None = None) -> None:
        self._sink = sink
        self._listener = listener
        self._programs: dict[str, Supervised] = {}
        self._steps: set[Child] = set()
        self._died: asyncio.Future[ProgramDied] = asyncio.get_running_loop().create_future()
        self._phase = "preparing"
        self._endpoints: dict[str, str] = {}
        self._hurried = False

    async def start(self, programs: Sequence[Program]) -> None:
        """Returns when all of them are ready; those that need not wait start side by side.

        Raises `StartFailed` for the first that does not come up; call `stop()` in any case.
        """
        for program in programs:
            self._declare(program)
        self._enter("starting")
        starting = [
            asyncio.create_task(self._bring_up(self._programs[program.name]))
            for program in programs
        ]
        try:
            await _all_or_first_error(starting)
        finally:
            await _cancel(*starting)
        self._enter("ready")

    async def failure(self) -> ProgramDied:
        """Returns once a program died for good."""
        return await asyncio.shield(self._died)

    async def run_step(self, step: Step) -> None:
        """Runs the command to its end; raises `StartFailed` with its last lines."""
        self.say(f"{step.name}: {step.purpose}")
        # Its output is shown if it fails; a step that works has nothing to tell.
        child = await spawn(step.name, step.argv, discard, env=step.env, as_user=step.as_user)
        self._steps.add(child)
        try:
            async with asyncio.timeout(step.within_seconds):
                returncode = await child.ended()
        except TimeoutError:
            raise StartFailed(
                f"{step.name}: did not end within {step.within_seconds:g} s{_tail(child)}"
            ) from None
        finally:
            await asyncio.shield(child.kill())
            self._steps.discard(child)
        if returncode != 0:
            raise StartFailed(f"{step.name}: exit code {returncode}{_tail(child)}")

    async def stop(self) -> None:
        """Ends all programs: each as soon as those that were started after it and need it ended.

        Cancel a `start()` that is under way first. One program that cannot be ended does not keep
        the others up; its error is raised at the end.
        """
        self._enter("stopping")
        for child in list(self._steps):
            await child.kill()
        ended = {name: asyncio.Event() for name in self._programs}
        outcomes = await asyncio.gather(
            *(self._take_down_in_order(s, ended) for s in self._programs.values()),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    def hurry(self) -> None:
        """Kills everything at once; for the second Ctrl-C."""
        self._hurried = True
        for child in (*self._steps, *self._children()):
            child.kill_now()

    async def kill(self, name: str) -> None:
        """Kills one program as a crash would, and keeps it down until `start_again`."""
        await self._put_down(self._programs[name], hard=True)

    async def stop_one(self, name: str) -> None:
        """Stops one program in an orderly way, and keeps it down until `start_again`."""
        await self._put_down(self._programs[name], hard=False)

    async def start_again(self, name: str) -> None:
        """Starts a program that was put down; returns when it is ready.

        It may fail at first because its predecessor's helpers still hold a file: its restart
        policy says how often it is tried.
        """
        supervised = self._programs[name]
        failures = 0
        while not supervised.ready.is_set():
            try:
                await self._bring_up(supervised)
            except StartFailed:
                failures += 1
                pause = supervised.program.restart.pause_seconds(failures)
                await self._put_down(supervised, hard=True)
                if pause is None:
                    raise
                await asyncio.sleep(pause)

    def announce(self, endpoints: Mapping[str, str]) -> None:
        """Adds addresses to the state of the run."""
        self._endpoints.update(endpoints)
        self._tell_listener()

    def say(self, text: str) -> None:
        """Writes lines of the runner's own."""
        for line in text.splitlines():
            self._sink(RUNNER, line)

    def state(self) -> RunState:
        """What runs now, for other shells."""
        return RunState(own_identity(), self._phase, tuple(self._running()), self._endpoints)

    def _declare(self, program: Program) -> None:
        unknown = [name for name in program.after if name not in self._programs]
        if program.name in self._programs or unknown:
            raise ValueError(f"{program.name}: declared twice, or after unknown {unknown}")
        self._programs[program.name] = Supervised(program)

    async def _bring_up(self, supervised: Supervised) -> None:
        program = supervised.program
        for needed in program.after:
            await self._programs[needed].ready.wait()
        if program.prepare is not None and not supervised.prepared:
            await program.prepare(self)
        supervised.prepared = True
        await self._spawn(supervised)
        await self._await_ready(supervised)
        supervised.watch = asyncio.create_task(
            self._watch(supervised), name=f"watch of {program.name}"
        )

    async def _spawn(self, supervised: Supervised) -> None:
        if self._phase == "stopping":
            raise StartFailed(f"{supervised.program.name}: the run is being stopped")
        program = supervised.program
        supervised.child = await spawn(
            program.name,
            program.argv,
            self._sink,
            env=program.env,
            cwd=program.cwd,
            as_user=program.as_user,
            orphan_signal=program.orphan_signal,
        )
        self._tell_listener()

    async def _await_ready(self, supervised: Supervised) -> None:
        """Marks the program ready, or raises `StartFailed` saying what was awaited in vain."""
        program, child = supervised.program, supervised.child
        assert child is not None  # noqa: S101 - the caller has just spawned it
        began = time.monotonic()
        ended = asyncio.ensure_future(child.ended())
        waiting = asyncio.ensure_future(
            wait_until(program.ready, program.awaited, within_seconds=program.ready_within_seconds)
        )
        try:
            await asyncio.wait({ended, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise StartFailed(
                    f"{program.name}: ended with exit code {ended.result()} while waiting for "
                    f"{program.awaited}{_tail(child)}"
                )
            waiting.result()
        except NotYet as late:
            raise StartFailed(f"{program.name}: {late}{_tail(child)}") from None
        finally:
            await _cancel(ended, waiting)
        supervised.ready.set()
        self.say(f"{program.name} is ready after {time.monotonic() - began:.1f} s")

    async def _watch(self, supervised: Supervised) -> None:
        """Follows a program from death to death until it may not be started again."""
        restart, deaths = supervised.program.restart, 0
        while True:
            since = time.monotonic()
            report = await self._next_death(supervised)
            forgiven = time.monotonic() - since >= restart.forgiven_after_seconds
            deaths = 1 if forgiven else deaths + 1
            pause = restart.pause_seconds(deaths)
            if pause is None:
                self._give_up(report)
                return
            self.say(f"{report}\nstarting {supervised.program.name} again in {pause:g} s")
            await asyncio.sleep(pause)
            await self._spawn(supervised)

    async def _next_death(self, supervised: Supervised) -> str:
        """Waits for the present child's end; for one just born, for its readiness first."""
        child = supervised.child
        assert child is not None  # noqa: S101 - watched from its birth on
        if not supervised.ready.is_set():
            try:
                await self._await_ready(supervised)
            except StartFailed as failed:
                await child.kill()
                return str(failed)
        returncode = await child.ended()
        supervised.ready.clear()
        # What it left in its group would hold ports and files against its successor.
        child.kill_now()
        return f"{child.name} died unexpectedly with exit code {returncode}{_tail(child)}"

    def _give_up(self, report: str) -> None:
        self.say(report)
        if not self._died.done():
            self._died.set_result(ProgramDied(report))

    async def _take_down_in_order(
        self, supervised: Supervised, ended: Mapping[str, asyncio.Event]
    ) -> None:
        name = supervised.program.name
        for other in self._programs.values():
            if name in other.program.after:
                await ended[other.program.name].wait()
        try:
            await self._put_down(supervised, hard=self._hurried)
        finally:
            ended[name].set()

    async def _put_down(self, supervised: Supervised, *, hard: bool) -> None:
        """Ends the program's child, after the watch that would take that for news."""
        supervised.ready.clear()
        if supervised.watch is not None:
            await _cancel(supervised.watch)
        program, child = supervised.program, supervised.child
        if child is None:
            return
        if hard:
            await child.kill()
        else:
            began = time.monotonic()
            within = 0.0 if self._hurried else program.stop_within_seconds
            returncode = await child.stop(program.stop_signal, within_seconds=within)
            self._report_stop(program, returncode, time.monotonic() - began)
        supervised.child = None
        self._tell_listener()

    def _report_stop(self, program: Program, returncode: int, seconds: float) -> None:
        manner = "" if program.ended_cleanly(returncode) else f" with exit code {returncode}"
        self.say(f"{program.name} stopped{manner} after {seconds:.1f} s")

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._tell_listener()

    def _tell_listener(self) -> None:
        if self._listener is not None:
            self._listener(self.state())

    def _children(self) -> Iterable[Child]:
        return [s.child for s in self._programs.values() if s.child is not None]

    def _running(self) -> Iterable[RunningProgram]:
        for supervised in self._programs.values():
            child = supervised.child
            if child is not None and child.identity is not None and child.returncode is None:
                program = supervised.program
                yield RunningProgram(
                    program.name, child.identity, int(program.stop_signal), program.ports
                )


async def _all_or_first_error(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Waits for all; raises what the first one to fail raised, without a group around it."""
    if tasks:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        if task.done():
            task.result()


def _tail(child: Child) -> str:
    """The program's last words, indented, for a report."""
    if not child.last_lines:
        return " (it printed nothing)"
    return "".join(f"\n    {line}" for line in child.last_lines)


async def _cancel(*tasks: "asyncio.Future[Any]") -> None:
    """Ends the tasks and takes note of what they may have raised."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()
