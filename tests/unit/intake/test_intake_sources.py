"""Sources as they are configured, and what a watermark says beyond the record."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.intake.domain.sources import (
    Configured,
    SourceSilence,
    Watermark,
    added_watermarks,
    configured_sources,
    silent_since,
    with_watermarks,
)
from shared.protocol import load_protocol

PROTOCOL = load_protocol()
HEARD = datetime(2027, 3, 9, 10, tzinfo=UTC)
LIMIT = timedelta(hours=24)
LAB = Watermark("lab", "laboratory_feed", None, HEARD - LIMIT, HEARD)
MUTE = Watermark("orders", "ordering_feed", "north", HEARD, None)


def silence(ended_at: datetime | None) -> SourceSilence:
    """The laboratory's silence since HEARD, as it was noticed."""
    return SourceSilence("silence/lab/1", "lab", "laboratory_feed", None, HEARD, HEARD, ended_at)


def test_settings_name_sources_with_feed_and_site() -> None:
    found = configured_sources("lab=laboratory_feed@north, ordering_feed,", PROTOCOL.feeds)

    assert found == (
        Configured("lab", "laboratory_feed", "north"),
        Configured("ordering_feed", "ordering_feed", None),
    )
    assert configured_sources("", PROTOCOL.feeds) == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Lab North", "is not name=feed@site"),
        ("lab=imaging_feed", "is not a feed of the protocol"),
        ("a=laboratory_feed,a=ordering_feed", "is named twice"),
    ],
    ids=["malformed", "unknown-feed", "twice"],
)
def test_settings_that_cannot_be_meant_are_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        configured_sources(text, PROTOCOL.feeds)


def test_a_source_is_silent_from_its_limit_on_and_one_never_heard_at_once() -> None:
    assert silent_since(PROTOCOL, LAB, HEARD + LIMIT - timedelta(seconds=1)) is None
    assert silent_since(PROTOCOL, LAB, HEARD + LIMIT) == HEARD + LIMIT
    assert silent_since(PROTOCOL, MUTE, HEARD) == HEARD


def test_the_timer_says_of_a_silence_what_a_press_before_it_said() -> None:
    told = replace(silence(None).statement, id=LAB.statement.id)

    assert told == LAB.statement


def test_a_second_silence_after_the_same_word_counts_although_the_first_is_over() -> None:
    over = silence(HEARD + LIMIT).statement

    (mark,) = added_watermarks((over,), (LAB,))

    assert mark.id != over.id


def test_a_watermark_adds_nothing_where_the_record_has_the_silence() -> None:
    begun, over = silence(None).statement, silence(HEARD + 2 * LIMIT).statement

    assert added_watermarks((begun,), (LAB, MUTE)) == (MUTE.statement,)
    assert with_watermarks((begun, over), (LAB,)) == (begun, over, LAB.statement)
    assert over.version == begun.version + 1
