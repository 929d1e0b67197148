"""A named person answers an alert: acknowledges it, sets it aside with a reason, or snoozes it.

An answer binds to the version that the person saw. It stops the escalation and nothing else: no
use case here can release a hold, for notification has no way to ask for it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from services.notification.application.absorb_evidence import case_or_none
from services.notification.application.ports import AlertRows, Answer, Policy
from services.notification.domain.alert import (
    Alert,
    AnsweredAlert,
    ClosedAlert,
    Content,
    OpenAlert,
    answered,
    content_of,
    may_answer,
)
from services.notification.domain.routing import Recipients
from shared.auth.principal import Principal
from shared.contracts.notification import AlertAcknowledged, AlertOverridden
from shared.contracts.vocabulary import Role
from shared.messaging.unit_of_work import Work
from shared.web.etags import check_version
from shared.web.problems import Problem, not_found


class OverrideReason(StrEnum):
    """Why an alert is set aside. Coded, so that each rule's overrides can be counted."""

    ALREADY_KNOWN = "already_known"
    HANDLED_ELSEWHERE = "handled_elsewhere"
    NOT_APPLICABLE = "not_applicable"
    WRONG_RECIPIENT = "wrong_recipient"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Seen:
    """Who answers, and which version that person saw."""

    alert_id: UUID
    version: tuple[int, ...]
    person: Principal


async def acknowledge_alert(policy: Policy, work: Work[AlertRows], seen: Seen) -> Alert:
    """The alert, acknowledged. A second acknowledgement of the same version changes nothing.

    Raises `Problem` 404, 412 for another version than the present one, 403 for a person who was
    not told in any role, 409 for a closed alert.
    """
    alert, content = await _answerable(policy, work, seen)
    if isinstance(alert, AnsweredAlert):
        return alert
    fired = await work.rows.steps_fired(seen.alert_id)
    role = _told_role(content, seen.person, fired)
    done = await _answer(policy, work, alert, Answer(
        "acknowledged", alert.file.version, seen.person.subject, seen.person.name, role.value,
        None, None, work.world.clock.now(),
    ))  # fmt: skip
    work.emit(
        AlertAcknowledged(
            case_id=alert.file.case_id, alert_id=alert.file.alert_id,
            alert_version=alert.file.version, acknowledged_at=work.world.clock.now(),
        )
    )  # fmt: skip
    return done


async def override_alert(
    policy: Policy, work: Work[AlertRows], seen: Seen, reason: OverrideReason, note: str | None
) -> Alert:
    """The alert, set aside. Raises like `acknowledge_alert`; 409 where nobody may set it aside."""
    alert, content = await _answerable(policy, work, seen)
    if not content.override_by:
        raise Problem(
            409, "hard-stop", "Nobody may set this alert aside; acknowledge it instead.",
            extra={"override_by": []},
        )  # fmt: skip
    role = _first(content.override_by, seen.person)
    if role is None:
        raise Problem(
            403, "not-your-override", "Your roles may not set this alert aside.",
            extra={"override_by": sorted(r.value for r in content.override_by)},
        )  # fmt: skip
    if isinstance(alert, AnsweredAlert):
        return alert
    done = await _answer(policy, work, alert, Answer(
        "overridden", alert.file.version, seen.person.subject, seen.person.name, role.value,
        reason.value, note, work.world.clock.now(),
    ))  # fmt: skip
    work.emit(
        AlertOverridden(
            case_id=alert.file.case_id, alert_id=alert.file.alert_id,
            alert_version=alert.file.version, reason=reason.value,
        )
    )  # fmt: skip
    return done


async def snooze_alert(policy: Policy, work: Work[AlertRows], seen: Seen, minutes: int) -> Alert:
    """The alert, whose next escalation waits `minutes` from now; at most the level's own time.

    A critical alert cannot be snoozed. Raises like `acknowledge_alert`.
    """
    alert, content = await _answerable(policy, work, seen)
    fired = await work.rows.steps_fired(seen.alert_id)
    _told_role(content, seen.person, fired)
    longest = policy.ack_times.minutes.get(content.level)
    if content.urgency == "critical" or longest is None or isinstance(alert, AnsweredAlert):
        raise Problem(409, "not-snoozable", "Only an open warning can be snoozed.")
    if minutes > longest:
        raise Problem(
            409, "snooze-too-long", f"This alert can be snoozed for at most {longest} minutes.",
            extra={"minutes_max": longest},
        )  # fmt: skip
    now = work.world.clock.now()
    await work.rows.snooze_escalations(seen.alert_id, now + timedelta(minutes=minutes))
    await work.rows.add_change(seen.alert_id, "snoozed", now)
    work.note(
        "alert-snoozed", case_or_none(alert.file.case_id), alert_id=str(seen.alert_id),
        version=alert.file.version, minutes=minutes,
    )  # fmt: skip
    return alert


async def _answerable(
    policy: Policy, work: Work[AlertRows], seen: Seen
) -> tuple[OpenAlert | AnsweredAlert, Content]:
    case_id = await work.rows.case_of(seen.alert_id)
    if case_id is None:
        raise not_found("alert")
    await work.rows.lock_case(case_id)
    alert = await work.rows.alert(seen.alert_id)
    if alert is None:
        raise not_found("alert")
    check_version(seen.version, alert.file.version)
    if isinstance(alert, ClosedAlert):
        raise Problem(
            409, "alert-closed", "The cause is gone and the alert is closed.",
            extra={"close_reason": alert.reason},
        )  # fmt: skip
    return alert, content_of(alert.file.evidence, policy.routes)


async def _answer(
    policy: Policy, work: Work[AlertRows], alert: OpenAlert, answer: Answer
) -> AnsweredAlert:
    now = work.world.clock.now()
    done = answered(alert, answer.kind)
    content = content_of(alert.file.evidence, policy.routes)
    nobody_new: Recipients | None = None
    await work.rows.put(done, content, nobody_new, now)
    await work.rows.add_answer(alert.file.alert_id, answer)
    await work.rows.stop_escalations(alert.file.alert_id)
    await work.rows.drop_deliveries(alert.file.alert_id, answer.kind, now)
    await work.rows.add_change(alert.file.alert_id, answer.kind, now)
    work.note(
        f"alert-{answer.kind}", case_or_none(alert.file.case_id),
        alert_id=str(alert.file.alert_id), version=answer.alert_version, role=answer.role,
        code=answer.reason,
    )  # fmt: skip
    return done


def _told_role(content: Content, person: Principal, fired: int) -> Role:
    told = [*content.roles, *(r for step in content.escalate_to[:fired] for r in step)]
    role = _first(told, person)
    if role is None or not may_answer(content, person.roles, fired):
        raise Problem(
            403, "not-your-alert", "This alert is answered by somebody in one of its roles.",
            extra={"roles": [r.value for r in dict.fromkeys(told)]},
        )  # fmt: skip
    return role


def _first(roles: Collection[Role], person: Principal) -> Role | None:
    return next((role for role in roles if role in person.roles), None)
