"""Live and ready: whether the process runs, and whether it should be given work.

Live never asks anything outside the process. Ready is false until every check holds, and again
from the moment a request found the store gone until the check sees it back. The answers say yes or
no and nothing else, since nobody has to sign in for them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from shared.persistence.database import Database
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("shared.web")

Check = Callable[[], Awaitable[bool]]

#: both probes answer within 100 ms, so a check that takes longer counts by its last outcome
CHECK_SECONDS_MAX: Final = 0.08
#: an outcome older than this counts no more
OUTCOME_SECONDS_MAX: Final = 5.0


def store_check(database: Database) -> Check:
    """A check that holds while the database answers."""

    async def answers() -> bool:
        async with database.transaction() as tx:
            return await tx.value(STATEMENTS["store_answers"]) is not None

    return answers


class Readiness:
    """The checks of one service and what they last said."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._watches = {name: _Watch(check) for name, check in checks.items()}

    def add(self, name: str, check: Check) -> None:
        """Adds a check (or replaces the one of that name); ready is false until it holds."""
        self._watches[name] = _Watch(check)

    def distrust(self) -> None:
        """Forgets what the checks said: something outside was just found gone."""
        for watch in self._watches.values():
            watch.forget()

    async def missing(self) -> tuple[str, ...]:
        """The names of the checks that do not hold now; empty means ready."""
        outcomes = await asyncio.gather(*(w.outcome() for w in self._watches.values()))
        return tuple(name for name, holds in zip(self._watches, outcomes, strict=True) if not holds)


class _Watch:
    """One check, of which at most one run is under way."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._running: asyncio.Task[bool] | None = None
        self._last: tuple[float, bool] | None = None

    def forget(self) -> None:
        self._last = None

    async def outcome(self) -> bool:
        if self._running is None:
            self._running = asyncio.ensure_future(self._run())
        done, _ = await asyncio.wait({self._running}, timeout=CHECK_SECONDS_MAX)
        if done:
            holds = self._running.result()
            self._running = None
            return holds
        return self._recent()

    def _recent(self) -> bool:
        if self._last is None:
            return False
        at, holds = self._last
        return holds and asyncio.get_running_loop().time() - at <= OUTCOME_SECONDS_MAX

    async def _run(self) -> bool:
        try:
            holds = await self._check()
        except Exception:  # whatever the reason, the check does not hold
            holds = False
        self._last = (asyncio.get_running_loop().time(), holds)
        return holds
