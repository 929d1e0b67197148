"""Presses that a test carries on step by step, with everything else in between.

A press stops before its request, after the answer, around each of its transactions, and inside
them just before COMMIT: the same gaps as in the model of the protocol.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from permit_world import Site, a_cause

from shared.contracts.vocabulary import Service
from shared.permits.ask import Press
from shared.permits.press_start import StartAnswer, press_start
from shared.persistence.database import Database, Tx
from shared.ports import Http, HttpAnswer

_CURRENT: ContextVar["SteppedPress | None"] = ContextVar("stepped_press", default=None)


@dataclass(eq=False)
class SteppedPress:
    """One press on its way. `where` names the gap that it stands in."""

    press: Press
    where: str = "new"
    answer: StartAnswer | None = None
    task: asyncio.Task[None] | None = None
    transactions: int = 0
    _go: asyncio.Event = field(default_factory=asyncio.Event)
    _stands: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_done(self) -> bool:
        return self.task is not None and self.task.done()

    @property
    def is_under_way(self) -> bool:
        """Whether a permit may be out for it."""
        return self.where not in {"new", "asking", "done", "crashed"}

    @property
    def holds_the_fence(self) -> bool:
        """Whether it stands inside a transaction of the holder."""
        return self.where.startswith("commit")

    async def begin(self, site: Site, service: Service) -> None:
        async def run() -> None:
            _CURRENT.set(self)
            self.answer = await press_start(site.holders[service], self.press, a_cause())

        self.task = asyncio.create_task(run())
        await self._until_it_stands()

    async def step(self) -> None:
        """On to the next gap, or to the answer."""
        self._go.set()
        await self._until_it_stands()

    async def crash(self) -> None:
        """The process dies: an open transaction rolls back, nothing more happens."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait({self.task})
        self.where = "crashed"

    async def stand(self, where: str) -> None:
        self.where = where
        self._stands.set()
        await self._go.wait()
        self._go.clear()

    async def _until_it_stands(self) -> None:
        assert self.task is not None
        stands = asyncio.create_task(self._stands.wait())
        await asyncio.wait({stands, self.task}, return_when=asyncio.FIRST_COMPLETED)
        stands.cancel()
        self._stands.clear()
        if self.task.done():
            self.where = "done"
            self.task.result()


@dataclass
class SteppedDatabase:
    """The holder's database: a stepped press stands around and inside its transactions."""

    inner: Database

    @asynccontextmanager
    async def transaction(
        self, *, timeout_seconds: float | None = None, urgent: bool = False
    ) -> AsyncIterator[Tx]:
        press = _CURRENT.get()
        if press is None:
            async with self.inner.transaction(timeout_seconds=timeout_seconds, urgent=urgent) as tx:
                yield tx
            return
        press.transactions += 1
        number = press.transactions
        await press.stand(f"before-{number}")
        async with self.inner.transaction(timeout_seconds=None, urgent=urgent) as tx:
            yield tx
            await press.stand(f"commit-{number}")
        await press.stand(f"after-{number}")

    def session(self) -> AbstractAsyncContextManager[Tx]:
        return self.inner.session()


@dataclass
class SteppedHttp:
    """The holder's way to the authority: a stepped press stands before and after its request."""

    inner: Http

    async def call(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpAnswer:
        press = _CURRENT.get()
        if press is not None:
            await press.stand("asking")
        answer = await self.inner.call(
            method, url, body=body, headers=headers, timeout_seconds=timeout_seconds
        )
        if press is not None:
            await press.stand("answered")
        return answer
