"""Ends the processes that a test or a measurement has started."""

import asyncio
from collections.abc import Iterable


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
