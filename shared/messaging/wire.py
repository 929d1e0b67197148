"""CloudEvents 1.0 on Kafka, binary mode: attributes as `ce_*` headers, the event as JSON value.

Writing is strict, reading explains itself: `read_envelope` raises `UnreadableError` with a cause
that the parking page can show. Conformance is tested against the cloudevents SDK.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import SchemaValidator, core_schema

from shared.contracts.catalogue import EVENTS, OWNER_OF
from shared.contracts.event import Envelope, Event, read_event
from shared.contracts.vocabulary import Service

SPEC_VERSION: Final = "1.0"
CONTENT_TYPE: Final = "application/json"
#: a case's key comes with each of its events
CASES_REMEMBERED: Final = 65_536
Headers = Mapping[str, bytes]
#: six times as fast as UUID's own constructor; raises ValueError like it
_uuid: Final[Callable[[str], UUID]] = SchemaValidator(core_schema.uuid_schema()).validate_python


class Record(NamedTuple):
    """One Kafka record as bytes. Headers keep their order; a name may repeat (the last counts)."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int

    @property
    def where(self) -> tuple[str, int, int]:
        """Topic, partition and offset: the one name of this record."""
        return self.topic, self.partition, self.offset

    def header(self, name: str) -> str | None:
        """The header as text, or None when absent or not UTF-8."""
        for key, value in reversed(self.headers):
            if key == name:
                return _text(value)
        return None


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def record_to_json(record: Record) -> dict[str, object]:
    """The record as a JSON document, byte for byte (parked and early records are kept so)."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": _to_base64(record.key),
        "value": _to_base64(record.value),
        "headers": [[name, _to_base64(value)] for name, value in record.headers],
        "timestamp_ms": record.timestamp_ms,
    }


def record_from_json(document: Mapping[str, Any]) -> Record:
    """The record that `record_to_json` wrote."""
    return Record(
        topic=document["topic"],
        partition=document["partition"],
        offset=document["offset"],
        key=_from_base64(document["key"]),
        value=_from_base64(document["value"]),
        headers=tuple((name, _from_base64(value) or b"") for name, value in document["headers"]),
        timestamp_ms=document["timestamp_ms"],
    )


def _to_base64(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()


def _from_base64(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


class UnreadableError(Exception):
    """The record can never be processed as it is."""


class UnknownTypeError(UnreadableError):
    """The catalogue has no such event; `safety` says whether it may be skipped."""

    def __init__(self, wire_type: str, *, safety: bool) -> None:
        super().__init__(f"unknown event type {wire_type}")
        self.safety = safety


def event_headers(
    event: Event,
    *,
    event_id: UUID,
    time: datetime,
    correlation_id: UUID,
    causation_id: UUID | None,
    traceparent: str | None,
) -> dict[str, str]:
    """The headers of an event, but for epoch and sequence, which the emit statement adds."""
    headers = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": str(event_id),
        "ce_source": f"/tandem/{event.owner.value}",
        "ce_type": event.type,
        "ce_time": time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "ce_partitionkey": str(event.case_id),
        "ce_correlationid": str(correlation_id),
        "ce_tandemsafety": "1" if event.safety else "0",
        "content-type": CONTENT_TYPE,
    }
    if causation_id is not None:
        headers["ce_causationid"] = str(causation_id)
    if traceparent is not None:
        headers["ce_traceparent"] = traceparent
    return headers


def event_payload(event: Event) -> bytes:
    """The event as JSON."""
    return event.model_dump_json().encode()


def case_of(record: Record) -> UUID | None:
    """The case that the record's key names, or None when the key is no case id."""
    return _case_id(record.key or b"")


@lru_cache(maxsize=CASES_REMEMBERED)
def _case_id(key: bytes) -> UUID | None:
    try:
        return _uuid(key.decode())
    except ValueError:
        return None


def read_envelope(record: Record) -> Envelope[Any]:
    """The event in a record.

    Raises `UnknownTypeError` for a type that the catalogue lacks and `UnreadableError` for
    everything else that is wrong: a missing or malformed attribute, a foreign source, a body that
    does not fit its model, or a body about another case than the key.
    """
    headers = dict(record.headers)
    wire_type = _needed(headers, "ce_type")
    model = EVENTS.get(wire_type)
    if model is None:
        raise UnknownTypeError(wire_type, safety=headers.get("ce_tandemsafety") != b"0")
    source = _source(headers, record.topic)
    if model.owner is not source:
        raise UnreadableError(f"{wire_type} does not belong to {source.value}")
    data = _body(model, record.value)
    if data.case_id != case_of(record):
        raise UnreadableError("the body is about another case than the record's key")
    return _envelope(record, headers, source, data)


def _envelope(record: Record, headers: Headers, source: Service, data: Event) -> Envelope[Any]:
    try:
        causation = headers.get("ce_causationid")
        traceparent = headers.get("ce_traceparent")
        return Envelope(
            id=_uuid(headers["ce_id"].decode()),
            source=source,
            time=_instant(headers["ce_time"].decode()),
            epoch=int(headers["ce_epoch"].decode()),
            sequence=int(headers["ce_sequence"].decode()) if data.sequenced else None,
            correlation_id=_uuid(headers["ce_correlationid"].decode()),
            causation_id=_uuid(causation.decode()) if causation else None,
            traceparent=traceparent.decode() if traceparent is not None else None,
            data=data,
            sent_at=_sent_at(record),
            place=record.where,
        )
    except KeyError as error:
        raise UnreadableError(f"attribute {error.args[0]} is missing") from error
    except ValueError as error:
        raise UnreadableError(f"malformed attribute: {error}") from error


def _sent_at(record: Record) -> datetime | None:
    try:
        return datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _needed(headers: Headers, name: str) -> str:
    value = headers.get(name)
    text = None if value is None else _text(value)
    if text is None:
        raise UnreadableError(f"attribute {name} is missing")
    return text


def _source(headers: Headers, topic: str) -> Service:
    text = _needed(headers, "ce_source")
    owner = OWNER_OF.get(topic)
    if owner is None or text != f"/tandem/{owner.value}":
        raise UnreadableError(f"source {text} may not write to {topic}")
    return owner


def _body(model: type[Event], value: bytes | None) -> Event:
    try:
        return read_event(model, value or b"")
    except ValidationError as error:
        places = ", ".join("/".join(map(str, e["loc"])) for e in error.errors())
        raise UnreadableError(f"{model.type}: invalid at {places or 'its root'}") from error


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("ce_time has no offset")
    return instant
