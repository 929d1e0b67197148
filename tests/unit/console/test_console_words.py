"""Codes, times and lengths of time as people read them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.console.pages import words
from services.console.pages.http_case import rule_words
from services.console.pages.http_tables import LagSum, lag_rows, sums
from services.console.pages.times import Times
from shared.contracts.catalogue import EVENTS
from shared.messaging.bus import Partition
from shared.protocol import load_protocol

NOW = datetime(2027, 3, 10, 9, 0, tzinfo=UTC)
CLINIC = Times(ZoneInfo("Europe/Istanbul"), "clinic", NOW, NOW)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"), (999, "999 ms"), (1_000, "1.0 s"), (9_900, "9.9 s"), (12_000, "12 s"),
        (60_000, "1 min"), (3_600_000, "1 h"), (86_400_000, "1 d"), (864_000_000, "10 d"),
    ],
)  # fmt: skip
def test_a_length_of_time_has_its_largest_sensible_unit(milliseconds: float, text: str) -> None:
    assert words.duration_words(milliseconds) == text


def test_every_time_shows_its_zone() -> None:
    assert "12:00" in CLINIC.minute(NOW)
    assert "UTC+03:00" in CLINIC.minute(NOW)
    assert 'datetime="2027-03-10T09:00:00Z"' in CLINIC.minute(NOW)
    utc = Times(ZoneInfo("Europe/Istanbul"), "utc", NOW, NOW)
    assert "09:00" in utc.minute(NOW)
    assert ">UTC<" in utc.minute(NOW)


def test_the_times_of_several_events_in_one_line_are_read_as_times() -> None:
    detail = {"delivered_at": ["2027-03-10T09:00:00Z", "2027-03-10T09:05:00Z"]}

    ((_, told),) = words.detail_parts(detail, CLINIC)

    assert "12:00" in told
    assert "12:05" in told
    assert ", " in told


def test_what_several_events_name_is_never_markup() -> None:
    ((_, told),) = words.detail_parts({"rules": ["<b>INF-001</b>", "LAB-PLT"]}, CLINIC)

    assert told == "&lt;b&gt;INF-001&lt;/b&gt;, LAB-PLT"


def test_a_rule_of_a_table_is_named_by_what_it_is_about() -> None:
    found = rule_words(load_protocol())

    assert found["WO-CHEMO"].title == "Chemotherapy"
    assert found["LAB-PLT"].title
    assert found["EV-CBC"].title
    assert found["INF-001"].title == load_protocol().rules["INF-001"].title


def test_a_clock_that_was_moved_is_called_simulated() -> None:
    assert not CLINIC.simulated
    assert Times(UTC, "utc", NOW + timedelta(days=14), NOW).simulated


@pytest.mark.parametrize(
    ("waited", "text"),
    [
        (timedelta(seconds=-5), "0 s"), (timedelta(seconds=40), "40 s"),
        (timedelta(minutes=90), "1 h 30 min"), (timedelta(days=3, hours=4), "3 d 4 h"),
    ],
)  # fmt: skip
def test_waiting_is_told_by_the_clinics_clock(waited: timedelta, text: str) -> None:
    assert CLINIC.waiting(NOW - waited) == text


def test_an_event_is_named_in_words() -> None:
    assert words.event_words("tandem.manufacturing.qc-result-recorded.v1") == "QC result recorded"
    assert words.event_words("no type") == "No type"
    assert all(words.event_words(wire_type)[0].isupper() for wire_type in EVENTS)


def test_the_time_of_a_reader_is_that_of_its_slowest_partition() -> None:
    topic = "tandem.coordination.v1"
    places = {Partition(topic, 0): 5, Partition(topic, 1): 9, Partition(topic, 2): 1}
    ends = {Partition(topic, 0): 5, Partition(topic, 1): 12, Partition(topic, 2): 2}
    since = {
        Partition(topic, 1): NOW - timedelta(seconds=4),
        Partition(topic, 2): NOW - timedelta(seconds=9),
    }

    rows = lag_rows("intake", places, ends, since, NOW)

    assert sums(rows) == [LagSum("intake", 3, 4, 9.0)]
    unknown = lag_rows("intake", places, ends, {}, NOW)
    assert sums(unknown) == [LagSum("intake", 3, 4, None)]
