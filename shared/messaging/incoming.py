"""A record as the kernel sees it: decoded once, before any transaction, and never raising.

What is wrong with a record is a value here (`Unreadable`, `Keyless`), so that a bad record can be
put aside with its place in the log while its neighbours go on.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from shared.contracts.catalogue import EVENTS, OWNER_OF
from shared.contracts.event import Envelope, Event
from shared.contracts.vocabulary import Service
from shared.messaging.wire import (
    Record,
    UnknownTypeError,
    UnreadableError,
    case_of,
    read_envelope,
)


class StreamPlace(NamedTuple):
    """Where an event stands in its source's stream of the case; no sequence: outside it."""

    source: Service
    epoch: int
    sequence: int | None


class Readable(NamedTuple):
    """An event of the catalogue."""

    record: Record
    case_id: UUID
    place: StreamPlace
    envelope: Envelope[Any]

    @property
    def event_type(self) -> type[Event]:
        """The class of the event."""
        return type(self.envelope.data)


@dataclass(frozen=True, slots=True)
class Skippable:
    """An ordinary event of a newer catalogue: it counts in the sequence and has no effect here."""

    record: Record
    case_id: UUID
    place: StreamPlace


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record about a known case that can not be processed as it is: its case must be parked.

    `place` is None when its headers do not tell; `cause` is a stable word.
    """

    record: Record
    case_id: UUID
    place: StreamPlace | None
    cause: str
    error: str


@dataclass(frozen=True, slots=True)
class Keyless:
    """A record that no case can be named for."""

    record: Record
    error: str


AboutCase = Readable | Skippable | Unreadable
Incoming = AboutCase | Keyless


def incoming(record: Record) -> Incoming:
    """What the record is. Never raises for anything that bytes can hold."""
    case_id = case_of(record)
    if case_id is None:
        return Keyless(record, "the key is no case id")
    try:
        envelope = read_envelope(record)
    except UnknownTypeError as error:
        place = stream_place(record)
        if not error.safety and place is not None:
            return Skippable(record, case_id, place)
        return Unreadable(record, case_id, place, "unknown-type", str(error))
    except UnreadableError as error:
        return Unreadable(record, case_id, stream_place(record), "malformed", str(error))
    read_place = StreamPlace(envelope.source, envelope.epoch, envelope.sequence)
    if not _is_possible(read_place):
        return Unreadable(record, case_id, None, "malformed", "no such place in a stream")
    return Readable(record, case_id, read_place, envelope)


def _is_possible(place: StreamPlace) -> bool:
    """Sequences begin at 1: a lower one would pass for a duplicate and vanish."""
    return place.epoch >= 0 and (place.sequence is None or place.sequence >= 1)


def stream_place(record: Record) -> StreamPlace | None:
    """The place that the headers name, or None when they name none that the topic allows."""
    owner = OWNER_OF.get(record.topic)
    if owner is None or record.header("ce_source") != f"/tandem/{owner.value}":
        return None
    epoch, sequence = record.header("ce_epoch"), record.header("ce_sequence")
    try:
        place = StreamPlace(owner, int(epoch or ""), int(sequence) if sequence else None)
    except ValueError:
        return None
    return place if _is_possible(place) else None


def is_safety(item: Incoming) -> bool:
    """Whether the record may matter for safety: known to be, or not known to be otherwise."""
    match item:
        case Readable(envelope=envelope):
            return bool(envelope.data.safety)
        case _:
            model = EVENTS.get(item.record.header("ce_type") or "")
            return model.safety if model else item.record.header("ce_tandemsafety") != "0"
