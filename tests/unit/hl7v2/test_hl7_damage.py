"""Whatever bytes arrive, the reader answers; and it answers for every segment."""

from pathlib import Path

import pytest
from hl7_builders import DATA, LAB, RECEIVED_AT, SHARED, read
from hypothesis import given
from hypothesis import strategies as st

from services.intake.adapters.hl7v2 import split_messages
from services.intake.application.incoming_messages import IncomingMessage
from shared.protocol import load_protocol, parse_statement

SAMPLES = sorted(DATA.glob("*.hl7"))
PROTOCOL = load_protocol()


def check(found: IncomingMessage) -> None:
    """Refused as a whole, or a line a segment and statements that the record can read."""
    if found.problems:
        assert not found.statements
        assert not found.report
        return
    assert found.report
    for one in found.report:
        assert one.outcome in ("used", "ignored", "rejected")
        assert one.place
    for stated in found.statements:
        assert not isinstance(parse_statement(stated, zone=PROTOCOL.zone, where="/"), tuple)


@given(st.binary(max_size=400))
def test_bytes_that_are_no_message_are_refused(raw: bytes) -> None:
    check(read(raw))


@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 8)), max_size=6),
)
def test_damaged_messages_are_read_or_refused(
    path: Path, cuts: list[tuple[float, bytes, int]]
) -> None:
    raw = bytearray(path.read_bytes())
    for where, inserted, removed in cuts:
        at = int(where * len(raw))
        raw[at : at + removed] = inserted

    check(read(bytes(raw)))


@given(st.sampled_from(SAMPLES), st.data())
def test_fields_filled_with_anything_are_read_or_refused(path: Path, data: st.DataObject) -> None:
    lines = path.read_bytes().decode().strip().split("\r")
    n = data.draw(st.integers(1, len(lines) - 1))
    fields = lines[n].split("|")
    k = data.draw(st.integers(0, len(fields) - 1))
    fields[k] = data.draw(st.text("0123456789^~&\\<>-ZTQ\u00e9 .", max_size=20))
    lines[n] = "|".join(fields)

    check(read("\r".join(lines).encode()))


@pytest.mark.realdata
def test_every_message_of_the_reference_folder_is_answered() -> None:
    read_count = 0
    for path in sorted(SHARED.glob("*.hl7")):
        for raw in split_messages(path.read_bytes()):
            check(read(raw))
            read_count += 1

    assert read_count == 23


def test_the_samples_hold_one_message_each() -> None:
    assert [len(split_messages(p.read_bytes())) for p in SAMPLES] == [1] * len(SAMPLES)


def test_a_batch_in_envelopes_is_split_into_its_messages() -> None:
    one = (DATA / "oru-r01.hl7").read_bytes()
    batch = (
        b"FHS|^~\\&|LIS\rBHS|^~\\&|LIS\r"
        + one
        + one.replace(b"LAB-1001", b"LAB-1002")
        + b"BTS|2\rFTS|1\r"
    )

    found = split_messages(batch)

    assert [read(m).header.control_id for m in found] == ["LAB-1001", "LAB-1002"]
    assert [read(m).counts for m in found] == [read(one).counts] * 2
    assert LAB.feed == "lab"
    assert RECEIVED_AT.tzinfo is not None
