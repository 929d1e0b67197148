"""What handlers may know of the outside world: time, chance, waiting and HTTP, as ports.

Handlers reach the world only through these (and through the store and bus ports of
`shared.persistence` and `shared.messaging`), so that the proof can run the real handlers of all
services in one simulated process. Nothing in a handler may call the clock, `uuid4` or a socket.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    """A source of wall-clock time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...


class LeaseClock(Protocol):
    """Time since the machine booted: it goes on in suspend and never jumps (CLOCK_BOOTTIME)."""

    @property
    def boot_id(self) -> str:
        """Names the boot (and host) that `now_ns` counts from; readings of two boots differ."""
        ...

    def now_ns(self) -> int:
        """Nanoseconds since boot."""
        ...


class Ids(Protocol):
    """A source of fresh identifiers."""

    def new(self) -> UUID:
        """A new time-ordered id (UUID version 7)."""
        ...


class Chance(Protocol):
    """A source of randomness for jitter; never for identifiers or secrets."""

    def fraction(self) -> float:
        """A number in [0, 1)."""
        ...


class Waiter(Protocol):
    """A way to let time pass."""

    async def sleep(self, seconds: float) -> None:
        """Returns after that many seconds of machine time."""
        ...


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What another service answered."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpUnreachableError(Exception):
    """No complete answer came within the time-out; whether the call had an effect is unknown."""


class Http(Protocol):
    """Calls to the few named endpoints of other services. It never repeats a call by itself."""

    async def call(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpAnswer:
        """The answer, whatever its status. Raises `HttpUnreachableError` when none came."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """All ports of one process.

    `clock` is the clinic's time (in demo mode a simulated clock that jumps); `machine_clock` is
    this machine's wall clock, for tokens, idempotency, heartbeats and Kafka timestamps;
    `lease_clock` judges permits. Which one a rule uses is written where the rule is.
    """

    clock: Clock
    machine_clock: Clock
    lease_clock: LeaseClock
    ids: Ids
    chance: Chance
    waiter: Waiter
    http: Http
