"""The events of a case as chains of causes: what began with one request or one timer, in order.

Invariant: within a chain an effect never stands before its cause; among what is free, the order in
which the events were sent decides, then their place on the bus. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Logged:
    """One event of the log. `sent_at` is machine time, `occurred_at` the clinic's."""

    event_id: UUID
    case_id: UUID
    type: str
    source: str
    topic: str
    partition: int
    offset: int
    epoch: int
    sequence: int | None
    occurred_at: datetime
    sent_at: datetime
    correlation_id: UUID
    causation_id: UUID | None
    trace_id: str | None
    safety: bool
    detail: Mapping[str, Any]

    @property
    def place(self) -> tuple[datetime, str, int, int]:
        """What orders events that do not cause each other."""
        return self.sent_at, self.topic, self.partition, self.offset


@dataclass(frozen=True, slots=True)
class Step:
    """An event in its chain: how many causes lie before it, and the time since the nearest one."""

    event: Logged
    depth: int
    after_ms: int | None


@dataclass(frozen=True, slots=True)
class Chain:
    """All events of one case with one correlation id, in causal order."""

    correlation_id: UUID
    steps: tuple[Step, ...]

    @property
    def began_at(self) -> datetime:
        """When its first event was sent."""
        return self.steps[0].event.sent_at

    @property
    def sources(self) -> tuple[str, ...]:
        """The services in it, in the order in which they came in."""
        return tuple(dict.fromkeys(step.event.source for step in self.steps))

    @property
    def took_ms(self) -> int:
        """From the first event to the last."""
        return _milliseconds(self.began_at, max(step.event.sent_at for step in self.steps))

    @property
    def safety(self) -> bool:
        """Whether an event in it matters for safety."""
        return any(step.event.safety for step in self.steps)


def chains(events: Sequence[Logged]) -> tuple[Chain, ...]:
    """The chains of these events, the one that was last spoken in first."""
    groups: dict[UUID, list[Logged]] = {}
    for event in events:
        groups.setdefault(event.correlation_id, []).append(event)
    found = [Chain(key, causal_order(group)) for key, group in groups.items()]
    return tuple(sorted(found, key=lambda c: max(s.event.place for s in c.steps), reverse=True))


def causal_order(events: Sequence[Logged]) -> tuple[Step, ...]:
    """These events, each after its cause (if that is among them)."""
    known = {event.event_id: event for event in events}
    effects: dict[UUID, list[Logged]] = {}
    free: list[tuple[tuple[datetime, str, int, int], UUID]] = []
    for event in known.values():
        cause = event.causation_id
        if cause in known and cause != event.event_id:
            effects.setdefault(known[cause].event_id, []).append(event)
        else:
            heappush(free, (event.place, event.event_id))
    steps: dict[UUID, Step] = {}
    while free or len(steps) < len(known):
        if not free:  # only a forged ring of causes gets here; it is shown all the same
            rest = min((e for e in known.values() if e.event_id not in steps), key=_place)
            heappush(free, (rest.place, rest.event_id))
        event = known[heappop(free)[1]]
        if event.event_id in steps:
            continue
        steps[event.event_id] = _step(event, steps)
        for effect in effects.get(event.event_id, ()):
            heappush(free, (effect.place, effect.event_id))
    return tuple(steps.values())


def _place(event: Logged) -> tuple[datetime, str, int, int]:
    return event.place


def _step(event: Logged, before: Mapping[UUID, Step]) -> Step:
    cause = before.get(event.causation_id) if event.causation_id else None
    if cause is None:
        return Step(event, 0, None)
    return Step(event, cause.depth + 1, _milliseconds(cause.event.sent_at, event.sent_at))


def _milliseconds(start: datetime, end: datetime) -> int:
    return round((end - start).total_seconds() * 1000)
