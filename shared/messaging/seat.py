"""The seat of a replica: two processes with one ordinal must not both consume.

Kafka's client does not report a fenced twin, so the proof is an advisory lock in the consumer's own
database, held by a session for as long as the process consumes. Correctness does not rest on it
(the offset fence does that); it keeps two processes from evicting each other for ever.
"""

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Final, Self

from shared.messaging.timing import now_seconds
from shared.messaging.unit_of_work import STATEMENTS
from shared.persistence.database import Database, Tx
from shared.ports import World

SEAT_SPACE: Final = 0x7461_7365  # "tase"
CHECK_EVERY_SECONDS: Final = 2.0
#: the server notices a killed process's closed connection only after its statement ended
TRIES: Final = 5
PAUSE_SECONDS: Final = 0.3


class SeatTakenError(Exception):
    """Another live process consumes with this ordinal: this one must end."""


class Seat:
    """Holds the lock of (consumer, ordinal). Without an ordinal there is nothing to hold."""

    def __init__(
        self, database: Database, world: World, consumer: str, ordinal: int | None
    ) -> None:
        self._database = database
        self._world = world
        self._name = f"{consumer}-{ordinal}"
        self._wanted = ordinal is not None
        self._stack = AsyncExitStack()
        self._session: Tx | None = None
        self._checked_at = 0.0

    async def __aenter__(self) -> Self:
        if not self._wanted:
            return self
        session: AbstractAsyncContextManager[Tx] = self._database.session()
        self._session = await self._stack.enter_async_context(session)
        for _ in range(TRIES):
            if await self._session.value(STATEMENTS["try_lock"], SEAT_SPACE, self._name):
                return self
            await self._world.waiter.sleep(PAUSE_SECONDS)
        await self._stack.aclose()
        raise SeatTakenError(f"another process consumes as {self._name}")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def check(self) -> None:
        """Raises `StoreUnavailableError` when the session, and with it the lock, is gone."""
        now = now_seconds(self._world.lease_clock)
        if self._session is None or now - self._checked_at < CHECK_EVERY_SECONDS:
            return
        self._checked_at = now
        await self._session.value(STATEMENTS["still_here"])
