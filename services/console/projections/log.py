"""The log of all events of all services, and the row of each case they speak of."""

from collections.abc import Sequence
from typing import Any, Final

from services.console.projections.detail import kept_detail
from shared.contracts.case_code import case_code
from shared.contracts.event import Envelope
from shared.persistence.database import Tx
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.console.projections")
_TRACE_PARTS: Final = 4


async def log_events(tx: Tx, envelopes: Sequence[Envelope[Any]]) -> None:
    """Adds the events to the log. Raises ValueError for one that was not read from the bus."""
    rows = [_row(envelope) for envelope in envelopes]
    await tx.run(STATEMENTS["log_events"], *zip(*rows, strict=True))
    await tx.run(
        STATEMENTS["touch_cases"],
        [envelope.case_id for envelope in envelopes],
        [case_code(envelope.case_id) for envelope in envelopes],
        [envelope.time for envelope in envelopes],
    )


def _row(envelope: Envelope[Any]) -> tuple[object, ...]:
    if envelope.place is None or envelope.sent_at is None:
        raise ValueError("the log keeps events with their place on the bus")
    return (
        envelope.id, envelope.case_id, envelope.data.type, envelope.source.value, *envelope.place,
        envelope.epoch, envelope.sequence, envelope.time, envelope.sent_at,
        envelope.correlation_id, envelope.causation_id, trace_id_of(envelope.traceparent),
        envelope.data.safety, kept_detail(envelope.data),
    )  # fmt: skip


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id of a W3C traceparent, None without one."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == _TRACE_PARTS else None
