"""What the demo does to services: crashes and freezes, as a failing machine would.

Invariant: a frozen one goes on again whatever happens inside the block.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.console.demo.stage import Stage
from shared.contracts.vocabulary import Service


async def crash(stage: Stage, service: Service) -> None:
    """The service's process is gone at once; `ready_again` waits for the next."""
    await stage.processes.crash(service)


@asynccontextmanager
async def frozen(stage: Stage, service: Service) -> AsyncIterator[None]:
    """The service stands still for as long as the block lasts."""
    await stage.processes.freeze(service)
    try:
        yield
    finally:
        await stage.processes.thaw(service)


async def ready_again(stage: Stage, service: Service) -> None:
    """Returns when a crashed service answers that it is ready."""
    await stage.processes.revive(service)
    await stage.eventually(
        lambda: stage.processes.is_ready(service), f"{service.value} ready again"
    )
