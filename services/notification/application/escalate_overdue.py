"""Tells the next step of the roster when nobody acknowledged in time: a durable timer.

Due times are stored when an alert opens; this polls them. A step fires in one transaction with its
messages, event and audit entry, under the case lock, by the one who finds it pending: so it fires
once, also when several replicas poll, and late rather than never when the service was down or
killed at the due minute.
"""

from collections.abc import Sequence
from typing import Final

from services.notification.application.absorb_evidence import (
    case_or_none,
    people_for,
    send_to,
)
from services.notification.application.deliver_due import ACTOR
from services.notification.application.ports import AlertRows, DueEscalation, Policy
from services.notification.domain.alert import OpenAlert, content_of
from shared.contracts.notification import AlertEscalated
from shared.messaging.unit_of_work import Cause, UnitOfWork

#: one round of the timer; the rest waits for the next round, the longest overdue first
STEPS_PER_ROUND_MAX: Final = 100


async def escalate_overdue(policy: Policy, units: UnitOfWork[AlertRows]) -> Sequence[DueEscalation]:
    """Fires every step that is due; returns those that fired here."""
    now = units.world.clock.now()
    async with units.database.transaction() as tx:
        due = await units.repository(tx).escalations_due(now, STEPS_PER_ROUND_MAX)
    return [step for step in due if await _fire(policy, units, step)]


async def _fire(policy: Policy, units: UnitOfWork[AlertRows], due: DueEscalation) -> bool:
    async with units.database.transaction() as tx:
        seen = await units.repository(tx).alert(due.alert_id)
    if seen is None:
        return False
    cause = Cause(actor=ACTOR, correlation_id=seen.file.evidence[0].chain)
    async with units.begin(cause) as work:
        await work.rows.lock_case(due.case_id)
        now = work.world.clock.now()
        alert = await work.rows.alert(due.alert_id)
        if not isinstance(alert, OpenAlert):
            await work.rows.stop_escalations(due.alert_id)
            return False
        if not await work.rows.fire_escalation(due, now):
            return False
        content = content_of(alert.file.evidence, policy.routes)
        roles = tuple(r for s in content.escalate_to[due.step - 1 : due.step] for r in s)
        told = await people_for(policy, work, alert.file.evidence[0], roles, now)
        await work.rows.put(alert, content, told, now)
        await send_to(work, alert, content.level, told, due.step, now)
        await work.rows.add_change(due.alert_id, "escalated", now)
        work.emit(
            AlertEscalated(
                case_id=due.case_id, alert_id=due.alert_id, alert_version=alert.file.version,
                step=due.step, due_at=due.due_at,
            )
        )  # fmt: skip
        work.note(
            "alert-escalated", case_or_none(due.case_id), alert_id=str(due.alert_id),
            version=alert.file.version, step=due.step, due_at=due.due_at.isoformat(),
            people=len(told.people),
        )  # fmt: skip
    return True
