"""What handlers may know of the outside world: time, chance, waiting and HTTP, as ports.

Handlers reach the world only through these (and through the store and bus ports of
`shared.persistence` and `shared.messaging`), so that the proof can run the real handlers of all
services in one simulated process. Nothing in a handler may call the clock, `uuid4` or a socket.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, Protocol
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


class HttpTooLargeError(HttpUnreachableError):
    """The answer is larger than anything that is read; the rest of it was not taken."""


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


SpanKind = Literal["server", "producer", "consumer", "client"]
Attributes = Mapping[str, str | int]
NOTHING: Final[Attributes] = MappingProxyType({})


class Span(Protocol):
    """One step of a trace, from its beginning to `end`."""

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context under which what follows from this step stands."""
        ...

    @property
    def is_own(self) -> bool:
        """Whether the context names this step itself, not the one before it."""
        ...

    def end(
        self, *, error: str | None = None, name: str | None = None, attributes: Attributes = NOTHING
    ) -> None:
        """Ends the step; `error` names a type, never a text."""
        ...


class Tracer(Protocol):
    """Tells a tracing system which steps a request or event went through."""

    def begin(
        self,
        name: str,
        kind: SpanKind,
        *,
        parent: str | None = None,
        attributes: Attributes = NOTHING,
    ) -> Span:
        """A step below `parent`, or the first of a new trace."""
        ...


@dataclass(frozen=True, slots=True)
class PassedSpan:
    """No step of its own: what came in goes on."""

    traceparent: str | None
    is_own: bool = False

    def end(
        self, *, error: str | None = None, name: str | None = None, attributes: Attributes = NOTHING
    ) -> None:
        """Nothing is told to anybody."""


class NoTracer:
    """Tracing is off."""

    def begin(
        self,
        name: str,
        kind: SpanKind,
        *,
        parent: str | None = None,
        attributes: Attributes = NOTHING,
    ) -> Span:
        """The context as it came in."""
        return PassedSpan(parent)


NO_TRACER: Final = NoTracer()


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
    tracer: Tracer = NO_TRACER
