"""What the use cases of FHIR subscriptions read and keep. Each store method is one SQL statement.

An errand is what still has to be had from a server: a resource that was notified, or the events of
a span of numbers that never came. It waits, is done, or stands before a person.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from services.intake.domain.event_numbers import Span
from services.intake.domain.fhir_addresses import FhirBase


class NotificationKind(StrEnum):
    """What a server says with a notification (Subscriptions R5 Backport, notification types)."""

    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"
    EVENT = "event-notification"
    STATUS = "query-status"
    ASKED = "query-event"


class SubscriptionStatus(StrEnum):
    """The server's own word on its subscription (FHIR R4, subscription-status, with R5's)."""

    REQUESTED = "requested"
    ACTIVE = "active"
    ERROR = "error"
    OFF = "off"
    ENTERED_IN_ERROR = "entered-in-error"

    @property
    def is_sound(self) -> bool:
        """Whether the server means to go on sending."""
        return self in {SubscriptionStatus.REQUESTED, SubscriptionStatus.ACTIVE}


class ErrandState(StrEnum):
    """How far an errand is; `not-here`: the resource is of nobody who has a case."""

    WAITING = "waiting"
    DONE = "done"
    NOT_HERE = "not-here"
    PARKED = "parked"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class NotifiedEvent:
    """One event; `references` are its focus and additional context, as written."""

    number: int
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification as it was read. `told_at` is when the server wrote it, where it says so."""

    subscription: str
    kind: NotificationKind
    status: SubscriptionStatus
    events_total: int | None
    events: tuple[NotifiedEvent, ...] = ()
    errors: tuple[str, ...] = ()
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NotificationProblem:
    """Why a notification is refused, with a JSON pointer."""

    code: str
    message: str
    pointer: str = ""


class ReadNotification(Protocol):
    """Reads the bytes of one notification."""

    def __call__(self, raw: bytes) -> Notification | NotificationProblem:
        """What the notification says; never raises for bad input."""
        ...


@dataclass(frozen=True, slots=True)
class FhirFeed:
    """A server that notifies, and the only place where its resources are fetched.

    `token` is shown to that server alone.
    """

    name: str
    base: FhirBase
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Subscription:
    """What is known of a subscription.

    `highest` is the highest event number that is known of; `run` counts its beginnings anew.
    """

    feed: str
    subscription: str
    run: int
    highest: int
    status: SubscriptionStatus
    errors: Sequence[str]
    heard_at: datetime
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class Errand:
    """Something to be had. `reference` None: the events of `span`."""

    errand_id: UUID
    feed: str
    subscription: str
    run: int
    span: Span
    reference: str | None
    state: ErrandState
    attempts: int
    noticed_at: datetime
    code: str | None = None
    place: str | None = None
    case_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class FeedState:
    """When a feed spoke, how far its evidence is whole, and what is owed."""

    name: str
    heard_at: datetime | None
    watermark: datetime | None
    unknown_patients: int
    waiting: int
    parked: int
    gaps: int


@dataclass(frozen=True, slots=True)
class Settling:
    """How an errand ends, or why it goes on."""

    state: ErrandState
    code: str
    place: str = ""
    case_id: UUID | None = None
    next_try_at: datetime | None = None
    by: str | None = None
    reason: str | None = None


class SubscriptionRows(Protocol):
    """The tables of subscriptions."""

    async def add_subscription(self, feed: str, subscription: str, at: datetime) -> None:
        """Adds a subscription that nothing is known of yet, unless it is there."""
        ...

    async def locked(self, feed: str, subscription: str) -> Subscription:
        """The subscription, which must be there, locked until the transaction ends."""
        ...

    async def put_subscription(self, subscription: Subscription) -> None:
        """Replaces what is known of it."""
        ...

    async def subscriptions(self, feed: str | None) -> Sequence[Subscription]:
        """All that were heard of, by feed and name."""
        ...

    async def open_gaps(self, feed: str, subscription: str, run: int) -> Sequence[Errand]:
        """Spans of this run that are missing, waiting or before a person; in order."""
        ...

    async def add_errands(self, errands: Sequence[Errand], next_try_at: datetime) -> int:
        """How many were new; a reference of an event is owed once. `next_try_at`: machine time."""
        ...

    async def narrow_gap(self, errand_id: UUID, span: Span | None, at: datetime) -> None:
        """The gap is what is left of it; None: nothing is."""
        ...

    async def owed_since(self, feed: str) -> datetime | None:
        """When the oldest thing was noticed of which nobody knows yet whom it concerns."""
        ...

    async def claim(
        self, feeds: Sequence[str], now: datetime, again_at: datetime, limit: int
    ) -> Sequence[Errand]:
        """Errands of these feeds that are due, each claimed until `again_at`, an attempt more."""
        ...

    async def settle(self, errand: Errand, settling: Settling, at: datetime) -> bool:
        """Whether the errand was still where `errand` saw it, and is settled now."""
        ...

    async def count_unknown(self, feed: str) -> None:
        """One more resource of somebody who is not a patient here."""
        ...

    async def listed(self, after: UUID | None, limit: int) -> Sequence[Errand]:
        """Errands that wait for a person, oldest first."""
        ...

    async def errand(self, errand_id: UUID) -> Errand | None:
        """One errand that waits for a person, locked."""
        ...

    async def feed_states(self, configured: Collection[str]) -> Sequence[FeedState]:
        """Every feed that is configured or was ever heard, by name."""
        ...
