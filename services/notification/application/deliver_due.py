"""Sends the messages that are due: recorded before they leave and after they left.

Three steps: claim (committed: this worker sends attempt n now), hand over to the mail server
(no transaction is open), settle (committed: what the server said, fenced by the attempt). A crash
before the claim loses nothing; a crash after the server's 250 and before the settling leaves a
claim that ends by itself, and the message is handed over once more *under the same Message-ID*.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from services.notification.application.absorb_evidence import case_or_none
from services.notification.application.ports import AlertRows, Claimed, Mail, Mailer, Texts
from services.notification.domain.case_code import case_code
from services.notification.domain.delivery import (
    MailOutcome,
    Settled,
    message_id,
    retry_after_seconds,
    settle,
)
from shared.contracts.notification import AlertDelivered, DeliveryFailed
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.observability.tracing import spanned

#: longer than any hand-over can take (the mailer gives up after 10 s), so that a living worker's
#: claim is never taken over
CLAIM_SECONDS: Final = 60.0
#: one round of the timer; the rest waits for the next round
MESSAGES_PER_ROUND_MAX: Final = 50
ACTOR: Final = f"service:{Service.NOTIFICATION.value}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a message needs besides the alert: wording, server, where the link leads."""

    texts: Texts
    mailer: Mailer
    console_url: str
    mail_domain: str


async def deliver_due(units: UnitOfWork[AlertRows], outgoing: Outgoing) -> int:
    """Hands over every message that is due now; returns how many were handed over."""
    for count in range(MESSAGES_PER_ROUND_MAX):
        claimed = await _claim(units)
        if claimed is None:
            return count
        with spanned(
            units.world.tracer, "send e-mail", "client", parent=claimed.traceparent
        ) as span:
            outcome = await outgoing.mailer.send(_mail(claimed, outgoing))
        await _settle(units, claimed, outcome, span.traceparent)
    return MESSAGES_PER_ROUND_MAX


async def _claim(units: UnitOfWork[AlertRows]) -> Claimed | None:
    now = units.world.machine_clock.now()
    async with units.database.transaction() as tx:
        rows = units.repository(tx)
        claimed = await rows.claim_delivery(now, now + timedelta(seconds=CLAIM_SECONDS))
        if claimed is None:
            await rows.drop_stale_claims(now)
        return claimed


def _mail(claimed: Claimed, outgoing: Outgoing) -> Mail:
    subject, body = outgoing.texts.message(
        urgency=claimed.urgency,
        case_code=case_code(claimed.case_id),
        link=alert_link(outgoing.console_url, claimed.alert_id),
        answer_by=claimed.answer_by,
        step=claimed.step,
    )
    return Mail(
        message_id=message_id(claimed.delivery_id, outgoing.mail_domain),
        addresses=claimed.addresses,
        subject=subject,
        body=body,
        urgency=claimed.urgency,
        attempt=claimed.attempt,
    )


def alert_link(console_url: str, alert_id: UUID) -> str:
    """Where an alert is read; it needs a sign-in."""
    return f"{console_url.rstrip('/')}/alerts/{alert_id}"


async def _settle(
    units: UnitOfWork[AlertRows],
    claimed: Claimed,
    outcome: MailOutcome,
    traceparent: str | None,
) -> None:
    settled = settle(claimed.addresses, outcome, claimed.attempt)
    now = units.world.machine_clock.now()
    wait = retry_after_seconds(claimed.attempt, units.world.chance.fraction())
    cause = Cause(actor=ACTOR, correlation_id=claimed.chain, traceparent=traceparent)
    async with units.begin(cause) as work:
        await work.rows.lock_case(claimed.case_id)
        due_at = now + timedelta(seconds=wait)
        if not await work.rows.settle_delivery(claimed, settled, due_at, now):
            return  # another worker took the claim over; its word counts
        reached = len(settled.remaining) < len(claimed.addresses)
        if reached:
            work.emit(
                AlertDelivered(
                    case_id=claimed.case_id, alert_id=claimed.alert_id,
                    alert_version=claimed.alert_version, channel="email", delivered_at=now,
                )
            )  # fmt: skip
        if settled.remaining:
            work.emit(_failed(claimed, settled))
        work.note(
            "message-sent" if reached else "message-not-sent",
            case_or_none(claimed.case_id),
            alert_id=str(claimed.alert_id), version=claimed.alert_version, step=claimed.step,
            attempt=claimed.attempt, state=settled.state, outcome=settled.outcome,
            not_reached=len(settled.remaining),
        )  # fmt: skip
        await work.rows.add_change(claimed.alert_id, f"message-{settled.state}", now)


def _failed(claimed: Claimed, settled: Settled) -> DeliveryFailed:
    return DeliveryFailed(
        case_id=claimed.case_id,
        alert_id=claimed.alert_id,
        alert_version=claimed.alert_version,
        channel="email",
        attempt=claimed.attempt,
        final=settled.state != "queued",
    )
