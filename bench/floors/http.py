"""A trivial POST: the body validated, two of its values answered."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

import uvicorn
from fastapi import FastAPI

from bench.child import Command, Order
from bench.traffic import Plain
from shared.runtime.ports import LOOPBACK
from shared.runtime.programs import listening, wait_until

_READY_SECONDS = 20.0

app = FastAPI()


@app.post("/e")
async def post_event(event: Plain) -> dict[str, UUID | int]:
    """What the event is called, and its place."""
    return {"id": event.id, "sequence": event.sequence}


@asynccontextmanager
async def server(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Serves on the port of the order, with the settings that services have."""
    port = int(order["port"])
    config = uvicorn.Config(app, host=LOOPBACK, port=port, log_config=None, access_log=False)
    web = uvicorn.Server(config)
    task = asyncio.create_task(web.serve())
    await wait_until(
        lambda: listening(LOOPBACK, port), "the trivial server", within_seconds=_READY_SECONDS
    )
    yield {}
    web.should_exit = True
    await task
