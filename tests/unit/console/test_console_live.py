"""The live tail: reading on from any event's vector yields every later event exactly once."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.live import (
    LETTERS,
    VECTOR_LENGTH_MAX,
    Begun,
    Live,
    Seen,
    Vector,
    read_vector,
    write_vector,
)
from shared.messaging.bus import BusFailedError, BusUnavailableError, Partition
from shared.messaging.wire import Record

TOPICS = sorted(LETTERS)
places = st.builds(Partition, st.sampled_from(TOPICS), st.integers(0, 999))


class Log:
    """A bus in memory. `fails_after`: fetches that succeed before one fails."""

    def __init__(self, *, fails_after: int | None = None, start: int = 0) -> None:
        self.records: list[Record] = []
        self.fails_after = fails_after
        self.start_offset = start
        self.stopped = 0

    def add(self, topic: str, partition: int, timestamp_ms: int) -> Record:
        mine = [r for r in self.records if (r.topic, r.partition) == (topic, partition)]
        record = Record(
            topic, partition, self.start_offset + len(mine), b"k", b"{}", (), timestamp_ms
        )
        self.records.append(record)
        return record


class LogReader:
    def __init__(self, log: Log, batch: int = 3) -> None:
        self.log, self.batch = log, batch
        self.next: dict[Partition, int] = {}
        self.fetched = 0

    async def start(self, after: Vector | None) -> Begun:
        found = {Partition(r.topic, r.partition) for r in self.log.records}
        missing = 0
        for place in found:
            end = 1 + max(r.offset for r in self._of(place))
            asked = end if after is None else after.get(place, 0)
            self.next[place] = min(max(asked, self.log.start_offset), end)
            missing += max(0, self.log.start_offset - asked)
        return Begun(dict(self.next), missing)

    def _of(self, place: Partition) -> list[Record]:
        return [r for r in self.log.records if (r.topic, r.partition) == place]

    async def fetch(self, timeout_seconds: float, records_max: int) -> Sequence[Record]:
        if self.log.fails_after is not None and self.fetched >= self.log.fails_after:
            raise BusFailedError("gone")
        self.fetched += 1
        fresh = [
            r
            for r in self.log.records
            if r.offset >= self.next.get(Partition(r.topic, r.partition), 0)
        ][: self.batch]
        for record in fresh:
            self.next[Partition(record.topic, record.partition)] = record.offset + 1
        return sorted(fresh, key=lambda record: record.timestamp_ms)

    async def stop(self) -> None:
        self.log.stopped += 1


async def watched(live: Live, after: Vector | None, most: int) -> list[Seen]:
    """The steps of one viewer, up to this many records."""
    steps: list[Seen] = []
    stream = live.watch(after, seconds=0.2)
    async for step in stream:
        steps.append(step)
        if sum(s.record is not None for s in steps) >= most:
            break
    await stream.aclose()  # type: ignore[attr-defined] # it is a generator
    return steps


@given(st.dictionaries(places, st.integers(1, 10**15), max_size=48))
def test_a_vector_reads_as_it_was_written(vector: dict[Partition, int]) -> None:
    text = write_vector(vector)

    assert read_vector(text) == vector
    assert "\n" not in text


@pytest.mark.parametrize(
    "text", ["x0:1", "c0", "c0:-1", "c:1", "c0:1;m0:1", "c0:1,\n", "c0:1e3", "c0:" + "9" * 19]
)
def test_what_is_no_vector_is_refused(text: str) -> None:
    assert read_vector(text) is None


def test_an_endless_vector_is_not_even_read() -> None:
    assert read_vector("c0:1," * VECTOR_LENGTH_MAX) is None


async def test_each_later_event_comes_once_after_a_break_at_any_event() -> None:
    log = Log()
    for n in range(12):
        log.add(TOPICS[n % 3], n % 2, 1000 + n)
    live = Live(lambda: LogReader(log))
    whole = [s for s in await watched(live, {}, 12) if s.record]
    assert len({s.record.where for s in whole if s.record}) == 12

    for broken_at in range(12):
        before = whole[: broken_at + 1]
        vector = read_vector(before[-1].places)
        assert vector is not None
        after = [s for s in await watched(Live(lambda: LogReader(log)), vector, 12) if s.record]
        seen = [s.record.where for s in (*before, *after) if s.record]
        assert sorted(seen) == sorted(r.where for r in log.records)


async def test_a_timestamp_that_goes_back_leaves_the_order_of_its_partition() -> None:
    log = Log()
    for stamp in (50, 20, 40):
        log.add(TOPICS[0], 0, stamp)
    log.add(TOPICS[1], 0, 30)

    steps = [s for s in await watched(Live(lambda: LogReader(log, batch=9)), {}, 4) if s.record]

    mine = [s.record.offset for s in steps if s.record and s.record.topic == TOPICS[0]]
    assert mine == [0, 1, 2]
    assert all(len(a.places) <= len(b.places) for a, b in pairwise(steps))


async def test_without_a_place_only_new_events_come() -> None:
    log = Log()
    log.add(TOPICS[0], 0, 1)
    live = Live(lambda: LogReader(log))
    stream = live.watch(None, seconds=5)
    first = await anext(stream)
    new = log.add(TOPICS[0], 0, 2)

    second = await anext(stream)

    assert (first.record, first.places) == (None, write_vector({Partition(TOPICS[0], 0): 1}))
    assert second.record == new
    await stream.aclose()  # type: ignore[attr-defined]
    assert log.stopped == 1


async def test_events_that_the_log_no_longer_holds_are_counted() -> None:
    log = Log(start=5)
    log.add(TOPICS[0], 0, 1)

    first = (await watched(Live(lambda: LogReader(log)), {Partition(TOPICS[0], 0): 2}, 1))[0]

    assert first.missing == 3


async def test_a_lost_bus_ends_the_stream_with_a_word_and_the_last_place() -> None:
    log = Log(fails_after=0)
    log.add(TOPICS[0], 0, 1)

    steps = await watched(Live(lambda: LogReader(log)), {Partition(TOPICS[0], 0): 1}, 9)

    assert steps[-1].trouble
    assert steps[-1].places == write_vector({Partition(TOPICS[0], 0): 1})


async def test_places_seen_before_the_bus_was_lost_are_not_read_again() -> None:
    log = Log(fails_after=1)
    log.add(TOPICS[0], 0, 1)

    steps = await watched(Live(lambda: LogReader(log)), {}, 9)

    assert steps[-1].trouble
    assert steps[-1].places == write_vector({Partition(TOPICS[0], 0): 1})


async def test_a_bus_that_is_away_is_told_and_the_place_is_free_again() -> None:
    class Away(LogReader):
        async def start(self, after: Vector | None) -> Begun:
            raise BusUnavailableError("nobody")

    log = Log()
    live = Live(lambda: Away(log), viewers_max=1)

    steps = await watched(live, {Partition(TOPICS[0], 0): 7}, 9)

    assert [s.trouble for s in steps] == [True]
    assert not live.full


async def test_viewers_are_counted_and_ended() -> None:
    log = Log()
    log.add(TOPICS[0], 0, 1)
    live = Live(lambda: LogReader(log), viewers_max=1)
    stream = live.watch(None, seconds=60)
    await anext(stream)

    assert live.full
    live.end()

    assert [step async for step in stream] == []
    assert not live.full
