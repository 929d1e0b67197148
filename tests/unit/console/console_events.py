"""Events and log rows for the console's tests, with values that are easy to tell apart."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

from services.console.pages.chains import Logged
from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.event import Envelope, Event
from shared.contracts.vocabulary import Service

START = datetime(2027, 3, 10, 9, 0, tzinfo=UTC)
CASE = UUID("01890000-0000-7000-8000-00000000ca5e")


def known_id(name: str) -> UUID:
    return uuid5(CASE, name)


def envelope_of(
    event: Event,
    *,
    sequence: int | None = 1,
    at: datetime = START,
    offset: int = 0,
    partition: int = 3,
    event_id: UUID | None = None,
    chain: UUID | None = None,
    cause: UUID | None = None,
) -> Envelope[Any]:
    return Envelope(
        id=event_id or uuid4(),
        source=event.owner,
        time=at,
        epoch=0,
        sequence=sequence if event.sequenced else None,
        correlation_id=chain or known_id("chain"),
        causation_id=cause,
        traceparent=f"00-{'a' * 32}-{'b' * 16}-01",
        data=event,
        sent_at=at,
        place=(TOPIC_OF[event.owner], partition, offset),
    )


def logged(
    name: str,
    *,
    cause: str | None = None,
    after_ms: int = 0,
    chain: str = "chain",
    wire_type: str = "tandem.coordination.hold-recorded.v1",
    source: Service = Service.INTAKE,
    detail: Mapping[str, Any] | None = None,
    safety: bool = False,
) -> Logged:
    """A row of the log whose id is made from its name."""
    sent_at = START + timedelta(milliseconds=after_ms)
    return Logged(
        event_id=known_id(name),
        case_id=CASE,
        type=wire_type,
        source=source.value,
        topic=TOPIC_OF[source],
        partition=3,
        offset=after_ms,
        epoch=0,
        sequence=1,
        occurred_at=sent_at,
        sent_at=sent_at,
        correlation_id=known_id(chain),
        causation_id=None if cause is None else known_id(cause),
        trace_id=None,
        safety=safety,
        detail=detail or {},
    )
