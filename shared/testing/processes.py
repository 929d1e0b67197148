"""What the processes that a test or a measurement starts begin with, and their end."""

import asyncio
import signal
from collections.abc import Iterable


def heed_interrupts() -> None:
    """Undoes an ignored Ctrl-C, which every process started from here would inherit.

    A shell starts its background jobs that way. A command that a test interrupts before it has put
    up its own handlers would then never hear of it. Call it from the main thread.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


async def end_processes(
    processes: Iterable[asyncio.subprocess.Process], *, within_seconds: float
) -> None:
    """Asks all of them to end, and returns when they have; one that takes longer is killed."""
    running = [process for process in processes if process.returncode is None]
    for process in running:
        process.terminate()
    for process in running:
        try:
            await asyncio.wait_for(process.wait(), within_seconds)
        except TimeoutError:
            process.kill()
            await process.wait()
