"""One row of the live stream, from the log or straight from the bus, and the filter over rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from services.console.pages.chains import Logged
from services.console.pages.reads import EventFilter
from services.console.pages.words import slug_of
from services.console.projections.detail import kept_detail
from shared.contracts.catalogue import EVENTS, OWNER_OF
from shared.messaging.incoming import Keyless, Readable, Skippable, Unreadable, incoming
from shared.messaging.wire import Record

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TYPE_LENGTH_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class StreamRow:
    """What a row shows. `trouble` says why the record could not be read; then most is unknown."""

    topic: str
    partition: int
    offset: int
    sent_at: datetime
    type: str
    source: str
    case_id: UUID | None
    event_id: UUID | None = None
    correlation_id: UUID | None = None
    occurred_at: datetime | None = None
    safety: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)
    trouble: str | None = None

    @classmethod
    def of_logged(cls, event: Logged) -> Self:
        """The row of an event of the log."""
        return cls(
            event.topic, event.partition, event.offset, event.sent_at, event.type, event.source,
            event.case_id, event.event_id, event.correlation_id, event.occurred_at, event.safety,
            event.detail,
        )  # fmt: skip

    @classmethod
    def of_record(cls, record: Record) -> Self:
        """The row of a record as it is on the bus, whatever it holds."""
        match incoming(record):
            case Readable(envelope=e):
                return cls(
                    *record.where, _sent_at(record), e.data.type, e.source.value, e.case_id, e.id,
                    e.correlation_id, e.time, e.data.safety, kept_detail(e.data),
                )  # fmt: skip
            case Skippable(case_id=case_id):
                return cls._odd(record, case_id, "a type that this version does not know")
            case Unreadable(case_id=case_id, cause=cause):
                return cls._odd(record, case_id, f"unreadable ({cause})")
            case Keyless():
                return cls._odd(record, None, "the key is no case id")

    @classmethod
    def _odd(cls, record: Record, case_id: UUID | None, trouble: str) -> Self:
        wire_type = (record.header("ce_type") or "no type")[:_TYPE_LENGTH_MAX]
        source = OWNER_OF[record.topic].value
        return cls(*record.where, _sent_at(record), wire_type, source, case_id, trouble=trouble)

    def fits(self, asked: EventFilter) -> bool:
        """Whether the filter lets the row through."""
        return (
            asked.case_id in (None, self.case_id)
            and asked.slug in (None, slug_of(self.type))
            and asked.source in (None, self.source)
        )


def types_called(slug: str | None) -> list[str] | None:
    """The wire types of all services with this word, None for no word."""
    return None if slug is None else [t for t in EVENTS if slug_of(t) == slug]


def _sent_at(record: Record) -> datetime:
    return _EPOCH + timedelta(milliseconds=max(0, min(record.timestamp_ms, 253_402_300_799_000)))
