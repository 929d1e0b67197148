"""Where random schedules of the permit protocol are played: one event loop, three databases.

All runs of a session share them, since a run takes a fraction of what it costs to make them. Each
run begins with empty tables, and what a schedule does depends on nothing but what was drawn.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider
from permit_world import BOTH, Site, authority_migrations, holder_migrations

from shared.contracts.vocabulary import Service
from shared.persistence.database import Database, Tx
from shared.persistence.migrations import migrate
from shared.persistence.postgres import PostgresDatabase
from shared.persistence.statements import Statement
from shared.testing.infra import Infra

T = TypeVar("T")
Plant = Callable[[Site], None]

#: DELETE and not TRUNCATE: a few rows in many tables go a hundred times faster
_EMPTY: Final = {
    Service.INTAKE: """
    DO $$ BEGIN
        DELETE FROM hold_page; DELETE FROM hold_wait; DELETE FROM hold_acknowledgement;
        DELETE FROM unpermitted_start; DELETE FROM hold; DELETE FROM permit;
        DELETE FROM authority_recovery; DELETE FROM authority_history;
        DELETE FROM outbox; DELETE FROM stream_head; DELETE FROM case_clearance;
        UPDATE stream_epoch SET epoch = 0;
    END $$
    """,
    **dict.fromkeys(
        BOTH,
        """
        DO $$ BEGIN
            DELETE FROM start; DELETE FROM hold_replica; DELETE FROM fence;
            DELETE FROM dose_subject; DELETE FROM database_identity; DELETE FROM parked_case;
            DELETE FROM outbox; DELETE FROM stream_head;
        END $$
        """,
    ),
}
_UNLOCK: Final = Statement("unlock", "SELECT pg_advisory_unlock_all()")


class OnlyDrawn(HypothesisProvider):
    """Hypothesis without the constants that it finds in whatever modules happen to be imported.

    With them the schedules of a test run alone would differ from those in a run of all tests.
    """

    def _maybe_draw_constant(self, *_: Any, **__: Any) -> None:
        return None


BACKEND: Final = "only-drawn"
AVAILABLE_PROVIDERS[BACKEND] = f"{__name__}.{OnlyDrawn.__name__}"


@dataclass
class KeptSession:
    """A database whose dedicated session is opened once and freed of its locks after each use."""

    inner: Database
    kept: Tx

    def transaction(
        self, *, timeout_seconds: float | None = None, urgent: bool = False
    ) -> AbstractAsyncContextManager[Tx]:
        return self.inner.transaction(timeout_seconds=timeout_seconds, urgent=urgent)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Tx]:
        try:
            yield self.kept
        finally:
            await self.kept.value(_UNLOCK)


@dataclass
class Stage:
    """`counts`: how often the situations came up that make a count of zero mean something.

    `trail`: the names of all steps, in order.
    """

    loop: asyncio.AbstractEventLoop
    databases: dict[Service, PostgresDatabase]
    sessions: dict[Service, Tx]
    counts: dict[str, int] = field(default_factory=dict)
    plants: list[Plant] = field(default_factory=list)
    site: Site | None = None
    trail: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Nothing is counted, nothing is planted, and the next run builds its site anew."""
        self.counts, self.plants, self.site, self.trail = {}, [], None, []

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        """The result of the step; presses that stand somewhere stand on."""
        self.trail.append(step.__qualname__)
        return self.loop.run_until_complete(step)

    def saw(self, what: str) -> None:
        """Counts the situation."""
        self.counts[what] = self.counts.get(what, 0) + 1

    async def rows(self, service: Service, sql: str, *args: object) -> list[Any]:
        """What is committed, by one statement without a transaction around it."""
        return list(await self.sessions[service].rows(Statement("look", sql), *args))

    async def empty(self) -> None:
        """Nothing is left in the tables of the protocol (the audit keeps what it has)."""
        for service, session in self.sessions.items():
            await session.rows(Statement("empty", _EMPTY[service]))


@asynccontextmanager
async def a_stage(infra: Infra) -> AsyncIterator[Stage]:
    """Three databases of its own, open for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        databases, sessions = {}, {}
        for service in (Service.INTAKE, *BOTH):
            dsn = await infra.create_database("machine")
            stack.push_async_callback(infra.drop_database, dsn)
            of_intake = service is Service.INTAKE
            await migrate(dsn, authority_migrations() if of_intake else holder_migrations())
            # nobody crashes this server, so no COMMIT needs to wait for the disk
            database = await PostgresDatabase.open(f"{dsn}?synchronous_commit=off", size_max=4)
            stack.push_async_callback(database.close)
            databases[service] = database
            sessions[service] = await stack.enter_async_context(database.session())
        yield Stage(asyncio.get_running_loop(), databases, sessions)
