"""What a request says about itself: who asks, as part of which chain of causes, and how to wait.

Keeps the trace: the trace id that came in (or a fresh one) goes into the problem, the audit, the
outbox row and from there into Kafka.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, ConfigDict

from shared.auth.principal import Principal
from shared.messaging.unit_of_work import Cause
from shared.ports import Ids, Waiter

CORRELATION_HEADER: Final = "x-correlation-id"
#: `Prefer: wait=N` is honoured up to this
WAIT_SECONDS_MAX: Final = 10.0
WAIT_PAUSE_SECONDS: Final = 0.05

_TRACEPARENT: Final = re.compile(r"00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}")
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait=(?P<seconds>\d{1,6})(?:$|[,;\s])")


class RequestModel(BaseModel):
    """The base of all request bodies: an unknown property is refused, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Trace:
    """The place of a request in its chain of causes."""

    trace_id: str
    traceparent: str
    correlation_id: UUID


def trace_from(
    traceparent: str | None, correlation: str | None, ids: Ids, *, is_own: bool = False
) -> Trace:
    """The trace that the headers name; whatever they lack or garble is made afresh.

    `is_own`: the context names this request already, so no span id is made for it.
    """
    found = _TRACEPARENT.fullmatch(traceparent or "")
    trace_id = found["trace"] if found and set(found["trace"]) != {"0"} else ids.new().hex
    span_id = ids.new().hex[-16:]
    return Trace(
        trace_id=trace_id,
        traceparent=found[0] if found and is_own else f"00-{trace_id}-{span_id}-01",
        correlation_id=_uuid(correlation) or UUID(trace_id),
    )


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def trace_of(request: Request) -> Trace:
    """The trace of this request (set before routing)."""
    trace = request.scope["tandem.trace"]
    assert isinstance(trace, Trace)  # noqa: S101 - the middleware has set it
    return trace


def cause_of(request: Request, principal: Principal) -> Cause:
    """The cause to begin a unit of work with: the caller, and the request's place in the chain."""
    trace = trace_of(request)
    return Cause(
        actor=principal.subject,
        correlation_id=trace.correlation_id,
        traceparent=trace.traceparent,
        roles=frozenset(role.value for role in principal.roles),
    )


def prefer_wait(request: Request) -> float:
    """The seconds that the caller would wait for the outcome (`Prefer: wait=N`), 0 if none."""
    found = _WAIT.search(request.headers.get("prefer", ""))
    return min(float(found["seconds"]), WAIT_SECONDS_MAX) if found else 0.0


async def wait_for(holds: Callable[[], Awaitable[bool]], *, seconds: float, waiter: Waiter) -> bool:
    """Whether the condition came true within `seconds`; asks at least once, never much longer."""
    if await holds():
        return True
    rounds = round(seconds / WAIT_PAUSE_SECONDS)
    for _ in range(rounds):
        await waiter.sleep(WAIT_PAUSE_SECONDS)
        if await holds():
            return True
    return False
