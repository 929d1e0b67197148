"""Takes in what happened: one alert for one cause, however often and in whatever order it is told.

The case is locked by the caller. Whether anything is new is decided by the evidence's subject, not
by the event's id, so running a reaction twice equals running it once (also without the inbox).
"""

from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from services.notification.application.ports import AlertRows, NewDelivery, Origin, Policy
from services.notification.domain.alert import (
    Absorbed,
    Alert,
    ClosedAlert,
    Content,
    absorb,
    belongs_to,
    content_of,
    raise_alert,
)
from services.notification.domain.delivery import Channel, delivery_id, sends_email
from services.notification.domain.evidence import NO_CASE, Evidence
from services.notification.domain.levels import URGENCY_OF, Level
from services.notification.domain.reading import evidence_of
from services.notification.domain.routing import Recipients, recipients
from shared.contracts.event import Envelope
from shared.contracts.notification import AlertClosed, AlertRaised, AlertUpdated
from shared.contracts.vocabulary import Role
from shared.messaging.unit_of_work import Work


async def absorb_event(policy: Policy, work: Work[AlertRows], envelope: Envelope[Any]) -> None:
    """The reaction to every event of the table in bootstrap."""
    evidence = evidence_of(envelope)
    if evidence is not None:
        if evidence.case_id != envelope.case_id:
            # The batch holds the event's case; news of the installation is told under its own.
            await work.rows.lock_case(evidence.case_id)
        await absorb_evidence(policy, work, evidence, Origin(envelope.id, envelope.source))


async def absorb_evidence(
    policy: Policy, work: Work[AlertRows], evidence: Evidence, origin: Origin
) -> tuple[Alert, ...]:
    """The alerts that this evidence raised, updated or closed; none when it was known."""
    if evidence.resolves is None and await work.rows.knows(evidence.case_id, evidence.subject):
        return ()
    now = work.world.clock.now()
    candidates = await work.rows.related(evidence.case_id, evidence.keys)
    joined = belongs_to(candidates, evidence, policy.routes)
    changes = [absorb(alert, evidence, policy.routes, now) for alert in joined]
    if not joined and policy.routes.of(evidence).raises:
        changes = [raise_alert(evidence, policy.routes, now)]
    found = [change for change in changes if change is not None]
    for change in found:
        await _record(policy, work, change, evidence, origin, now)
    return tuple(change.alert for change in found)


async def _record(
    policy: Policy,
    work: Work[AlertRows],
    change: Absorbed,
    evidence: Evidence,
    origin: Origin,
    now: datetime,
) -> None:
    alert, file = change.alert, change.alert.file
    content = content_of(file.evidence, policy.routes)
    told = None
    if change.tell:
        told = await people_for(policy, work, evidence, content.roles, now)
        await work.rows.drop_deliveries(file.alert_id, "superseded", now)
        await work.rows.stop_escalations(file.alert_id)
    await work.rows.put(alert, content, told, now)
    heard_at = work.world.machine_clock.now()
    await work.rows.add_evidence(file.alert_id, evidence, origin, now, heard_at)
    if told is not None:
        await send_to(work, alert, content.level, told, 0, now)
        await _set_timers(policy, work, alert, content)
    if isinstance(alert, ClosedAlert) and change.news == "closed":
        await work.rows.drop_deliveries(file.alert_id, "closed", now)
        await work.rows.stop_escalations(file.alert_id)
    await work.rows.add_change(file.alert_id, change.news, now)
    _publish(policy, work, change, content, evidence)


async def people_for(
    policy: Policy, work: Work[AlertRows], evidence: Evidence, roles: tuple[Role, ...], at: datetime
) -> Recipients:
    """The people on duty for these roles at that instant."""
    roster = await work.rows.roster(evidence.case_id, at)
    return recipients(roles, roster, case_id=evidence.case_id, at=at, fallback=policy.fallback)


async def send_to(
    work: Work[AlertRows], alert: Alert, level: Level, told: Recipients, step: int, now: datetime
) -> None:
    """Queues the messages of this version and step; they leave after the commit."""
    file = alert.file
    channels: tuple[Channel, ...] = ("in_app", "email") if sends_email(level) else ("in_app",)
    queued_at = work.world.machine_clock.now()
    for channel in channels:
        delivery = NewDelivery(
            delivery_id(file.alert_id, file.version, step, channel),
            file.version, step, channel, URGENCY_OF[level], told.people,
            work.cause.traceparent,
        )  # fmt: skip
        await work.rows.add_delivery(file.alert_id, file.case_id, delivery, queued_at)


async def _set_timers(
    policy: Policy, work: Work[AlertRows], alert: Alert, content: Content
) -> None:
    file = alert.file
    for index, _ in enumerate(content.escalate_to, start=1):
        due_at = policy.ack_times.due_at(content.level, file.opened_at, step=index)
        if due_at is not None:
            await work.rows.add_escalation(file.alert_id, file.version, index, due_at)


def _publish(
    policy: Policy, work: Work[AlertRows], change: Absorbed, content: Content, evidence: Evidence
) -> None:
    file = change.alert.file
    kind = f"{file.alert_id}:{evidence.subject}"
    detail: dict[str, str | int | bool | None] = {
        "alert_id": str(file.alert_id), "version": file.version, "level": content.level.value,
        "subject": evidence.subject,
    }  # fmt: skip
    match change.news:
        case "raised":
            work.emit(
                AlertRaised(
                    case_id=file.case_id, alert_id=file.alert_id, cause=content.leading.value,
                    urgency=content.urgency, roles=tuple(role.value for role in content.roles),
                    ack_due_at=policy.ack_times.due_at(content.level, file.opened_at),
                ),
                kind=kind,
            )  # fmt: skip
        case "updated":
            work.emit(
                AlertUpdated(
                    case_id=file.case_id, alert_id=file.alert_id, alert_version=file.version,
                    urgency=content.urgency, cause=content.leading.value,
                    reopened=change.reopened,
                ),
                kind=kind,
            )  # fmt: skip
        case "closed":
            assert isinstance(change.alert, ClosedAlert)  # noqa: S101 - closed means closed
            work.emit(
                AlertClosed(
                    case_id=file.case_id, alert_id=file.alert_id, reason=change.alert.reason
                ),
                kind=kind,
            )
        case _:
            assert_never(change.news)
    work.note(f"alert-{change.news}", case_or_none(file.case_id), **detail)


def case_or_none(case_id: UUID) -> UUID | None:
    """The chain of the audit for this case; alerts of no case go to the service's own."""
    return None if case_id == NO_CASE else case_id
