"""Silence, stalls and lost records, told from heartbeats alone."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from shared.contracts.vocabulary import Service
from shared.messaging.bus import Alarm, Partition
from shared.messaging.figures import ConsumerFigures
from shared.messaging.heartbeats import BEAT_TYPE, Heartbeat, read_heartbeat
from shared.messaging.tracker import StalledError, Tracker
from shared.messaging.wire import Record
from shared.persistence.database import StoreUnavailableError, Tx
from shared.ports import World

COORDINATION = "tandem.coordination.v1"
FIRST = Partition(COORDINATION, 0)


@dataclass
class Hands:
    """A clock that stands still until it is moved."""

    seconds: float = 0.0
    boot_id: str = "boot"

    def now_ns(self) -> int:
        return int(self.seconds * 1e9)

    def now(self) -> datetime:
        return datetime.fromtimestamp(1_700_000_000 + self.seconds, UTC)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class NoDatabase:
    """The watchdog must work without one."""

    def transaction(
        self, *, timeout_seconds: float | None = None, urgent: bool = False
    ) -> AbstractAsyncContextManager[Tx]:
        raise StoreUnavailableError("down")

    def session(self) -> AbstractAsyncContextManager[Tx]:
        raise StoreUnavailableError("down")


@dataclass
class Consumption:
    positions: dict[Partition, int] = field(default_factory=dict)
    held: bool = False

    def is_held(self, _partition: Partition) -> bool:
        return self.held


@dataclass
class Beats:
    """A tail that brings what the test put there, then silence; the last fetch stops the run.

    A beat comes every two seconds, unless `frozen_before` says how long the process did not run
    before the fetch of that number.
    """

    hands: Hands
    records: list[Sequence[Record]] = field(default_factory=list)
    frozen_before: dict[int, float] = field(default_factory=dict)
    fetches: int = 0
    tracker: Tracker | None = None

    async def start(self, *, from_start: bool = False) -> None:
        return

    async def fetch(self, timeout_seconds: float, records_max: int) -> Sequence[Record]:
        self.fetches += 1
        if self.records:
            self.hands.seconds += self.frozen_before.get(self.fetches, 2.0)
            return self.records.pop(0)
        assert self.tracker is not None
        self.tracker.stop()
        return ()

    async def stop(self) -> None:
        return


def beat(last: int, *, epoch: int = 0, source: Service = Service.INTAKE) -> Record:
    body = Heartbeat(
        source=source, epoch=epoch, beat_at=datetime(2026, 1, 1, tzinfo=UTC),
        last_offsets=(last, -1), oldest_unsent_seconds=0, catalogue_version=1,
    ).model_dump_json()  # fmt: skip
    return Record("tandem.heartbeats.v1", 0, 0, b"intake", body.encode(),
                  (("ce_type", BEAT_TYPE.encode()),), 0)  # fmt: skip


def tracker_of(consumption: Consumption, *records: Record) -> tuple[Tracker, list[Alarm], Hands]:
    hands, alarms = Hands(), list[Alarm]()
    tail = Beats(hands, [[record] for record in records])
    tracker = Tracker(
        consumer=Service.INFUSION_SCHEDULING, topics=frozenset({COORDINATION}),
        database=NoDatabase(), tail=tail, kernel=consumption,
        world=World(hands, hands, hands, None, None, hands, None),  # type: ignore[arg-type]
        figures=ConsumerFigures(), alarm=alarms.append,
    )  # fmt: skip
    tail.tracker = tracker
    return tracker, alarms, hands


async def test_a_partition_that_stays_behind_over_three_beats_ends_the_process() -> None:
    tracker, _, _ = tracker_of(Consumption({FIRST: 5}), *[beat(9)] * 4)

    with pytest.raises(StalledError, match="stays at 5"):
        await tracker.run()


async def test_a_process_that_was_frozen_hears_many_beats_at_once_and_goes_on() -> None:
    tracker, _, hands = tracker_of(Consumption({FIRST: 5}))
    tracker._tail = tail = Beats(hands, [[beat(9)] * 10], {1: 20.0}, tracker=tracker)  # type: ignore[assignment]

    await tracker.run()

    assert tail.records == []


async def test_what_was_seen_before_a_freeze_does_not_count_after_it() -> None:
    tracker, _, hands = tracker_of(Consumption({FIRST: 5}))
    fetches: list[Sequence[Record]] = [[beat(9)], [beat(9)], [beat(9)], [beat(9)] * 10, [beat(9)]]
    tracker._tail = tail = Beats(hands, fetches, {4: 20.0}, tracker=tracker)  # type: ignore[assignment]

    await tracker.run()

    assert tail.records == []


@pytest.mark.parametrize(
    ("consumption", "last"),
    [
        (Consumption({FIRST: 10}), 9),
        (Consumption({FIRST: 5}, held=True), 9),
        (Consumption({}), 9),
        (Consumption({FIRST: 0}), -1),
    ],
    ids=["caught_up", "waits_on_purpose", "not_mine", "empty"],
)
async def test_no_stall_is_seen_where_there_is_none(consumption: Consumption, last: int) -> None:
    tracker, alarms, _ = tracker_of(consumption, *[beat(last)] * 8)

    await tracker.run()

    assert alarms == []


async def test_progress_between_beats_is_no_stall() -> None:
    consumption = Consumption({FIRST: 0})
    tracker, _, _ = tracker_of(consumption, *[beat(99)] * 8)
    hear = tracker._hear

    async def advancing(heard: Heartbeat) -> None:
        consumption.positions[FIRST] += 1
        await hear(heard)

    tracker._hear = advancing  # type: ignore[method-assign,assignment]
    await tracker.run()


async def test_a_silent_source_is_an_alarm_once_and_its_return_another() -> None:
    tracker, alarms, hands = tracker_of(Consumption(), beat(0))
    hands.seconds = 16
    tracker._look_for_silence()
    tracker._look_for_silence()
    assert tracker.broken_streams() == {Service.INTAKE: 16.0}

    await tracker.run()

    assert [alarm.kind for alarm in alarms] == ["stream_broken", "stream_restored"]
    assert tracker.broken_streams() == {}


async def test_an_offset_that_falls_within_an_epoch_is_an_alarm() -> None:
    tracker, alarms, _ = tracker_of(Consumption(), beat(9), beat(7), beat(0, epoch=1))

    await tracker.run()

    assert [(a.kind, a.detail["was"], a.detail["is"]) for a in alarms] == [
        ("broker_lost_records", 9, 7)
    ]


def test_what_is_no_heartbeat_is_left_alone() -> None:
    garbage = Record("tandem.heartbeats.v1", 0, 0, None, b"{", (("ce_type", b"x"),), 0)
    broken = Record("tandem.heartbeats.v1", 0, 0, None, b"{", (("ce_type", BEAT_TYPE.encode()),), 0)

    assert read_heartbeat(garbage) is None
    assert read_heartbeat(broken) is None
