"""Traps of the Kafka clients, part two: producing.

Each docstring names the trap; each test shows, on real Kafka, that the relay does not step in.
"""

import asyncio
import contextlib
import json
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import requires
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.contracts.vocabulary import Service
from shared.messaging.bus import BusUnavailableError, Delivery, Outgoing, Partition
from shared.messaging.kafka import KafkaBus, KafkaSettings, KafkaSink, declared_broker
from shared.messaging.partitioning import partition_of
from shared.messaging.stack import Messaging
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.persistence.database import Tx
from shared.runtime.paths import CHECKOUT
from tests.integration.messaging.rig import (
    CLEAN,
    COORDINATION,
    PARTITIONS,
    Rig,
    consent,
    eventually,
    judge_effects,
    reactions,
    running,
    world,
)
from tests.integration.messaging.test_parking import hold

pytestmark = pytest.mark.integration


async def test_the_producer_is_idempotent_with_all_acknowledgements(rig: Rig) -> None:
    """Defaults: idempotence off, acks=1. A retry then doubles or reorders, a failover loses. And no
    transactions: the protocol lost writes and tore transactions (Jepsen, 2024)."""
    broker = declared_broker(rig.settings)
    await broker.start()
    try:
        assert broker.client._sender._acks == -1
        assert broker.client._txn_manager is not None
        assert broker.client._txn_manager.transactional_id is None
    finally:
        await broker.stop()


async def test_declared_subscribers_are_documents_and_never_consume(rig: Rig) -> None:
    """`broker.start()` starts every declared subscriber, which then consumes beside the kernel."""
    broker = declared_broker(rig.settings)
    seen: list[Any] = []

    @broker.subscriber(rig.prefix + COORDINATION, group_id="declared")
    async def handle(body: Any) -> None:
        seen.append(body)

    await broker.start()
    try:
        await broker.publish(b"{}", rig.prefix + COORDINATION, key=b"k")
        async with rig.relay(), rig.consuming():
            await rig.emit(uuid4(), 1)
            await eventually("the kernel has it", lambda: _effects(rig, 1))
        assert [getattr(s, "consumer") for s in broker.subscribers] == [None]  # noqa: B009 - untyped
        assert seen == []
    finally:
        await broker.stop()


async def test_a_row_becomes_exactly_the_record_that_it_describes(rig: Rig) -> None:
    """FastStream adds a random `correlation_id` and, for bytes, `content-type: ""`: the event would
    differ at each sending and would not be JSON by its headers."""
    case = uuid4()
    async with rig.relay():
        await rig.emit(case, 1)
        await eventually("the outbox is empty", lambda: _sent(rig))
    record = (await _records(rig, case))[0]

    names = [name for name, _ in record.headers]
    headers = {name: value.decode() for name, value in record.headers}
    assert record.key == str(case).encode()
    assert json.loads(record.value)["case_id"] == str(case)
    assert len(names) == len(set(names))
    assert headers["content-type"] == "application/json"
    assert headers["correlation_id"] == headers["ce_correlationid"]
    assert headers["ce_sequence"] == "1"


async def test_records_carry_machine_time_whatever_the_clinic_clock_says(rig: Rig) -> None:
    """A record dated more than an hour ahead is refused, and the next ones get OutOfOrderSequence.
    The demo's clock is two weeks ahead here: it stands in `ce_time`, never in the timestamp."""
    case = uuid4()
    clinic = datetime.now(UTC) + timedelta(days=14)

    class Ahead:
        def now(self) -> datetime:
            return clinic

    unit: UnitOfWork[Tx] = UnitOfWork(
        database=rig.intake.database, repository=lambda tx: tx, source=Service.INTAKE,
        world=replace(world(), clock=Ahead()),
    )  # fmt: skip
    async with unit.begin(Cause("test", uuid4())) as work:
        work.emit(consent(case))
    async with rig.relay():
        await eventually("the outbox is empty", lambda: _sent(rig))

    record = (await _records(rig, case))[0]
    assert abs(record.timestamp / 1000 - time.time()) < 60
    assert dict(record.headers)["ce_time"].decode() == clinic.isoformat().replace("+00:00", "Z")


