"""How an alert looks to a signed-in person.

Operations staff see that an alert exists, how urgent it is and whether it was delivered; what it
is about they see only of alerts that name their role.
"""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.notification.application.ports import Policy, Texts
from services.notification.application.views import AlertView, DeliveryView, EvidenceView
from services.notification.domain.alert import ClosedAlert, may_answer
from services.notification.domain.case_code import case_code
from services.notification.domain.evidence import EvidenceKind
from services.notification.domain.routing import RosterEntry
from shared.auth.principal import Principal
from shared.contracts.notification import Urgency
from shared.contracts.vocabulary import Role


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class FactShown(_Shown):
    """One thing that happened, with its time and source."""

    kind: EvidenceKind
    text: str
    occurred_at: datetime
    recorded_at: datetime
    source: str | None
    detail: dict[str, str]


class AnswerShown(_Shown):
    """Who answered which version, and how."""

    kind: str
    alert_version: int
    name: str
    role: str
    reason: str | None
    answered_at: datetime


class EscalationShown(_Shown):
    """A step of the escalation: whom it tells, when it is due, whether it fired."""

    alert_version: int
    step: int
    roles: list[Role]
    due_at: datetime
    state: str
    fired_at: datetime | None


class RecipientShown(_Shown):
    """A person who was told (or should have been)."""

    name: str
    role: Role | None
    reached: bool


class DeliveryShown(_Shown):
    """A message and what became of it."""

    alert_version: int
    step: int
    channel: str
    state: str
    attempts: int
    recipients: list[RecipientShown]
    not_delivered: bool
    outcome: str | None
    finished_at: datetime | None


class AlertShown(_Shown):
    """An alert. `blocked`: what the system has already stopped; `actions`: what a person may do."""

    alert_id: UUID
    case_id: UUID
    case_code: str
    version: int
    state: str
    urgency: Urgency
    level: str
    cause: EvidenceKind | None
    summary: str
    roles: list[Role]
    facts: list[FactShown]
    blocked: list[str]
    actions: list[str]
    masked: bool
    raised_at: datetime
    opened_at: datetime
    changed_at: datetime
    ack_due_at: datetime | None
    acknowledge_text: str
    may_acknowledge: bool
    override_by: list[Role]
    may_override: bool
    answers: list[AnswerShown]
    escalations: list[EscalationShown]
    deliveries: list[DeliveryShown]
    not_delivered: bool
    unreachable_roles: list[Role]
    fallback_used: bool
    close_reason: str | None
    closed_at: datetime | None
    routing_version: str


def shown(
    view: AlertView, viewer: Principal, policy: Policy, texts: Texts, machine_now: datetime
) -> AlertShown:
    """The alert as this person may see it."""
    alert, content = view.alert, view.content
    masked = viewer.roles <= {Role.OPS} and Role.OPS not in content.roles
    fired = max((e.step for e in view.escalations if e.state == "fired"), default=0)
    closed = alert if isinstance(alert, ClosedAlert) else None
    deliveries = [_delivery(delivery, machine_now) for delivery in view.deliveries]
    living = closed is None
    return AlertShown(
        alert_id=alert.file.alert_id,
        case_id=alert.file.case_id,
        case_code=case_code(alert.file.case_id),
        version=alert.file.version,
        state=view.state,
        urgency=content.urgency,
        level=content.level.value,
        cause=None if masked else content.leading,
        summary="A coordination alert" if masked else texts.summary(content.leading),
        roles=list(content.roles),
        facts=[] if masked else [_fact(piece, texts) for piece in view.evidence],
        blocked=[] if masked else _blocked(view, policy, texts),
        actions=[] if masked else [texts.action(code) for code in content.actions],
        masked=masked,
        raised_at=alert.file.raised_at,
        opened_at=alert.file.opened_at,
        changed_at=view.changed_at,
        ack_due_at=view.ack_due_at,
        acknowledge_text=texts.acknowledge_note(),
        may_acknowledge=living and may_answer(content, viewer.roles, fired),
        override_by=sorted(content.override_by),
        may_override=living and bool(content.override_by & viewer.roles),
        answers=[
            AnswerShown(
                kind=a.kind, alert_version=a.alert_version, name=a.name, role=a.role,
                reason=a.reason, answered_at=a.answered_at,
            )
            for a in view.answers
        ],
        escalations=_escalations(view),
        deliveries=deliveries,
        not_delivered=any(d.not_delivered for d in deliveries),
        unreachable_roles=list(view.unreachable),
        fallback_used=view.fallback_used,
        close_reason=closed and closed.reason,
        closed_at=closed and closed.closed_at,
        routing_version=policy.routes.version,
    )  # fmt: skip


def _blocked(view: AlertView, policy: Policy, texts: Texts) -> list[str]:
    return [
        texts.line(piece.evidence)
        for piece in view.evidence
        if policy.routes.of(piece.evidence).blocks
    ]


def _fact(piece: EvidenceView, texts: Texts) -> FactShown:
    evidence = piece.evidence
    return FactShown(
        kind=evidence.kind,
        text=texts.line(evidence),
        occurred_at=evidence.occurred_at,
        recorded_at=piece.recorded_at,
        source=piece.source,
        detail=dict(evidence.detail),
    )


def _escalations(view: AlertView) -> list[EscalationShown]:
    steps = view.content.escalate_to
    return [
        EscalationShown(
            alert_version=e.alert_version,
            step=e.step,
            roles=list(steps[e.step - 1]) if e.step <= len(steps) else [],
            due_at=e.due_at,
            state=e.state,
            fired_at=e.fired_at,
        )
        for e in view.escalations
    ]


def _delivery(view: DeliveryView, machine_now: datetime) -> DeliveryShown:
    settled = view.state == "sent"
    return DeliveryShown(
        alert_version=view.alert_version,
        step=view.step,
        channel=view.channel,
        state=view.state,
        attempts=view.attempt,
        recipients=[
            RecipientShown(
                name=p.name,
                role=p.role,
                reached=(settled or view.attempt > 1) and p.email not in view.remaining,
            )
            for p in view.people
        ],
        not_delivered=view.not_delivered(machine_now),
        outcome=view.outcome,
        finished_at=view.finished_at,
    )


class RosterEntryShown(_Shown):
    """A person on duty for a role, for one case or (`case_id` null) for all."""

    entry_id: UUID
    role: Role
    subject: str
    name: str
    email: str
    case_id: UUID | None
    starts_at: datetime
    ends_at: datetime | None


def roster_entry_shown(entry: RosterEntry) -> RosterEntryShown:
    """The roster entry."""
    return RosterEntryShown(
        entry_id=entry.entry_id,
        role=entry.role,
        subject=entry.subject,
        name=entry.name,
        email=entry.email,
        case_id=entry.case_id,
        starts_at=entry.starts_at,
        ends_at=entry.ends_at,
    )
