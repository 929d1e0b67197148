"""The wake channel when its connection dies."""

import asyncio
from collections.abc import Callable

import asyncpg
import pytest

from shared.messaging import wakes
from shared.messaging.wakes import PostgresWakes
from shared.persistence.postgres import CONNECTION_LOST

DSN = "postgresql://unused"


class Connection:
    """Connected, and raises `error` at its first statement."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def is_closed(self) -> bool:
        return False

    async def execute(self, _sql: str) -> None:
        raise self._error

    async def add_listener(self, _channel: str, _call: Callable[..., None]) -> None: ...

    def terminate(self) -> None: ...


class Waiter:
    """Lets no time pass."""

    async def sleep(self, _seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture(params=[*CONNECTION_LOST, asyncpg.AdminShutdownError], ids=lambda e: e.__name__)
def connections(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The connections made so far, each of which dies in the same way."""
    made: list[object] = []

    async def connect(*_args: object, **_options: object) -> Connection:
        made.append(connection := Connection(request.param("gone")))
        return connection

    monkeypatch.setattr(wakes.asyncpg, "connect", connect)
    return made


async def test_it_listens_again_however_the_connection_died(connections: list[object]) -> None:
    again = asyncio.Event()
    woken: list[None] = []

    def on_wake() -> None:
        woken.append(None)
        if len(woken) == 3:
            again.set()

    listening = asyncio.create_task(PostgresWakes(DSN, Waiter()).listen(on_wake))
    done, _ = await asyncio.wait(
        (listening, waiting := asyncio.create_task(again.wait())),
        timeout=10,
        return_when=asyncio.FIRST_COMPLETED,
    )
    listening.cancel()

    assert done == {waiting}, "the listener ended, or never listened again"
    assert len(connections) >= 3


async def test_a_note_that_cannot_be_sent_is_a_connection_error(connections: list[object]) -> None:
    channel = PostgresWakes(DSN, Waiter())
    listened = asyncio.Event()
    listening = asyncio.create_task(channel.listen(listened.set))
    await asyncio.wait_for(listened.wait(), 10)

    with pytest.raises(ConnectionError):
        await channel.notify()
    assert connections
    listening.cancel()
