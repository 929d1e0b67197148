"""Waking the active relay from another process, outside every business transaction.

`pg_notify` inside the business transaction serialises all commits of the database; here a process
whose relay is not the active one notifies after COMMIT, from a connection of its own. Notes are
debounced, and re-armed: a commit that falls into the pause is told of at its end. Without that it
would wait for the relay's next poll. A lost note costs one poll, never an event.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final, Protocol

import asyncpg

from shared.messaging.timing import cancelled
from shared.persistence.postgres import DRIVER_ERRORS
from shared.ports import Waiter

_LOG = logging.getLogger(__name__)

CHANNEL: Final = "tandem_outbox"
DEBOUNCE_SECONDS: Final = 0.005
RECONNECT_SECONDS: Final = 1.0
CONNECT_TIMEOUT_SECONDS: Final = 5.0
#: how soon a silently dead connection is noticed
PROBE_SECONDS: Final = 10.0


class WakeChannel(Protocol):
    """Tells the other processes of a service that rows were committed."""

    async def notify(self) -> None:
        """Sends one note. May fail with OSError; the poll makes up for it."""
        ...

    async def listen(self, on_wake: Callable[[], None]) -> None:
        """Calls `on_wake` for each note of any process, until cancelled."""
        ...


class Waker:
    """Sends notes: at once for the first commit, then one per pause as long as there are more."""

    def __init__(self, channel: WakeChannel, waiter: Waiter) -> None:
        self._channel = channel
        self._waiter = waiter
        self._pending = False
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Tells of a commit. Cheap, and safe to call after every one."""
        self._pending = True
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        while self._pending:
            # cleared before the note: a commit after this line is told of by the next round
            self._pending = False
            try:
                await self._channel.notify()
            except OSError as error:
                _LOG.warning("wake_not_sent", extra={"error": type(error).__name__})
            await self._waiter.sleep(DEBOUNCE_SECONDS)

    async def close(self) -> None:
        """Ends the task that sends."""
        if self._task is not None:
            await cancelled(self._task)


class PostgresWakes:
    """LISTEN and NOTIFY on a connection of their own, made anew when it breaks."""

    def __init__(self, dsn: str, waiter: Waiter) -> None:
        self._dsn = dsn
        self._waiter = waiter
        self._connection: asyncpg.Connection | None = None

    async def notify(self) -> None:
        """Notifies, if connected."""
        connection = self._connection
        if connection is None or connection.is_closed():
            raise ConnectionError("not connected")
        try:
            await connection.execute(f"NOTIFY {CHANNEL}")
        except DRIVER_ERRORS as error:
            raise ConnectionError(str(error)) from error

    async def listen(self, on_wake: Callable[[], None]) -> None:
        """Listens until cancelled."""
        while True:
            try:
                await self._listen_once(on_wake)
            except DRIVER_ERRORS as error:
                _LOG.warning("wake_channel_lost", extra={"error": type(error).__name__})
            await self._waiter.sleep(RECONNECT_SECONDS)

    async def _listen_once(self, on_wake: Callable[[], None]) -> None:
        async with AsyncExitStack() as stack:
            connection = await asyncpg.connect(self._dsn, timeout=CONNECT_TIMEOUT_SECONDS)
            stack.callback(connection.terminate)
            await connection.add_listener(CHANNEL, lambda *_note: on_wake())
            self._connection = connection
            on_wake()  # whatever was missed while nobody listened
            while not connection.is_closed():
                await self._waiter.sleep(PROBE_SECONDS)
                await connection.execute("SELECT 1")
