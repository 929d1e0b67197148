"""The events of a case as chains of causes: what began with one request or one timer, in order.

Invariant: within a chain an effect stands below its cause, never before it; what has the same cause
stands in the order in which it was sent, then by its place on the bus. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
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
    def place(self) -> tuple[datetime, str, int, int, UUID]:
        """What orders events that do not cause each other."""
        return self.sent_at, self.topic, self.partition, self.offset, self.event_id


@dataclass(frozen=True, slots=True)
class Step:
    """An event in its chain, or several of one type with one cause.

    `depth`: how many causes lie before it. `after_ms`: the shortest and the longest time since the
    cause, None where the cause is not known here.
    """

    events: tuple[Logged, ...]
    depth: int
    after_ms: tuple[int, int] | None

    @property
    def event(self) -> Logged:
        """The first of the events."""
        return self.events[0]

    @property
    def detail(self) -> dict[str, Any]:
        """What all the events tell alike, and the few values in which they differ."""
        return merged_detail([event.detail for event in self.events])


@dataclass(frozen=True, slots=True)
class Chain:
    """All events of one case with one correlation id, in causal order."""

    correlation_id: UUID
    steps: tuple[Step, ...]

    @property
    def events(self) -> tuple[Logged, ...]:
        """Its events, in the order of the steps."""
        return tuple(event for step in self.steps for event in step.events)

    @property
    def began_at(self) -> datetime:
        """When its first event was sent."""
        return min(event.sent_at for event in self.events)

    @property
    def sources(self) -> tuple[str, ...]:
        """The services in it, in the order in which they came in."""
        return tuple(dict.fromkeys(e.source for e in sorted(self.events, key=_place)))

    @property
    def took_ms(self) -> int:
        """From the first event to the last."""
        return _milliseconds(self.began_at, max(event.sent_at for event in self.events))

    @property
    def safety(self) -> bool:
        """Whether an event in it matters for safety."""
        return any(event.safety for event in self.events)


#: values that differ are listed up to this length in all
LISTED_CHARACTERS_MAX: Final = 90


def chains(events: Sequence[Logged], *, together: bool) -> tuple[Chain, ...]:
    """The chains of these events, the one that was last spoken in first.

    `together`: events of one type and service with one cause make one step.
    """
    groups: dict[UUID, list[Logged]] = {}
    for event in events:
        groups.setdefault(event.correlation_id, []).append(event)
    found = [Chain(key, causal_order(group, together=together)) for key, group in groups.items()]
    return tuple(sorted(found, key=lambda c: max(e.place for e in c.events), reverse=True))


def causal_order(events: Sequence[Logged], *, together: bool) -> tuple[Step, ...]:
    """These events, each below its cause (if that is among them)."""
    known = {event.event_id: event for event in sorted(events, key=_place)}
    effects: dict[UUID | None, list[Logged]] = {}
    for event in known.values():
        cause = event.causation_id if event.causation_id in known else None
        effects.setdefault(cause, []).append(event)
    steps: list[Step] = []
    left = dict(known)
    roots = effects.get(None, [])
    while left:
        # only a forged ring of causes has no root; it is shown all the same
        begin = roots or [next(iter(left.values()))]
        roots = []
        open_groups = [(group, 0) for group in reversed(_grouped(begin, together=together))]
        while open_groups:
            group, depth = open_groups.pop()
            fresh = tuple(event for event in group if left.pop(event.event_id, None) is not None)
            if not fresh:
                continue
            steps.append(Step(fresh, depth, _after(fresh, known)))
            below = [effect for event in fresh for effect in effects.get(event.event_id, ())]
            for each in reversed(_grouped(sorted(below, key=_place), together=together)):
                open_groups.append((each, depth + 1))
    return tuple(steps)


def _grouped(events: Sequence[Logged], *, together: bool) -> list[tuple[Logged, ...]]:
    if not together:
        return [(event,) for event in events]
    groups: dict[tuple[str, str], list[Logged]] = {}
    for event in events:
        groups.setdefault((event.source, event.type), []).append(event)
    return [tuple(group) for group in groups.values()]


def _after(events: Sequence[Logged], known: Mapping[UUID, Logged]) -> tuple[int, int] | None:
    spans = []
    for event in events:
        cause = known.get(event.causation_id) if event.causation_id else None
        if cause is not None and cause is not event:
            spans.append(_milliseconds(cause.sent_at, event.sent_at))
    return (min(spans), max(spans)) if spans else None


def merged_detail(details: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The fields that all have with equal values, and lists of different ones while they are short.

    What differs and is long is left to the view of single events.
    """
    merged: dict[str, Any] = {}
    for name, value in details[0].items():
        values = [detail.get(name) for detail in details]
        different = list(dict.fromkeys(str(v) for v in values))
        if len(different) == 1:
            merged[name] = value
        elif sum(map(len, different)) <= LISTED_CHARACTERS_MAX and None not in values:
            merged[name] = different
    return merged


def _place(event: Logged) -> tuple[datetime, str, int, int, UUID]:
    return event.place


def _milliseconds(start: datetime, end: datetime) -> int:
    return round((end - start).total_seconds() * 1000)
