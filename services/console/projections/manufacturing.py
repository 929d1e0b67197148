"""What manufacturing says of the product: where each batch stands, and until when it is usable."""

from datetime import date, datetime
from typing import Any

from services.console.projections.log import STATEMENTS
from shared.contracts import manufacturing as made
from shared.contracts.event import Envelope
from shared.persistence.database import Tx


async def receive_material(tx: Tx, envelope: Envelope[made.MaterialReceived]) -> None:
    """A batch has its starting material."""
    await _set(tx, envelope, "received")


async def start_batch(tx: Tx, envelope: Envelope[made.BatchStarted]) -> None:
    """The culture runs; its harvest is forecast."""
    await _set(tx, envelope, "in culture", forecast_on=envelope.data.harvest_forecast_on)


async def change_forecast(tx: Tx, envelope: Envelope[made.GrowthForecastChanged]) -> None:
    """The forecast harvest day moved."""
    event = envelope.data
    await tx.run(
        STATEMENTS["forecast_batch"], event.batch_id, event.forecast_on, envelope.epoch,
        envelope.sequence,
    )  # fmt: skip


async def harvest_batch(tx: Tx, envelope: Envelope[made.Harvested]) -> None:
    """The culture was harvested."""
    await _set(tx, envelope, "harvested")


async def release_batch(tx: Tx, envelope: Envelope[made.BatchReleased]) -> None:
    """The batch's doses may be used."""
    await _release(tx, envelope, "released")


async def release_conditionally(
    tx: Tx, envelope: Envelope[made.BatchReleasedConditionally]
) -> None:
    """Released, with the sterility result pending."""
    await _release(tx, envelope, "released, sterility pending")


async def reject_batch(tx: Tx, envelope: Envelope[made.BatchRejected]) -> None:
    """The batch will not be used."""
    await _set(tx, envelope, "rejected")


async def recall_batch(tx: Tx, envelope: Envelope[made.RecallOrdered]) -> None:
    """The batch or some of its doses were recalled."""
    await _set(tx, envelope, "recalled")


async def _release(tx: Tx, envelope: Envelope[Any], state: str) -> None:
    event = envelope.data
    await _set(
        tx, envelope, state, expires_at=event.expires_at, form=event.form,
        doses=len(event.dose_ids),
    )  # fmt: skip


async def _set(
    tx: Tx, envelope: Envelope[Any], state: str, *, forecast_on: date | None = None,
    expires_at: datetime | None = None, form: str | None = None, doses: int | None = None,
) -> None:  # fmt: skip
    await tx.run(
        STATEMENTS["set_batch"], envelope.data.batch_id, envelope.case_id, state, envelope.time,
        forecast_on, expires_at, form, doses, envelope.epoch, envelope.sequence,
    )  # fmt: skip
