"""Records of any bytes: decoding never raises, keeps every byte, and follows CloudEvents."""

from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.catalogue import EVENTS
from shared.contracts.coordination import ConsentRecorded
from shared.contracts.vocabulary import Service
from shared.messaging.incoming import (
    Keyless,
    Readable,
    Skippable,
    StreamPlace,
    Unreadable,
    incoming,
    is_safety,
)
from shared.messaging.wire import (
    Record,
    event_headers,
    event_payload,
    record_from_json,
    record_to_json,
)

TOPIC = "tandem.coordination.v1"
CASE = uuid4()
EVENT_ID = uuid4()

optional_bytes = st.none() | st.binary(max_size=40)
header_names = st.text(max_size=12) | st.sampled_from(
    ["ce_type", "ce_source", "ce_epoch", "ce_sequence", "ce_id", "ce_time", "ce_tandemsafety"]
)
records = st.builds(
    Record,
    topic=st.just(TOPIC),
    partition=st.integers(0, 11),
    offset=st.integers(0, 2**60),
    key=optional_bytes | st.just(str(CASE).encode()),
    value=optional_bytes,
    headers=st.lists(
        st.tuples(
            header_names,
            st.binary(max_size=20)
            | st.sampled_from([name.encode() for name in EVENTS])
            | st.sampled_from([b"/tandem/intake", b"0", b"1", b"-1", b"9" * 30]),
        ),
        max_size=9,
    ).map(tuple),
    timestamp_ms=st.integers(-1, 2**62),
)


def consent() -> ConsentRecorded:
    return ConsentRecorded(case_id=CASE, document_version="1", signed_on=date(2026, 1, 1))


def wire_record(**changes: str | None) -> Record:
    event = consent()
    headers: dict[str, str | None] = {
        **event_headers(
            event, event_id=EVENT_ID, time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            correlation_id=uuid4(), causation_id=uuid4(), traceparent=None,
        ),
        "ce_epoch": "0", "ce_sequence": "1", **changes,
    }  # fmt: skip
    encoded = tuple((name, text.encode()) for name, text in headers.items() if text is not None)
    return Record(TOPIC, 0, 7, str(CASE).encode(), event_payload(event), encoded, 0)


@given(records)
def test_no_bytes_make_decoding_raise(record: Record) -> None:
    item = incoming(record)

    assert item.record is record
    assert isinstance(is_safety(item), bool)


@given(records)
def test_a_record_comes_back_from_json_byte_for_byte(record: Record) -> None:
    assert record_from_json(record_to_json(record)) == record


def test_an_event_is_read_with_its_place() -> None:
    item = incoming(wire_record())

    assert isinstance(item, Readable)
    assert item.place == StreamPlace(Service.INTAKE, 0, 1)
    assert item.envelope.data == consent()
    assert item.envelope.id == EVENT_ID


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"ce_type": "tandem.coordination.new.v1", "ce_tandemsafety": "0"}, Skippable),
        ({"ce_type": "tandem.coordination.new.v1", "ce_tandemsafety": "1"}, Unreadable),
        ({"ce_type": "tandem.coordination.new.v1", "ce_tandemsafety": None}, Unreadable),
        ({"ce_type": None}, Unreadable),
        ({"ce_sequence": None}, Unreadable),
        ({"ce_sequence": "0"}, Unreadable),
        ({"ce_epoch": "x"}, Unreadable),
        ({"ce_source": "/tandem/manufacturing"}, Unreadable),
        ({"ce_time": "2026-01-02T03:04:05"}, Unreadable),
        ({"ce_id": "7"}, Unreadable),
    ],
)
def test_what_is_wrong_with_a_record_is_a_value(
    changes: dict[str, str | None], kind: type[object]
) -> None:
    assert isinstance(incoming(wire_record(**changes)), kind)


def bodied(body: bytes) -> Record:
    return wire_record()._replace(value=body)


def test_a_field_of_a_newer_producer_is_ignored() -> None:
    newer = event_payload(consent())[:-1] + b', "added_later": {"deep": [1]}}'

    item = incoming(bodied(newer))

    assert isinstance(item, Readable)
    assert item.envelope.data == consent()


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b'{"case_id": 7}'])
def test_a_body_that_is_no_such_event_parks_its_case(body: bytes) -> None:
    item = incoming(bodied(body))

    assert isinstance(item, Unreadable)
    assert (item.cause, item.case_id, item.place) == (
        "malformed", CASE, StreamPlace(Service.INTAKE, 0, 1),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["ce_id", "ce_time", "ce_epoch", "ce_correlationid"])
def test_an_attribute_that_is_missing_or_no_text_is_named_as_malformed(name: str) -> None:
    without = wire_record(**{name: None})
    binary = tuple((k, b"\xff" if k == name else v) for k, v in wire_record().headers)

    for record in (without, without._replace(headers=binary)):
        item = incoming(record)
        assert isinstance(item, Unreadable)
        assert item.cause == "malformed"


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"7"])
def test_a_record_without_a_case_is_keyless(key: bytes | None) -> None:
    record = Record(TOPIC, 0, 0, key, b"{}", (), 0)

    assert isinstance(incoming(record), Keyless)


def test_the_cloudevents_sdk_reads_our_records() -> None:
    record = wire_record()
    message = KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value or b"")

    event = from_binary(message, JSONFormat(), CloudEvent)

    assert event.get_id() == str(EVENT_ID)
    assert event.get_source() == "/tandem/intake"
    assert event.get_type() == ConsentRecorded.type
    assert event.get_specversion() == "1.0"
    assert event.get_datacontenttype() == "application/json"
    assert event.get_time() == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert UUID(str(event.get_extension("correlationid")))
    data = event.get_data()
    assert isinstance(data, dict)
    assert data["case_id"] == str(CASE)