class Poisoned(KafkaSink):
    """Sends, before the fifth record of each partition, one that Kafka refuses."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__(settings)
        self.sent: Counter[Partition] = Counter()
        self.refused = 0

    async def send(self, record: Outgoing) -> Awaitable[Delivery]:
        self.sent[record.partition] += 1
        if self.sent[record.partition] == 5:
            ahead = replace(record, timestamp_ms=record.timestamp_ms + 7_200_000)
            refused = await super().send(ahead)
            with contextlib.suppress(KafkaError):
                await refused
            self.refused += 1
        return await super().send(record)


async def test_a_stuck_producer_is_replaced_and_nothing_is_lost_or_moved(rig: Rig) -> None:
    """After one refused record an idempotent producer refuses all later ones of that partition
    (aiokafka #1017): the outbox is the authority, so a new producer sends them again, in order."""
    cases = [uuid4() for _ in range(6)]
    sink = Poisoned(rig.settings)
    emitted = [i for case in cases for i in await rig.emit(case, 10)]

    async with rig.relay(sink=sink) as relay, rig.consuming():
        await eventually("all effects", lambda: _effects(rig, 60))

    assert relay.figures.producers_replaced >= 1
    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN
    assert sink.refused >= 1


class Faulty(KafkaSink):
    """Fails the answers of one partition, after Kafka has the records, while told to."""

    def __init__(self, settings: KafkaSettings, number: int) -> None:
        super().__init__(settings)
        self.number: int | None = number
        self.failed = 0

    async def send(self, record: Outgoing) -> Awaitable[Delivery]:
        answer = await super().send(record)
        if record.partition.number != self.number:
            return answer
        self.failed += 1
        return asyncio.ensure_future(_lost(answer))


async def _lost(answer: Awaitable[Delivery]) -> Delivery:
    await answer
    raise ConnectionError("the answer was lost")


async def test_a_failing_partition_does_not_keep_the_others(rig: Rig) -> None:
    """Deleting or waiting for the whole batch: one bad partition stops all, or loses its rows. Here
    each has its own pipeline, and rows go only with their own acknowledgement."""
    by_partition = {partition_of(case, PARTITIONS): case for case in (uuid4() for _ in range(60))}
    assert len(by_partition) == PARTITIONS
    sink = Faulty(rig.settings, 0)
    emitted = [i for case in by_partition.values() for i in await rig.emit(case, 10)]

    async with rig.relay(sink=sink, batch_rows=10), rig.consuming():
        await eventually("the others are through", lambda: _rows_left(rig, 10))
        rows = await rig.intake.fetch("SELECT DISTINCT case_id FROM outbox")
        assert [row["case_id"] for row in rows] == [by_partition[0]]
        more = await rig.emit(by_partition[1], 5)
        await eventually("later ones pass too", lambda: _effects_of(rig, by_partition[1], 15))
        sink.number = None
        await eventually("all effects", lambda: _effects(rig, 35))

    assert sink.failed >= 10
    assert judge_effects(await rig.infusion.effects(), [*emitted, *more]) == CLEAN


async def test_cases_with_a_safety_event_go_first_and_whole(rig: Rig) -> None:
    """A hold behind a flood of imports: lane 0 goes first, but never past its own case's events."""
    flood, urgent = uuid4(), uuid4()
    order: list[tuple[UUID, int]] = []

    class Watching(KafkaSink):
        async def send(self, record: Outgoing) -> Awaitable[Delivery]:
            case = UUID(record.key.decode())
            order.append((case, int(record.headers["ce_sequence"])))
            return await super().send(record)

    await rig.emit(flood, 30)
    await rig.emit(urgent, 2)
    await rig.emit(flood, 10)
    await rig.emit(urgent, 1, event=hold)
    async with rig.relay(sink=Watching(rig.settings), batch_rows=10):
        await eventually("the outbox is empty", lambda: _sent(rig))

    assert [place for place in order if place[0] == urgent] == [(urgent, n) for n in (1, 2, 3)]
    assert max(order.index((urgent, n)) for n in (1, 2, 3)) < 10
    assert [n for case, n in order if case == flood] == list(range(1, 41))


async def test_without_kafka_commands_work_and_a_stop_is_quick(rig: Rig) -> None:
    """`broker.connect()` fails at once without a broker and leaks its producer, and `start()` of a
    consumer raises: a lifespan that awaits them makes holds depend on Kafka."""
    nowhere = KafkaSettings(bootstrap=f"127.0.0.1:{_closed_port()}", client_id="test")
    with pytest.raises(BusUnavailableError):
        await KafkaSink(nowhere).connect()
    unit = rig.intake.unit_of_work(Service.INTAKE)
    messaging = Messaging(
        reactions=reactions(), unit_of_work=unit, bus=KafkaBus(nowhere), partitions=PARTITIONS
    )
    async with running(messaging.run(), messaging.stop):
        async with unit.begin(Cause("test", uuid4())) as work:
            work.emit(consent(uuid4()))
        assert not messaging.ready
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 5
    assert await rig.intake.value("SELECT count(*) FROM outbox") == 1


async def test_only_one_relay_sends(rig: Rig) -> None:
    """Two relays with SKIP LOCKED reorder a case. Here a second one waits for the advisory lock and
    takes over when the first is gone."""
    case = uuid4()
    async with rig.consuming():
        async with rig.relay() as first:
            await eventually("the first leads", lambda: _true(first.figures.active))
            async with rig.relay() as second:
                emitted = await rig.emit(case, 5, wake=second.wake)
                await eventually("all effects", lambda: _effects(rig, 5))
                assert (first.figures.sent, second.figures.sent) == (5, 0)
        async with rig.relay():
            emitted += await rig.emit(case, 5)
            await eventually("all effects", lambda: _effects(rig, 10))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def test_a_relay_that_loses_its_session_leads_again(rig: Rig) -> None:
    """The lock goes with the session: a relay that does not notice sends beside its successor."""
    case = uuid4()
    async with rig.relay() as relay, rig.consuming():
        await eventually("it leads", lambda: _true(relay.figures.active))
        await rig.intake.run(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        emitted = await rig.emit(case, 5, wake=relay.wake)
        await eventually("all effects", lambda: _effects(rig, 5))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


def test_delivery_is_never_claimed_from_the_test_broker() -> None:
    """`TestKafkaBroker` models neither acknowledgement nor redelivery: it may show wiring only."""
    word = "TestKafka" + "Broker("
    users = [
        path.name
        for path in Path(CHECKOUT / "tests" / "integration").rglob("*.py")
        if word in path.read_text(encoding="utf-8")
    ]
    assert users == []


def test_no_deprecated_or_capped_part_of_faststream_is_used() -> None:
    """`faststream.kafka.fastapi` goes away, `faststream[cli]` caps typer, and its AsyncAPI page
    loads scripts from a public CDN."""
    kafka = [line for line in requires("tandem") or [] if line.startswith("faststream")]
    assert all("cli" not in line for line in kafka)
    forbidden = ("faststream.kafka." + "fastapi", "faststream" + ".asgi", "get_asyncapi" + "_html")
    for folder in ("services", "shared"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not [name for name in forbidden if name in text], path


def _closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


async def _records(rig: Rig, case: UUID) -> list[Any]:
    """All records of a case, as any other client of Kafka sees them, in log order."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=rig.infra.kafka_bootstrap, enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    await consumer.start()
    place = TopicPartition(rig.prefix + COORDINATION, partition_of(case, PARTITIONS))
    consumer.assign([place])
    end = (await consumer.end_offsets([place]))[place]
    found: list[Any] = []
    while await consumer.position(place) < end:
        found += (await consumer.getmany(timeout_ms=200)).get(place, [])
    await consumer.stop()
    return [record for record in found if record.key == str(case).encode()]


async def _sent(rig: Rig) -> bool:
    return await _rows_left(rig, 0)


async def _rows_left(rig: Rig, count: int) -> bool:
    return bool(await rig.intake.value("SELECT count(*) FROM outbox") == count)


async def _effects(rig: Rig, count: int) -> bool:
    return len(await rig.infusion.effects()) == count


async def _effects_of(rig: Rig, case: UUID, count: int) -> bool:
    rows: Sequence[dict[str, Any]] = await rig.infusion.effects()
    return len([row for row in rows if row["case_id"] == case]) == count


async def _true(value: bool) -> bool:
    return value
