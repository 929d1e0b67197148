"""PostgreSQL behind the store port.

Keeps the error contract of `shared.persistence.database`: in particular a connection that breaks
during COMMIT is `CommitUnknownError`, never "it failed".
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Self

import asyncpg

from shared.persistence.database import (
    CommitUnknownError,
    ConstraintError,
    LockTimeoutError,
    RetryableError,
    Row,
    StoreUnavailableError,
    Tx,
    UnstorableError,
)
from shared.persistence.statements import Statement

#: a waiter behind a hung lock gives up and its event goes to `early` (messaging: lock_timeout)
LOCK_TIMEOUT_MS: Final = 1_000
#: no transaction of ours waits for a person or the network
IDLE_IN_TRANSACTION_TIMEOUT_MS: Final = 10_000
#: connections that only holds and permits may use, so that a flood of imports cannot starve them
RESERVE_SIZE: Final = 2
#: a hung server must not hang a request for ever
ACQUIRE_TIMEOUT_SECONDS: Final = 5.0
CONNECT_TIMEOUT_SECONDS: Final = 5.0

_SETTINGS: Final = {
    "timezone": "UTC",
    "lock_timeout": str(LOCK_TIMEOUT_MS),
    "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
    # a dead peer (and the advisory locks it holds) is noticed within about ten seconds
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
#: what asyncpg and the network raise where the connection, or the server behind it, is gone
CONNECTION_LOST: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # used in the moment between its death and the notice of it
    TimeoutError,
)
#: all that asyncpg and the network raise: the connection is gone, or the server said no
DRIVER_ERRORS: Final = (*CONNECTION_LOST, asyncpg.PostgresError)
_SET_TIMEOUT: Final = "SELECT set_config('transaction_timeout', $1, true)"


def _encode_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


async def _prepare(connection: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, encoder=_encode_json, decoder=json.loads, schema="pg_catalog"
        )


async def _left_clean(_connection: Any) -> None:  # noqa: ANN401
    """Nothing to undo when a connection comes back to its pool: one round trip less for each use.

    A pooled connection is only ever used within a transaction, which has ended (asyncpg itself
    rolls back one that has not); settings are made with `set_config(…, true)`, which ends with
    it, and session locks are taken in `session()` alone.
    """


class PostgresTx:
    """A connection with an open transaction (or a dedicated session)."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg has no types
        self._connection = connection

    async def rows(self, statement: Statement, *args: object) -> Sequence[Row]:
        """All rows."""
        with _translated():
            found: Sequence[Row] = await self._connection.fetch(statement.sql, *args)
            return found

    async def row(self, statement: Statement, *args: object) -> Row | None:
        """The first row, or None."""
        with _translated():
            found: Row | None = await self._connection.fetchrow(statement.sql, *args)
            return found

    async def value(self, statement: Statement, *args: object) -> Any:  # noqa: ANN401
        """The first column of the first row, or None."""
        with _translated():
            return await self._connection.fetchval(statement.sql, *args)

    async def run(self, statement: Statement, *args: object) -> int:
        """The number of rows changed."""
        with _translated():
            tag = str(await self._connection.execute(statement.sql, *args))
        count = tag.rsplit(" ", 1)[-1]
        return int(count) if count.isdigit() else 0


