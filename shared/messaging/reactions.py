"""What a service reacts to: one visible table per service, run by the consumer kernel."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

from shared.contracts.event import Envelope, Event
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import STATEMENTS, Work
from shared.persistence.database import Tx

R = TypeVar("R")

Reaction = Callable[[Work[R], Envelope[Any]], Awaitable[None]]
BulkReaction = Callable[[Work[R], Sequence[Envelope[Any]]], Awaitable[None]]
OnParked = Callable[[Work[R], UUID], Awaitable[None]]
LockCases = Callable[[Tx, Sequence[UUID]], Awaitable[None]]


async def lock_case_rows(tx: Tx, case_ids: Sequence[UUID]) -> None:
    """Ensures and locks the plain case rows of these cases, ascending, in a statement of its own.

    Raises `LockTimeoutError` when one of them is busy for longer than the lock time-out.
    """
    await tx.run(STATEMENTS["lock_case_rows"], sorted(set(case_ids)))


@dataclass(frozen=True, slots=True)
class Reactions(Generic[R]):
    """The reactions of one consumer.

    `handlers`: what to do for an event, inside the batch's transaction, with the case locked; run
    twice it must equal once. `bulk`: the same for events that only write rows; it is given all of a
    batch that follow one another, in their order, and neither emits nor notes. `safe_half`: for
    events that are never held back in a parked case (hold-recorded, red-flag-reported), the part
    that is applied at once and again, as a no-op, in the ordered redrive. Types that appear in none
    are read, counted in the sequence, skipped.
    `on_parked` and `on_unparked` run in the transaction that parks or unparks a case here.

    A handler has no effect outside its transaction: a failed batch runs it again, alone. It raises
    `TransientError` (or a store or HTTP error) for what may pass; anything else parks the case.
    """

    consumer: Service
    topics: frozenset[str]
    handlers: Mapping[type[Event], Reaction[R]]
    safe_half: Mapping[type[Event], Reaction[R]] = field(default_factory=dict)
    bulk: Mapping[type[Event], BulkReaction[R]] = field(default_factory=dict)
    lock_cases: LockCases = lock_case_rows
    on_parked: OnParked[R] | None = None
    on_unparked: OnParked[R] | None = None

    def __post_init__(self) -> None:
        """Refuses two reactions to one event: which came first would be anybody's guess."""
        both = self.handlers.keys() & self.bulk.keys()
        if both:
            raise ValueError(f"two reactions to {sorted(kind.type for kind in both)}")


class TransientError(Exception):
    """The handler could not do its work now; its partition waits and tries again, in order."""


def merged(*tables: Mapping[type[Event], Reaction[R]]) -> Mapping[type[Event], Reaction[R]]:
    """One table of several: an event that stands in more than one runs them in this order."""
    found: dict[type[Event], tuple[Reaction[R], ...]] = {}
    for table in tables:
        for kind, reaction in table.items():
            found[kind] = (*found.get(kind, ()), reaction)
    return {kind: _in_turn(reactions) for kind, reactions in found.items()}


def _in_turn(reactions: tuple[Reaction[R], ...]) -> Reaction[R]:
    if len(reactions) == 1:
        return reactions[0]

    async def react(work: Work[R], envelope: Envelope[Any]) -> None:
        for reaction in reactions:
            await reaction(work, envelope)

    return react
