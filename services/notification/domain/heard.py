"""The circumstances of a piece of news, and the keys by which pieces of news belong together."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.notification.domain.evidence import Evidence, EvidenceKind
from services.notification.domain.levels import Level
from shared.contracts.event import Event


@dataclass(frozen=True, slots=True)
class Heard:
    """In which chain of causes, and when in the world, an event came about."""

    chain: UUID
    at: datetime

    def piece(
        self,
        event: Event,
        kind: EvidenceKind,
        subject: str,
        *,
        keys: tuple[str, ...] = (),
        level: Level | None = None,
        lasts_until: str | None = None,
        resolves: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> Evidence:
        """A piece of evidence about the event's case."""
        return Evidence(
            case_id=event.case_id,
            kind=kind,
            subject=subject,
            chain=self.chain,
            occurred_at=self.at,
            keys=frozenset(keys),
            level=level,
            lasts_until=lasts_until,
            resolves=resolves,
            detail=detail or {},
        )


def hold_key(hold_id: UUID) -> str:
    """Shared by all news about one hold."""
    return f"hold:{hold_id}"


def course_key(course_id: UUID) -> str:
    """Shared by all news about one course's plan."""
    return f"course:{course_id}"


def about_hold(
    event: Event, heard: Heard, kind: EvidenceKind, hold_id: UUID, *, ends: bool = False
) -> Evidence:
    """News about a hold that was told of before."""
    key = hold_key(hold_id)
    return heard.piece(
        event,
        kind,
        f"{kind.value}:{hold_id}",
        keys=(key,),
        resolves=key if ends else None,
        detail={"hold_id": str(hold_id)},
    )
