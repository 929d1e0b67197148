"""What notification says: alerts, who they are for, and what became of them."""

from services.console.projections.log import STATEMENTS
from shared.contracts import notification as note
from shared.contracts.event import Envelope
from shared.persistence.database import Tx


async def raise_alert(tx: Tx, envelope: Envelope[note.AlertRaised]) -> None:
    """One more open alert."""
    event = envelope.data
    await tx.run(
        STATEMENTS["raise_alert"], event.alert_id, event.case_id, event.cause, event.urgency,
        sorted(event.roles), envelope.time, event.ack_due_at, envelope.epoch, envelope.sequence,
    )  # fmt: skip


async def update_alert(tx: Tx, envelope: Envelope[note.AlertUpdated]) -> None:
    """The alert has a new version, which nobody has acknowledged yet."""
    event = envelope.data
    await tx.run(
        STATEMENTS["update_alert"], event.alert_id, event.alert_version, event.urgency, event.cause,
        envelope.epoch, envelope.sequence,
    )  # fmt: skip


async def acknowledge_alert(tx: Tx, envelope: Envelope[note.AlertAcknowledged]) -> None:
    """A person has seen this version; what the alert is about stays as it is."""
    event = envelope.data
    await tx.run(
        STATEMENTS["answer_alert"], event.alert_id, "acknowledged", event.acknowledged_at,
        event.alert_version, envelope.epoch, envelope.sequence,
    )  # fmt: skip


async def override_alert(tx: Tx, envelope: Envelope[note.AlertOverridden]) -> None:
    """A person set this version aside."""
    event = envelope.data
    await tx.run(
        STATEMENTS["answer_alert"], event.alert_id, "overridden", envelope.time,
        event.alert_version, envelope.epoch, envelope.sequence,
    )  # fmt: skip


async def escalate_alert(tx: Tx, envelope: Envelope[note.AlertEscalated]) -> None:
    """Nobody acknowledged in time."""
    await tx.run(STATEMENTS["escalate_alert"], envelope.data.alert_id, envelope.data.step)


async def note_delivery(tx: Tx, envelope: Envelope[note.AlertDelivered]) -> None:
    """A message left on a channel."""
    await tx.run(STATEMENTS["note_delivery"], envelope.data.alert_id, envelope.data.channel)


async def note_delivery_failure(tx: Tx, envelope: Envelope[note.DeliveryFailed]) -> None:
    """A channel gave up for good."""
    if envelope.data.final:
        statement = STATEMENTS["note_delivery_failure"]
        await tx.run(statement, envelope.data.alert_id, envelope.data.channel)


async def close_alert(tx: Tx, envelope: Envelope[note.AlertClosed]) -> None:
    """The cause is gone."""
    event = envelope.data
    await tx.run(
        STATEMENTS["close_alert"], event.alert_id, envelope.time, event.reason, envelope.epoch,
        envelope.sequence,
    )  # fmt: skip
