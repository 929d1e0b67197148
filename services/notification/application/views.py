"""What is shown of alerts: the read side, and the feed of changes. Nothing here writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from services.notification.application.ports import Answer
from services.notification.domain.alert import Alert, Content
from services.notification.domain.delivery import SHOWN_AS_FAILED_AFTER_SECONDS, Channel
from services.notification.domain.evidence import Evidence
from services.notification.domain.levels import Level
from services.notification.domain.routing import Person, RosterEntry
from shared.contracts.vocabulary import Role


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """A piece of evidence and who told it."""

    evidence: Evidence
    source: str | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class EscalationView:
    """A step of the escalation."""

    alert_version: int
    step: int
    due_at: datetime
    state: str
    fired_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A message and what became of it. `remaining`: addresses that it has not reached."""

    alert_version: int
    step: int
    channel: Channel
    people: tuple[Person, ...]
    remaining: frozenset[str]
    state: str
    attempt: int
    queued_at: datetime
    finished_at: datetime | None
    outcome: str | None

    def not_delivered(self, now: datetime) -> bool:
        """Whether nobody got it: it failed for good, or has waited too long (machine time)."""
        waiting = self.state in ("queued", "sending")
        too_long = now - self.queued_at >= timedelta(seconds=SHOWN_AS_FAILED_AFTER_SECONDS)
        nobody = len(self.remaining) == len(self.people)
        return nobody and (self.state == "failed" or (waiting and too_long))


@dataclass(frozen=True, slots=True)
class AlertView:
    """Everything about one alert."""

    alert: Alert
    state: str
    content: Content
    evidence: tuple[EvidenceView, ...]
    unreachable: tuple[Role, ...]
    fallback_used: bool
    changed_at: datetime
    answers: tuple[Answer, ...]
    escalations: tuple[EscalationView, ...]
    deliveries: tuple[DeliveryView, ...]

    @property
    def ack_due_at(self) -> datetime | None:
        """When the next escalation step fires."""
        return min((e.due_at for e in self.escalations if e.state == "pending"), default=None)


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts; None: all."""

    states: tuple[str, ...] | None = None
    levels: tuple[Level, ...] | None = None
    case_id: UUID | None = None
    roles: tuple[Role, ...] | None = None


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in the feed of changes."""

    xid: int
    seq: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> "Mark | None":
        """The mark in a `Last-Event-ID`, or None for one that is none of ours."""
        xid, _, seq = text.partition("-")
        return cls(int(xid), int(seq)) if xid.isdigit() and seq.isdigit() else None


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to an alert; `version`, `state` and `level` are the present ones."""

    mark: Mark
    alert_id: UUID
    case_id: UUID
    what: str
    version: int
    state: str
    level: Level
    changed_at: datetime


class AlertViews(Protocol):
    """Reads, over one open transaction."""

    async def page(
        self, chosen: AlertFilter, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[AlertView]:
        """Alerts, newest first."""
        ...

    async def one(self, alert_id: UUID) -> AlertView | None:
        """One alert."""
        ...

    async def roster_page(
        self, case_id: UUID | None, role: Role | None, after: UUID | None, limit: int, at: datetime
    ) -> Sequence[RosterEntry]:
        """Roster entries that count now or later."""
        ...

    async def changes_after(self, mark: Mark, limit: int) -> Sequence[Change]:
        """The next changes, in commit order; never one that a slower commit could still precede."""
        ...

    async def end_of_changes(self) -> Mark:
        """The place after everything that has been committed and can be read in order."""
        ...
