"""What notification's use cases ask of the world outside: rows, mail, texts and heartbeats."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from services.notification.domain.alert import Alert, Content
from services.notification.domain.delivery import Channel, MailOutcome, Settled
from services.notification.domain.evidence import Evidence, EvidenceKind
from services.notification.domain.levels import AckTimes
from services.notification.domain.routing import Person, Recipients, RosterEntry, Routes
from services.notification.domain.streams import StreamState
from shared.contracts.notification import Urgency
from shared.contracts.vocabulary import Service


@dataclass(frozen=True, slots=True)
class Policy:
    """What decides who is told and when: routing table, times to answer, fallback recipient."""

    routes: Routes
    ack_times: AckTimes
    fallback: Person


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a piece of evidence was learnt: the event (or page) and its sender."""

    event_id: UUID | None
    source: Service | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered a version of an alert, and how. `role` is the one that entitled the person."""

    kind: Literal["acknowledged", "overridden"]
    alert_version: int
    subject: str
    name: str
    role: str
    reason: str | None
    note: str | None
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class DueEscalation:
    """A step whose time has come."""

    alert_id: UUID
    case_id: UUID
    alert_version: int
    step: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class DoubtfulHold:
    """A recorded hold of which it is not known that nothing can start any more."""

    case_id: UUID
    hold_id: UUID
    chain: UUID


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A message to be sent (e-mail) or already standing where people look (in the app)."""

    delivery_id: UUID
    alert_version: int
    step: int
    channel: Channel
    urgency: Urgency
    people: tuple[Person, ...]
    #: the trace in which it was queued
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this worker, and nobody else until the claim ends, is to send now."""

    delivery_id: UUID
    alert_id: UUID
    case_id: UUID
    alert_version: int
    step: int
    urgency: Urgency
    addresses: tuple[str, ...]
    attempt: int
    chain: UUID
    answer_by: datetime | None
    traceparent: str | None = None


class AlertRows(Protocol):
    """Notification's tables, over one open transaction."""

    async def lock_case(self, case_id: UUID) -> None:
        """Locks the case's row, alone in its statements; everything below is written under it."""
        ...

    async def case_of(self, alert_id: UUID) -> UUID | None:
        """The case of an alert; it never changes, so it may be read before the lock."""
        ...

    async def knows(self, case_id: UUID, subject: str) -> bool:
        """Whether some alert of the case has evidence with this subject."""
        ...

    async def related(self, case_id: UUID, keys: Collection[str]) -> Sequence[Alert]:
        """The case's living alerts, and its closed ones with evidence that shares a key."""
        ...

    async def alert(self, alert_id: UUID) -> Alert | None:
        """One alert with its evidence."""
        ...

    async def put(
        self, alert: Alert, content: Content, told: Recipients | None, now: datetime
    ) -> None:
        """Writes the alert's row; `told` None leaves who was (not) reachable as it is."""
        ...

    async def add_evidence(
        self, alert_id: UUID, evidence: Evidence, origin: Origin, now: datetime, heard_at: datetime
    ) -> None:
        """Adds a piece of evidence to an alert; `heard_at` is machine time."""
        ...

    async def add_change(self, alert_id: UUID, what: str, now: datetime) -> None:
        """Adds a line to the feed of changes."""
        ...

    async def add_delivery(
        self, alert_id: UUID, case_id: UUID, delivery: NewDelivery, now: datetime
    ) -> None:
        """Adds a message, unless the alert's version, step and channel have one already."""
        ...

    async def drop_deliveries(self, alert_id: UUID, why: str, now: datetime) -> None:
        """Messages of the alert that have not left will not leave."""
        ...

    async def add_escalation(
        self, alert_id: UUID, version: int, step: int, due_at: datetime
    ) -> None:
        """Sets the timer of one escalation step."""
        ...

    async def stop_escalations(self, alert_id: UUID) -> None:
        """The alert's pending steps will not fire."""
        ...

    async def snooze_escalations(self, alert_id: UUID, until: datetime) -> int:
        """Moves the pending steps that fall due before `until` to `until`; tells how many."""
        ...

    async def fire_escalation(self, due: DueEscalation, now: datetime) -> bool:
        """True for the one caller that found the step pending; it is fired from then on."""
        ...

    async def escalations_due(self, now: datetime, limit: int) -> Sequence[DueEscalation]:
        """Pending steps whose time has come, the longest overdue first."""
        ...

    async def steps_fired(self, alert_id: UUID) -> int:
        """The highest escalation step that fired for this alert, 0 for none."""
        ...

    async def add_answer(self, alert_id: UUID, answer: Answer) -> None:
        """Records who answered this version."""
        ...

    async def answer(self, alert_id: UUID, version: int) -> Answer | None:
        """The answer to this version, if there is one."""
        ...

    async def claim_delivery(self, now: datetime, until: datetime) -> Claimed | None:
        """Takes the next e-mail that is due (or whose claim ended without word) for this worker."""
        ...

    async def settle_delivery(
        self, claimed: Claimed, settled: Settled, due_at: datetime, now: datetime
    ) -> bool:
        """Writes what became of a claimed message; False when the claim is no longer ours."""
        ...

    async def drop_stale_claims(self, now: datetime) -> int:
        """Ends claims that nobody settled of alerts that were answered or closed meanwhile."""
        ...

    async def roster(self, case_id: UUID | None, at: datetime) -> Sequence[RosterEntry]:
        """Entries that count now or later: of the case and of the general duty (None: all)."""
        ...

    async def put_roster_entry(self, entry: RosterEntry) -> None:
        """Adds or replaces an entry."""
        ...

    async def roster_entry(self, entry_id: UUID) -> RosterEntry | None:
        """One entry."""
        ...

    async def holds_not_effective(self, before: datetime, limit: int) -> Sequence[DoubtfulHold]:
        """Recorded holds heard of before `before` and not told to be effective or released."""
        ...

    async def oldest_unacknowledged(self) -> datetime | None:
        """Since when the oldest alert that must be answered stands open (the clinic's time)."""
        ...

    async def stream_states(self) -> Sequence[StreamState]:
        """The dead-man's state of each source that was ever watched."""
        ...

    async def put_stream_state(self, state: StreamState) -> None:
        """Writes the dead-man's state of a source."""
        ...

    async def last_heartbeats(self) -> Mapping[Service, datetime]:
        """When each source was last heard (machine time), as the consumer wrote it down."""
        ...


@dataclass(frozen=True, slots=True)
class Mail:
    """One message, ready to be handed to a mail server."""

    message_id: str
    addresses: tuple[str, ...]
    subject: str
    body: str
    urgency: Urgency
    attempt: int


class Mailer(Protocol):
    """Hands messages to a mail server. Never raises: a failure is an outcome."""

    async def send(self, mail: Mail) -> MailOutcome:
        """What the server said."""
        ...


class Texts(Protocol):
    """Reviewed wording. Signed-in texts may name codes; messages carry a link and a case code."""

    def summary(self, kind: EvidenceKind) -> str:
        """One line that heads the alert."""
        ...

    def line(self, evidence: Evidence) -> str:
        """What happened, in one sentence with its codes and numbers."""
        ...

    def action(self, code: str) -> str:
        """A suggested action."""
        ...

    def acknowledge_note(self) -> str:
        """What an acknowledgement does, and that it releases no hold."""
        ...

    def message(
        self, *, urgency: Urgency, case_code: str, link: str, answer_by: datetime | None, step: int
    ) -> tuple[str, str]:
        """Subject and body of a message."""
        ...
