"""A database whose transactions can be caught between their steps by a test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from shared.persistence.database import CommitUnknownError, Database, Tx

Step = Callable[[], Awaitable[None]]


@dataclass
class HookedDatabase:
    """Numbers the transactions from `armed` on: 1 is the start, 2 its second look, and so on.

    `before`: runs before the transaction begins. `at_commit`: runs in it, after its last statement.
    `after`: runs when it is committed and before the caller knows. `lost`: its COMMIT answer is
    lost; True: it was committed, False: it was not.
    """

    inner: Database
    is_armed: bool = False
    count: int = 0
    before: dict[int, Step] = field(default_factory=dict)
    at_commit: dict[int, Step] = field(default_factory=dict)
    after: dict[int, Step] = field(default_factory=dict)
    lost: dict[int, bool] = field(default_factory=dict)

    def arm(self) -> None:
        self.is_armed = True

    @asynccontextmanager
    async def transaction(
        self, *, timeout_seconds: float | None = None, urgent: bool = False
    ) -> AsyncIterator[Tx]:
        number = self._next()
        await self._run(self.before, number)
        async with self.inner.transaction(timeout_seconds=timeout_seconds, urgent=urgent) as tx:
            yield tx
            await self._run(self.at_commit, number)
            if self.lost.get(number) is False:
                raise CommitUnknownError("lost")
        await self._run(self.after, number)
        if self.lost.get(number) is True:
            raise CommitUnknownError("lost")

    def session(self) -> AbstractAsyncContextManager[Tx]:
        return self.inner.session()

    def _next(self) -> int:
        if not self.is_armed:
            return 0
        self.count += 1
        return self.count

    async def _run(self, hooks: dict[int, Step], number: int) -> None:
        hook = hooks.pop(number, None)
        if hook is not None:
            await hook()
