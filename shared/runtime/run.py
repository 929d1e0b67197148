"""One run in the foreground: programs up, watched until a signal or a failure, down again.

Invariants: one run at a time for one `var` (a lock that the kernel frees); a signal at any moment
ends in an orderly stop; what runs is written to `var/run.json` before and after each change.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from shared.runtime import run_state
from shared.runtime.java import JavaMissing, MavenMissing
from shared.runtime.locks import lock_file, try_lock
from shared.runtime.logs import LogFiles, Sink, tee
from shared.runtime.paths import NotACheckout, Paths
from shared.runtime.ports import is_free
from shared.runtime.postgres import PostgresMissing
from shared.runtime.processes import Runner
from shared.runtime.programs import Program, StartFailed
from shared.runtime.run_state import RunState

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# One Ctrl-C may reach us twice: from the terminal and from make. A second one that is meant comes
# later than this, and kills.
SAME_PRESS_SECONDS = 0.5


class AlreadyRunning(RuntimeError):
    """Another run holds this `var`."""


CANNOT_START = (StartFailed, JavaMissing, MavenMissing, PostgresMissing, NotACheckout)
"""What a run may end with before it was up; the texts are for people."""

Declare = Callable[[], Sequence[Program]]
Heard = Callable[[signal.Signals], None]
"""Told of the signal that ends a run."""
Job = Callable[[Runner], Awaitable[None]]
"""What is done with a run that is ready; the run ends when it returns or raises."""


async def run(
    declare: Declare,
    paths: Paths,
    sink: Sink,
    *,
    endpoints: dict[str, str],
    on_ready: Callable[[RunState], None],
    job: Job | None = None,
) -> None:
    """Returns after a signal or the end of `job`, when everything has stopped.

    Raises `ProgramDied` or one of `CANNOT_START`, also when everything has stopped. Call it from
    the main thread: children live as long as the thread that made them.
    """
    with only_run(paths):
        files = LogFiles(paths.logs)
        runner = Runner(tee(sink, files), listener=lambda s: run_state.write(paths.run_state, s))
        stopping = _on_signals(runner)
        try:
            work = asyncio.create_task(_work(runner, declare, endpoints, on_ready, job))
            asked = asyncio.create_task(stopping.wait())
            await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
            work.cancel()
            asked.cancel()
            await asyncio.wait({work})
            if not work.cancelled():
                work.result()
        finally:
            await runner.stop()
            files.close()
            paths.run_state.unlink(missing_ok=True)


async def _work(
    runner: Runner,
    declare: Declare,
    endpoints: dict[str, str],
    on_ready: Callable[[RunState], None],
    job: Job | None,
) -> None:
    programs = declare()
    taken = [f"{p.name}: port {n} is taken" for p in programs for n in p.ports if not is_free(n)]
    if taken:
        raise StartFailed(f"{'; '.join(taken)} (tandem doctor says what to do)")
    runner.announce(endpoints)
    await runner.start(programs)
    on_ready(runner.state())
    if job is None:
        raise await runner.failure()
    await _done_unless_one_dies(job, runner)


async def _done_unless_one_dies(job: Job, runner: Runner) -> None:
    """Returns with the job; raises `ProgramDied`, the job cancelled, if that comes first."""
    doing = asyncio.ensure_future(job(runner))
    dying = asyncio.ensure_future(runner.failure())
    try:
        await asyncio.wait({doing, dying}, return_when=asyncio.FIRST_COMPLETED)
        if dying.done():
            raise dying.result()
        doing.result()
    finally:
        doing.cancel()
        dying.cancel()
        await asyncio.wait({doing, dying})


def _on_signals(runner: Runner) -> asyncio.Event:
    """Set by the first signal; a later one kills what still runs."""
    stopping = asyncio.Event()
    first_at: list[float] = []

    def heard(number: signal.Signals) -> None:
        if not stopping.is_set():
            first_at.append(time.monotonic())
            stopping.set()
            runner.say(f"{number.name}: stopping (once more: kill)")
        elif time.monotonic() - first_at[0] > SAME_PRESS_SECONDS:
            runner.hurry()

    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, heard, number)
    return stopping


async def cancelled_by_signals(work: Coroutine[Any, Any, None], heard: Heard) -> None:
    """Returns or raises with the work, which the first signal cancels.

    Later signals change nothing: what the work then takes down, it takes down to the end. One
    Ctrl-C may reach us twice, and half a way down would leave something running.
    """
    working = asyncio.ensure_future(work)
    stopping = False

    def stop(number: signal.Signals) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            heard(number)
            working.cancel()

    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    await asyncio.wait({working})
    if not working.cancelled():
        working.result()


@contextmanager
def only_run(paths: Paths) -> Iterator[None]:
    """Holds the lock of this `var`; raises `AlreadyRunning` if another run does."""
    paths.var.mkdir(parents=True, exist_ok=True)
    with lock_file(paths.run_lock) as lock:
        if not try_lock(lock):
            raise AlreadyRunning(f"Tandem already runs from {paths.var}; `tandem down` stops it")
        yield
