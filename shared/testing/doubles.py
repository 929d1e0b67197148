"""Small doubles of ports: clocks that stand until moved, and an HTTP neighbour that is a function.

The simulation has its own, richer ones; these are for tests of one part.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.ports import HttpAnswer, HttpUnreachableError

#: a Tuesday after the protocols of these tests were signed
SOME_INSTANT: Final = datetime(2027, 3, 9, 8, 0, tzinfo=UTC)


class StandingClock:
    """A wall clock that moves only when it is told to."""

    def __init__(self, instant: datetime = SOME_INSTANT) -> None:
        self.instant = instant

    def now(self) -> datetime:
        """The instant it was set to."""
        return self.instant

    def advance(self, **kind_of_time: float) -> None:
        """Moves on by a `timedelta` given by its own keywords."""
        self.instant += timedelta(**kind_of_time)


Answering = Callable[[str, str, bytes | None, Mapping[str, str]], Awaitable[HttpAnswer]]


class FunctionHttp:
    """The `Http` port answered by one function, which may be absent: then nothing is reachable."""

    def __init__(self, answering: Answering | None = None) -> None:
        self.answering = answering
        #: method and address of every call made, oldest first
        self.calls: list[tuple[str, str]] = []

    async def call(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpAnswer:
        """What the function answers, noting the call."""
        self.calls.append((method, url))
        if self.answering is None:
            raise HttpUnreachableError(f"{method} {url}: nobody answers within {timeout_seconds} s")
        return await self.answering(method, url, body, headers or {})
