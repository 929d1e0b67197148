"""What the use cases of feeds ask of their store. Each method is one SQL statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from services.intake.application.incoming_messages import IncomingMessage

Code = Literal["AA", "AE", "AR"]
"""Accepted; an error in it that a person must look at; refused, and never acceptable as it is."""


@dataclass(frozen=True, slots=True)
class Answered:
    """How a message was answered before."""

    answer: Code
    outcome: str
    case_id: UUID | None


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message in quarantine, without its content."""

    quarantine_id: UUID
    feed: str
    control_id: str
    digest: str
    case_id: UUID | None
    message_kind: str
    code: str
    place: str
    received_at: datetime


class FeedRows(Protocol):
    """The tables of feeds."""

    async def message_answered(self, feed: str, message: IncomingMessage) -> Answered | None:
        """How this very message was answered, None if it is new."""
        ...

    async def put_message(
        self, feed: str, message: IncomingMessage, answered: Answered, received_at: datetime
    ) -> None:
        """Keeps how a message was answered."""
        ...

    async def heard(self, feed: str, at: datetime, unknown_patients: int) -> None:
        """The feed spoke; the one place that the freshness of sources joins."""
        ...

    async def park_message(self, waiting: WaitingMessage, raw: bytes) -> bool:
        """Whether the message now waits for a person; False: these bytes wait already."""
        ...

    async def waiting_messages(self, after: UUID | None, limit: int) -> Sequence[WaitingMessage]:
        """What waits, oldest first."""
        ...

    async def waiting_message(self, quarantine_id: UUID) -> WaitingMessage | None:
        """One that waits, locked."""
        ...

    async def waiting_bytes(self, quarantine_id: UUID) -> bytes | None:
        """The bytes of one that waits."""
        ...

    async def settle_message(
        self, quarantine_id: UUID, state: str, *, at: datetime, by: str, reason: str | None
    ) -> bool:
        """Whether it waited until now; its bytes are gone."""
        ...
