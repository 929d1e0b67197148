"""What any service says of cases that it has put aside, or of a hold that it has fenced."""

from typing import Any

from services.console.projections.log import STATEMENTS
from shared.contracts.event import Envelope
from shared.persistence.database import Tx


async def note_parked(tx: Tx, envelope: Envelope[Any]) -> None:
    """What this service says of the case is incomplete from here on."""
    event = envelope.data
    await tx.run(
        STATEMENTS["note_parked"], envelope.id, event.case_id, event.consumer.value,
        event.parked_source.value, event.parked_sequence, envelope.time,
    )  # fmt: skip


async def note_unparked(tx: Tx, envelope: Envelope[Any]) -> None:
    """The service has caught up with the case."""
    event = envelope.data
    await tx.run(STATEMENTS["note_unparked"], event.case_id, event.consumer.value, envelope.time)


async def acknowledge_hold(tx: Tx, envelope: Envelope[Any]) -> None:
    """A holder has fenced its steps against a hold."""
    event = envelope.data
    await tx.run(
        STATEMENTS["acknowledge_hold"], event.hold_id, envelope.source.value,
        event.in_flight.value, envelope.time,
    )  # fmt: skip
