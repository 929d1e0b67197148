"""Two services that lock and insert: the least that asking one and starting at the other costs.

The same framework, token check and client as the product's; one transaction on each side, and
nothing is checked twice.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

import asyncpg
import uvicorn
from fastapi import Depends, FastAPI, Header
from pydantic import BaseModel

from bench.child import Command, Order
from shared.auth.tokens import Issuer, TokenAuthenticator
from shared.runtime.ports import LOOPBACK
from shared.runtime.programs import listening, wait_until
from shared.runtime.world import machine_world
from shared.web.client import HttpxClient, ServiceHttp, ServiceTokens

_LOCK: Final = "SELECT version FROM bench_case WHERE case_id = $1 FOR UPDATE"
_INSERT: Final = "INSERT INTO bench_inbox (event_id) VALUES ($1)"
_READY_SECONDS: Final = 20.0
_CALL_SECONDS: Final = 5.0
_CONNECTIONS: Final = 4

Act = Callable[[UUID], Awaitable[None]]


class StartBody(BaseModel):
    """A case in which something shall start."""

    case_id: UUID


@asynccontextmanager
async def authority(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Locks the case and inserts a row."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            asyncpg.create_pool(order["writing"], min_size=1, max_size=_CONNECTIONS)
        )

        async def act(case_id: UUID) -> None:
            await _locked_insert(pool, case_id)

        await _serve(stack, order, act)
        yield {}


@asynccontextmanager
async def holder(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Asks the authority, then locks the case and inserts a row of its own."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            asyncpg.create_pool(order["reading"], min_size=1, max_size=_CONNECTIONS)
        )
        http = await stack.enter_async_context(HttpxClient())
        tokens = ServiceTokens(
            http=http, clock=machine_world(http).machine_clock, token_url=order["token_url"],
            client_id="infusion_scheduling", secret=order["secret"], audience="tandem-services",
        )  # fmt: skip
        calls = ServiceHttp(http, tokens)

        async def act(case_id: UUID) -> None:
            await calls.call(
                "POST", str(order["authority"]), body=b'{"case_id": "%s"}' % str(case_id).encode(),
                headers={"content-type": "application/json"}, timeout_seconds=_CALL_SECONDS,
            )  # fmt: skip
            await _locked_insert(pool, case_id)

        await _serve(stack, order, act)
        yield {}


async def _locked_insert(pool: Any, case_id: UUID) -> None:  # noqa: ANN401 - asyncpg
    async with pool.acquire() as connection, connection.transaction():
        await connection.fetchval(_LOCK, case_id)
        await connection.execute(_INSERT, uuid4())


async def _serve(stack: AsyncExitStack, order: Order, act: Act) -> None:
    http = await stack.enter_async_context(HttpxClient())
    issuer = Issuer(
        url=order["issuer"], jwks_url=order["jwks_url"], audience="tandem",
        service_audience="tandem-services",
    )  # fmt: skip
    clock = machine_world(http).machine_clock
    app = _app(TokenAuthenticator([issuer], http=http, clock=clock), act)
    port = int(order["port"])
    config = uvicorn.Config(app, host=LOOPBACK, port=port, log_config=None, access_log=False)
    web = uvicorn.Server(config)
    task = asyncio.create_task(web.serve())

    async def end() -> None:
        web.should_exit = True
        await task

    stack.push_async_callback(end)
    await wait_until(
        lambda: listening(LOOPBACK, port), "a bare service", within_seconds=_READY_SECONDS
    )


def _app(authenticator: TokenAuthenticator, act: Act) -> FastAPI:
    app = FastAPI()

    async def caller(authorization: Annotated[str, Header()]) -> None:
        await authenticator.authenticate(authorization.removeprefix("Bearer "))

    @app.post("/starts", dependencies=[Depends(caller)])
    async def post_start(body: StartBody) -> dict[str, bool]:
        await act(body.case_id)
        return {"started": True}

    return app
