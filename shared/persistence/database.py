"""The store port: transactions whose every awaited call is one named SQL statement.

Handlers and adapters know only `Tx` and `Database`. PostgreSQL stands behind them in the product,
a deterministic store in the simulation. Isolation is READ COMMITTED: each statement sees what was
committed when it began, which the start permit relies on (lock alone, check in later statements).
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from shared.persistence.statements import Statement

Row = Mapping[str, Any]


class StoreError(Exception):
    """The base of what a store raises."""


class StoreUnavailableError(StoreError):
    """No connection could be had, or it was lost before COMMIT was sent: nothing was changed."""


class CommitUnknownError(StoreError):
    """The answer to COMMIT was lost: the change may or may not be in the database."""


class RetryableError(StoreError):
    """A deadlock, serialization failure or lock time-out: nothing was changed, try again."""


class LockTimeoutError(RetryableError):
    """A row lock was not had in time."""


class UnstorableError(StoreError):
    """A value that no text of the store can hold: a zero character, half a surrogate pair."""


class ConstraintError(StoreError):
    """A constraint refused the change. `constraint` is its name."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class Tx(Protocol):
    """One open transaction (or dedicated session)."""

    async def rows(self, statement: Statement, *args: object) -> Sequence[Row]:
        """All rows, in the order of the statement."""
        ...

    async def row(self, statement: Statement, *args: object) -> Row | None:
        """The first row, or None."""
        ...

    async def value(self, statement: Statement, *args: object) -> Any:  # noqa: ANN401 - parse edge
        """The first column of the first row, or None."""
        ...

    async def run(self, statement: Statement, *args: object) -> int:
        """The number of rows that the statement changed."""
        ...


class Database(Protocol):
    """The one database of a service."""

    def transaction(
        self, *, timeout_seconds: float | None = None, urgent: bool = False
    ) -> AbstractAsyncContextManager[Tx]:
        """A transaction that commits at the end of the block and rolls back on any exception.

        `timeout_seconds` sets PostgreSQL's transaction_timeout (it does not bound COMMIT itself).
        `urgent` may use the connections that are kept in reserve for holds and permits. Raises the
        errors of this module; after `CommitUnknownError` read the outcome back under a lock.
        """
        ...

    def session(self) -> AbstractAsyncContextManager[Tx]:
        """A dedicated connection outside the pool, each statement its own transaction.

        For advisory locks: they are held exactly as long as this session lives.
        """
        ...
