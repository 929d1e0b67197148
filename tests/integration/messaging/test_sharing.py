"""Partitions share a transaction, and events a bulk reaction, without either being seen.

On real PostgreSQL, with records made here: what is fetched together does not depend on a broker.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.contracts.coordination import CaseClosed, ConsentRecorded
from shared.contracts.event import Envelope, Event
from shared.contracts.vocabulary import Service
from shared.messaging.bus import Partition, no_alarm
from shared.messaging.figures import ConsumerFigures
from shared.messaging.incoming import Incoming, incoming
from shared.messaging.places import Places
from shared.messaging.reactions import Reactions
from shared.messaging.unit_of_work import STATEMENTS, Work
from shared.messaging.wire import Record, event_headers, event_payload
from shared.messaging.worker import BATCH_SECONDS, Worker
from shared.persistence.database import Tx
from tests.integration.messaging.rig import (
    ADD_EFFECT,
    COORDINATION,
    Rig,
    add_effect,
    consent,
    reactions,
)

pytestmark = pytest.mark.integration
NAME = Service.INFUSION_SCHEDULING.value
POISON = UUID(int=13)


def record(number: int, offset: int, event: Event, sequence: int) -> Incoming:
    """An event of a case as it lies in a partition."""
    headers = event_headers(
        event, event_id=uuid4(), time=datetime.now(UTC), correlation_id=uuid4(),
        causation_id=None, traceparent=None,
    ) | {"ce_epoch": "0", "ce_sequence": str(sequence)}  # fmt: skip
    encoded = tuple((name, text.encode()) for name, text in headers.items())
    key = str(event.case_id).encode()
    return incoming(Record(COORDINATION, number, offset, key, event_payload(event), encoded, 0))


class SteadyTime:
    """A lease clock on which every reading is as long after the one before it, by default at once.

    A batch ends when its time is up: on the machine's clock a busy machine would decide what
    shares a transaction.
    """

    boot_id = "steady"

    def __init__(self, step_seconds: float = 0.0) -> None:
        self._step_ns = round(step_seconds * 1e9)
        self._now_ns = 0

    def now_ns(self) -> int:
        self._now_ns += self._step_ns
        return self._now_ns


class Bench:
    """A worker with its places, at the start of three partitions."""

    def __init__(
        self, rig: Rig, its_reactions: Reactions[Tx], *, step_seconds: float = 0.0
    ) -> None:
        self.rig = rig
        unit = rig.infusion.unit_of_work(Service.INFUSION_SCHEDULING)
        unit.world = replace(unit.world, lease_clock=SteadyTime(step_seconds))
        self.places = Places(rig.infusion.database, unit.world, NAME, no_alarm)
        self.figures = ConsumerFigures()
        self.worker = Worker(
            its_reactions, unit, self.places, figures=self.figures, alarm=no_alarm,
            early_hint=lambda: None, stopping=lambda: False,
        )  # fmt: skip

    async def take(self, *batches: Sequence[Incoming]) -> None:
        found: Mapping[Partition, Sequence[Incoming]] = {
            Partition(COORDINATION, number): items for number, items in enumerate(batches)
        }
        async with self.rig.infusion.database.transaction() as tx:
            for partition in found:
                await tx.run(STATEMENTS["ensure_offset"], NAME, *partition)
        self.places.positions.update(dict.fromkeys(found, 0))
        await self.worker.take_all(found)

    async def transactions(self) -> int:
        return int(await self.rig.infusion.value("SELECT count(DISTINCT xmin::text) FROM effect"))

    async def offsets(self) -> list[int]:
        rows = await self.rig.infusion.fetch("SELECT next_offset FROM next_offset ORDER BY 1")
        return [row["next_offset"] for row in rows]


async def add_unless_poison(work: Work[Tx], envelope: Envelope[Any]) -> None:
    await add_effect(work, envelope)
    if envelope.case_id == POISON:
        raise ZeroDivisionError


def batch_of(number: int, case_id: UUID, count: int) -> list[Incoming]:
    return [record(number, n, consent(case_id), n + 1) for n in range(count)]


async def test_partitions_that_go_well_share_one_transaction(rig: Rig) -> None:
    bench = Bench(rig, reactions())

    await bench.take(*(batch_of(number, uuid4(), 4) for number in range(3)))

    assert await bench.transactions() == 1
    assert await bench.offsets() == [4, 4, 4]
    assert set(bench.places.positions.values()) == {4}
    assert bench.figures.counted == {"applied": 12}


async def test_a_bad_record_takes_no_other_partition_with_it(rig: Rig) -> None:
    bench = Bench(rig, reactions({ConsentRecorded: add_unless_poison}))

    await bench.take(batch_of(0, uuid4(), 3), batch_of(1, POISON, 2), batch_of(2, uuid4(), 3))

    effects = await rig.infusion.effects()
    assert len(effects) == 6
    assert POISON not in {row["case_id"] for row in effects}
    assert await bench.offsets() == [0, 3, 3]
    assert bench.figures.counted["separated"] == 1


async def test_a_partition_that_somebody_moved_stops_only_itself(rig: Rig) -> None:
    bench = Bench(rig, reactions())
    moved = Partition(COORDINATION, 1)
    async with rig.infusion.database.transaction() as tx:
        await tx.run(STATEMENTS["ensure_offset"], NAME, *moved)
        await tx.run(STATEMENTS["close_books"], NAME, [], [], [], [], [], [COORDINATION], [1], [7])

    await bench.take(*(batch_of(number, uuid4(), 2) for number in range(3)))

    assert await bench.offsets() == [2, 2, 7]
    assert moved not in bench.places.positions
    assert len(await rig.infusion.effects()) == 4


async def test_more_than_one_transaction_may_take_is_taken_in_several(rig: Rig) -> None:
    bench = Bench(rig, reactions())

    await bench.take(batch_of(0, uuid4(), 150), batch_of(1, uuid4(), 150))

    assert await bench.offsets() == [150, 150]
    assert len(await rig.infusion.effects()) == 300
    assert await bench.transactions() >= 2


async def test_what_takes_longer_than_one_transaction_may_is_taken_in_several(rig: Rig) -> None:
    bench = Bench(rig, reactions(), step_seconds=BATCH_SECONDS / 2)

    await bench.take(*(batch_of(number, uuid4(), 4) for number in range(3)))

    assert await bench.transactions() > 1
    assert await bench.offsets() == [4, 4, 4]
    assert bench.figures.counted == {"applied": 12}


class Kept:
    """A bulk reaction that writes its effects and remembers how they came."""

    def __init__(self) -> None:
        self.runs: list[int] = []

    async def __call__(self, work: Work[Tx], envelopes: Sequence[Envelope[Any]]) -> None:
        self.runs.append(len(envelopes))
        for envelope in envelopes:
            await work.tx.run(
                ADD_EFFECT, envelope.case_id, envelope.id, envelope.source.value, envelope.epoch,
                envelope.sequence, envelope.data.type,
            )  # fmt: skip
            if envelope.case_id == POISON:
                raise ZeroDivisionError


def closed(case_id: UUID) -> CaseClosed:
    return CaseClosed(case_id=case_id, reason="completed")


async def test_a_bulk_reaction_is_given_what_follows_one_another_in_order(rig: Rig) -> None:
    kept, case = Kept(), uuid4()
    table = reactions({CaseClosed: add_effect}, bulk={ConsentRecorded: kept})
    bench = Bench(rig, table)
    items = [
        *batch_of(0, case, 3),
        record(0, 3, closed(case), 4),
        record(0, 4, consent(case), 5),
        record(0, 5, consent(case), 6),
    ]

    await bench.take(items)

    assert kept.runs == [3, 2]
    assert [row["sequence"] for row in await rig.infusion.effects()] == [1, 2, 3, 4, 5, 6]


async def test_a_bulk_reaction_that_fails_fails_for_the_bad_event_alone(rig: Rig) -> None:
    kept, good = Kept(), uuid4()
    bench = Bench(rig, reactions({}, bulk={ConsentRecorded: kept}))
    items = [record(0, 0, consent(good), 1), record(0, 1, consent(POISON), 1)]

    await bench.take(items)

    assert [row["case_id"] for row in await rig.infusion.effects()] == [good]
    assert await bench.offsets() == [1]


async def test_a_bulk_reaction_that_emits_is_refused(rig: Rig) -> None:
    async def emits(work: Work[Tx], _: Sequence[Envelope[Any]]) -> None:
        work.note("something", None)

    bench = Bench(rig, reactions({}, bulk={ConsentRecorded: emits}))

    await bench.take(batch_of(0, uuid4(), 2))

    assert await bench.offsets() == [0]


def test_two_reactions_to_one_event_are_refused() -> None:
    with pytest.raises(ValueError, match="two reactions"):
        reactions({ConsentRecorded: add_effect}, bulk={ConsentRecorded: Kept()})
