"""What to do with each record of a batch: a pure function of the records and the bookkeeping.

The one place where duplicate, gap, epoch and parking are judged. Invariant (I6, I7): per consumer
and stream the sequences that reach a handler are 1, 2, 3 … without a gap or a repetition, within
each epoch, and no handler runs for a case that is parked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple, assert_never
from uuid import UUID

from shared.contracts.vocabulary import Service
from shared.messaging.incoming import (
    AboutCase,
    Incoming,
    Keyless,
    Readable,
    Skippable,
    StreamPlace,
    Unreadable,
)

StreamKey = tuple[Service, UUID]
#: topic, partition, offset
Offset = tuple[str, int, int]


class Judgement(Enum):
    """Where an event stands to what was applied before."""

    NEXT = auto()
    DUPLICATE = auto()
    GAP = auto()


class Todo(Enum):
    """What a record is to become."""

    APPLY = auto()
    #: known already, or outside what we understand: only the head moves, if it is next
    PASS = auto()
    DROP = auto()
    WAIT = auto()
    PARK = auto()
    QUEUE = auto()
    BURY = auto()


@dataclass(slots=True)
class Books:
    """What the database knows of the cases of a batch, under their locks."""

    heads: dict[StreamKey, tuple[int, int]] = field(default_factory=dict)
    parked: set[UUID] = field(default_factory=set)
    known_ids: set[UUID] = field(default_factory=set)
    #: unreadable records that were parked before (read again after a rewind)
    parked_before: set[Offset] = field(default_factory=set)


class Step(NamedTuple):
    """One record and what to do with it."""

    item: Incoming
    todo: Todo


def judge(place: StreamPlace, head: tuple[int, int] | None) -> Judgement:
    """Where `place` stands; `head` is (epoch, sequence) of the last one applied.

    A higher epoch begins at 1 (its source was restored); what is left of a lower one is over.
    """
    epoch, last = head if head is not None else (place.epoch, 0)
    if place.epoch < epoch:
        return Judgement.DUPLICATE
    expected = last + 1 if place.epoch == epoch else 1
    sequence = place.sequence or 0
    if sequence < expected:
        return Judgement.DUPLICATE
    return Judgement.NEXT if sequence == expected else Judgement.GAP


class Planner:
    """Plans records one after the other, keeping the books as the steps will leave them."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def plan(self, item: Incoming) -> Step:
        """The step for the next record."""
        match item:
            case Readable(place=place) if place.sequence is not None:
                return Step(item, self._in_stream(item))
            case Keyless():
                return Step(item, Todo.BURY)
            case Readable(envelope=envelope):
                return Step(item, self._once(envelope.id))
            case Skippable(place=StreamPlace(sequence=None)):
                return Step(item, Todo.PASS)
            case Unreadable() if item.record.where in self._books.parked_before:
                return Step(item, Todo.DROP)
            case Skippable() | Unreadable():
                return Step(item, self._in_stream(item))
            case _:
                assert_never(item)

    def _once(self, event_id: UUID) -> Todo:
        """Outside the sequence: by id alone, also for a parked case."""
        if event_id in self._books.known_ids:
            return Todo.DROP
        self._books.known_ids.add(event_id)
        return Todo.APPLY

    def _in_stream(self, item: AboutCase) -> Todo:
        place = item.place
        judgement = Judgement.NEXT
        if place is not None and place.sequence is not None:
            key = (place.source, item.case_id)
            judgement = judge(place, self._books.heads.get(key))
        if judgement is Judgement.DUPLICATE:
            return Todo.DROP
        if item.case_id in self._books.parked:
            return Todo.QUEUE
        if isinstance(item, Unreadable):
            self._books.parked.add(item.case_id)
            return Todo.PARK
        if judgement is Judgement.GAP:
            return Todo.WAIT
        return self._next(item)

    def _next(self, item: Readable | Skippable) -> Todo:
        place = item.place
        if place.sequence is not None:
            key = (place.source, item.case_id)
            self._books.heads[key] = (place.epoch, place.sequence)
        if isinstance(item, Skippable):
            return Todo.PASS
        if item.envelope.id in self._books.known_ids:
            return Todo.PASS  # a restored source told it again in its new epoch
        self._books.known_ids.add(item.envelope.id)
        return Todo.APPLY


def plan_all(items: Sequence[Incoming], books: Books) -> list[Step]:
    """The steps for all records, in order. Changes `books` to what the steps leave behind."""
    planner = Planner(books)
    return [planner.plan(item) for item in items]