class _translated:
    """Turns asyncpg's errors into those of the port."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case asyncpg.LockNotAvailableError():
                raise LockTimeoutError(str(error)) from error
            case asyncpg.DeadlockDetectedError() | asyncpg.SerializationError():
                raise RetryableError(str(error)) from error
            case (
                asyncpg.CharacterNotInRepertoireError()
                | asyncpg.UntranslatableCharacterError()
                | asyncpg.InvalidTextRepresentationError()
            ):
                raise UnstorableError("a text holds what cannot be stored") from None
            case asyncpg.DataError(__cause__=UnicodeEncodeError()):
                raise UnstorableError("a text holds what cannot be stored") from None
            case asyncpg.IntegrityConstraintViolationError():
                raise ConstraintError(error.constraint_name or "") from error
            case (
                asyncpg.PostgresConnectionError()
                | asyncpg.InterfaceError()
                | asyncpg.InternalClientError()
                | asyncpg.OperatorInterventionError()  # shut down, crashed, starting, cancelled
                | asyncpg.InsufficientResourcesError()  # no connection left, disk full
                | asyncpg.IdleInTransactionSessionTimeoutError()
                | OSError()
            ):
                raise StoreUnavailableError(str(error) or type(error).__name__) from error
            case asyncpg.PostgresError() if error.sqlstate == "25P04":  # transaction_timeout
                raise StoreUnavailableError(str(error)) from error
            case _:
                return


class PostgresDatabase:
    """A pool of connections to one database, with a reserve for urgent work."""

    def __init__(self, dsn: str, pool: Any, reserve: Any) -> None:  # noqa: ANN401
        self._dsn = dsn
        self._pool = pool
        self._reserve = reserve

    @classmethod
    async def open(cls, dsn: str, *, size_max: int = 10) -> Self:
        """A database that is reachable. Raises `StoreUnavailableError`."""
        with _translated():
            pool = await asyncpg.create_pool(
                dsn, min_size=1, max_size=size_max, init=_prepare, reset=_left_clean,
                server_settings=_SETTINGS, timeout=CONNECT_TIMEOUT_SECONDS,
            )  # fmt: skip
            reserve = await asyncpg.create_pool(
                dsn, min_size=1, max_size=RESERVE_SIZE, init=_prepare, reset=_left_clean,
                server_settings=_SETTINGS, timeout=CONNECT_TIMEOUT_SECONDS,
            )  # fmt: skip
        return cls(dsn, pool, reserve)

    async def close(self) -> None:
        """Returns when all connections are closed; those in use are cut off after a while."""
        for pool in (self._pool, self._reserve):
            try:
                await asyncio.wait_for(pool.close(), ACQUIRE_TIMEOUT_SECONDS)
            except TimeoutError:
                pool.terminate()

    async def _acquire(self, *, urgent: bool) -> tuple[Any, Any]:
        if not urgent:
            return self._pool, await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS)
        if self._pool.get_idle_size() or self._pool.get_size() < self._pool.get_max_size():
            return self._pool, await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS)
        return self._reserve, await self._reserve.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS)

    @asynccontextmanager
    async def transaction(
        self, *, timeout_seconds: float | None = None, urgent: bool = False
    ) -> AsyncIterator[Tx]:
        """A transaction; see the port."""
        try:
            pool, connection = await self._acquire(urgent=urgent)
        except DRIVER_ERRORS as error:
            raise StoreUnavailableError(str(error) or type(error).__name__) from error
        try:
            transaction = connection.transaction(isolation="read_committed")
            with _translated():
                await transaction.start()
                if timeout_seconds is not None:
                    await connection.fetchval(_SET_TIMEOUT, f"{round(timeout_seconds * 1000)}ms")
            try:
                yield PostgresTx(connection)
            except BaseException:
                await _roll_back(transaction, connection)
                raise
            await _commit(transaction, connection)
        finally:
            await _give_back(pool, connection)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Tx]:
        """A dedicated connection; see the port."""
        with _translated():
            connection = await asyncpg.connect(
                self._dsn, server_settings=_SETTINGS, timeout=CONNECT_TIMEOUT_SECONDS
            )
            await _prepare(connection)
        try:
            yield PostgresTx(connection)
        finally:
            connection.terminate()


def _cut(connection: Any) -> None:  # noqa: ANN401
    """Ends the connection; one that died was taken from us by the pool already."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


async def _give_back(pool: Any, connection: Any) -> None:  # noqa: ANN401
    try:
        await pool.release(connection)
    except DRIVER_ERRORS:
        _cut(connection)


async def _roll_back(transaction: Any, connection: Any) -> None:  # noqa: ANN401
    try:
        await transaction.rollback()
    except DRIVER_ERRORS:
        _cut(connection)


async def _commit(transaction: Any, connection: Any) -> None:  # noqa: ANN401
    try:
        await transaction.commit()
    except asyncpg.IntegrityConstraintViolationError as error:  # deferred constraints
        raise ConstraintError(error.constraint_name or "") from error
    except asyncpg.LockNotAvailableError as error:  # a deferred constraint waited for a rival
        raise LockTimeoutError(str(error)) from error
    except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
        raise RetryableError(str(error)) from error
    except (*DRIVER_ERRORS, asyncio.CancelledError) as error:
        _cut(connection)
        if isinstance(error, asyncio.CancelledError):
            raise
        raise CommitUnknownError(str(error) or type(error).__name__) from error
