"""The console on real Kafka: built again from offset 0, and a stream without gap or double."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from services.console import bootstrap
from services.console.groups import KafkaGroups
from services.console.live import KafkaLogReader, Live, read_vector, write_vector
from services.console.projections.table import reactions
from shared.contracts.catalogue import OWNER_OF, TOPIC_OF
from shared.contracts.event import Event
from shared.contracts.vocabulary import Role, Service
from shared.messaging.bus import Outgoing, Partition
from shared.messaging.kafka import KafkaBus, KafkaSettings
from shared.messaging.partitioning import partition_of
from shared.messaging.stack import Messaging
from shared.messaging.topics import catalogue_topics
from shared.messaging.wire import event_headers, event_payload
from shared.persistence.postgres import PostgresDatabase
from shared.runtime.world import machine_world
from shared.testing.doubles import FunctionHttp
from shared.testing.infra import Infra
from tests.component.console.conftest import read_models
from tests.component.console.console_story import (
    effective,
    fenced,
    hold,
    opened,
    planned,
    raised,
    released,
    suspended,
    timeline,
)
from tests.system.deployment import Deployment, deployed, eventually
from tests.unit.console.console_events import START, known_id

pytestmark = [pytest.mark.component, pytest.mark.timeout(120)]

PARTITIONS = 3
CASES = tuple(known_id(f"kafka-case-{n}") for n in range(5))


class Sender:
    """Sends events as their services' relays do."""

    def __init__(self, settings: KafkaSettings, partitions: int) -> None:
        self.sink = KafkaBus(settings).sink()
        self.partitions = partitions
        self.sequences: dict[tuple[Service, UUID], int] = {}

    async def send(self, *events: Event) -> list[str]:
        """The places of the events in the log, acknowledged in this order."""
        return [await self._one(event) for event in events]

    async def _one(self, event: Event) -> str:
        headers = event_headers(
            event, event_id=uuid4(), time=START, correlation_id=event.case_id, causation_id=None,
            traceparent=None,
        )  # fmt: skip
        return await self.put(event.owner, event.case_id, event_payload(event), headers)

    async def put(
        self, source: Service, case: UUID, payload: bytes, headers: Mapping[str, str]
    ) -> str:
        """The place of a record, the next of its stream."""
        self.sequences[source, case] = self.sequences.get((source, case), 0) + 1
        place = {"ce_epoch": "0", "ce_sequence": str(self.sequences[source, case])}
        where = Partition(TOPIC_OF[source], partition_of(case, self.partitions))
        now_ms = int(time.time() * 1000)
        answer = await self.sink.send(
            Outgoing(where, str(case).encode(), payload, {**headers, **place}, now_ms)
        )
        return f"{where.topic}/{where.number}@{(await answer).offset}"


@asynccontextmanager
async def sending(settings: KafkaSettings, partitions: int) -> AsyncIterator[Sender]:
    sender = Sender(settings, partitions)
    await sender.sink.connect()
    try:
        yield sender
    finally:
        await sender.sink.close()


@pytest.fixture
async def settings(infra: Infra) -> KafkaSettings:
    prefix = f"c{secrets.token_hex(4)}."
    await infra.create_topics(catalogue_topics(PARTITIONS, prefix=prefix))
    return KafkaSettings(bootstrap=infra.kafka_bootstrap, client_id="test", prefix=prefix)


async def story(sender: Sender) -> list[str]:
    """Some thirty events of five cases, interleaved."""
    ids = []
    for case in CASES:
        ids += await sender.send(opened(case), timeline(case))
    for n, case in enumerate(CASES):
        hold_id = known_id(f"kafka-hold-{n}")
        ids += await sender.send(hold(case, hold_id=hold_id), effective(case, hold_id))
        ids += await sender.send(raised(case, alert_id=known_id(f"kafka-alert-{n}")))
        if n % 2:
            ids += await sender.send(released(case, hold_id))
    ids += await sender.send(planned(CASES[0]), suspended(1, CASES[0]), fenced(CASES[0]))
    return ids


@asynccontextmanager
async def projecting(
    settings: KafkaSettings, database: PostgresDatabase
) -> AsyncIterator[Messaging[Any]]:
    """The console's consumer, as its process runs it."""
    world = machine_world(FunctionHttp())
    messaging = Messaging(
        reactions=reactions(), unit_of_work=bootstrap.unit_of_work(database, world),
        bus=KafkaBus(settings), partitions=PARTITIONS,
    )  # fmt: skip
    task = asyncio.ensure_future(messaging.run())
    try:
        yield messaging
    finally:
        messaging.stop()
        await asyncio.wait_for(task, 30)


async def projected(
    infra: Infra, template: str, settings: KafkaSettings, events: int
) -> dict[str, list[tuple[Any, ...]]]:
    """The read models of a fresh database after so many events."""
    dsn = await infra.create_database("console", template=template)
    database = await PostgresDatabase.open(dsn)
    try:
        async with projecting(settings, database):

            async def whole() -> bool:
                return len((await read_models(database))["event_log"]) >= events

            await eventually(whole, f"{events} events in the log")
        return await read_models(database)
    finally:
        await database.close()
        await infra.drop_database(dsn)


async def test_read_models_built_again_from_offset_0_have_equal_rows(
    infra: Infra, template: str, settings: KafkaSettings
) -> None:
    async with sending(settings, PARTITIONS) as sender:
        ids = await story(sender)

    first = await projected(infra, template, settings, len(ids))
    second = await projected(infra, template, settings, len(ids))

    assert first == second
    assert len(first["event_log"]) == len(ids)
    assert {name: len(rows) for name, rows in first.items() if name in {"hold", "alert"}} == {
        "hold": 5, "alert": 5,
    }  # fmt: skip


async def test_an_event_that_cannot_be_read_parks_its_case_here_without_a_hold(
    infra: Infra, template: str, settings: KafkaSettings
) -> None:
    dsn = await infra.create_database("console", template=template)
    database = await PostgresDatabase.open(dsn)
    bad, good = CASES[0], CASES[1]
    try:
        async with sending(settings, PARTITIONS) as sender, projecting(settings, database):
            await sender.send(opened(bad), opened(good))
            await _send_garbage(sender, bad)
            await sender.send(timeline(bad), timeline(good))

            async def settled() -> bool:
                parked = await _rows(dsn, "SELECT case_id FROM parked_case")
                log = await _rows(dsn, "SELECT case_id FROM event_log")
                return [r["case_id"] for r in parked] == [bad] and len(log) == 3

            await eventually(settled, "one case parked, the other one whole")
        assert (
            await _rows(dsn, "SELECT 1 FROM outbox WHERE topic <> 'tandem.dead-letters.v1'") == []
        )
    finally:
        await database.close()
        await infra.drop_database(dsn)


async def _send_garbage(sender: Sender, case: UUID) -> None:
    headers = {
        "ce_specversion": "1.0", "ce_id": str(uuid4()), "ce_source": "/tandem/intake",
        "ce_type": "tandem.coordination.hold-recorded.v1", "ce_time": START.isoformat(),
        "ce_correlationid": str(uuid4()), "ce_tandemsafety": "1",
    }  # fmt: skip
    await sender.put(Service.INTAKE, case, b"{", headers)


async def _rows(dsn: str, sql: str) -> Sequence[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


async def test_a_tail_that_breaks_after_any_event_goes_on_at_the_next(
    settings: KafkaSettings,
) -> None:
    async with sending(settings, PARTITIONS) as sender:
        ids = await story(sender)
    live = Live(lambda: KafkaLogReader(settings))

    seen: list[str] = []
    after = read_vector("")
    while len(seen) < len(ids):
        stream = live.watch(after, seconds=20)
        taken = 0
        async for step in stream:
            if step.record is not None:
                seen.append("{}/{}@{}".format(*step.record.where))
                taken += 1
            assert step.places is not None
            after = read_vector(step.places)
            if taken == 7:
                break
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator

    assert sorted(seen) == sorted(ids)


async def test_offsets_that_the_log_has_not_are_moved_to_its_nearest_end(
    settings: KafkaSettings,
) -> None:
    async with sending(settings, PARTITIONS) as sender:
        await sender.send(opened(CASES[0]))
    far = {Partition(topic, n): 10**9 for topic in OWNER_OF for n in range(PARTITIONS)}
    reader = KafkaLogReader(settings)
    try:
        begun = await reader.start(far)
    finally:
        await reader.stop()

    assert begun.missing == 0
    assert sum(begun.places.values()) == 1


async def test_positions_of_groups_are_those_that_the_consumers_report(
    infra: Infra, template: str, settings: KafkaSettings
) -> None:
    dsn = await infra.create_database("console", template=template)
    database = await PostgresDatabase.open(dsn)
    groups = KafkaGroups(settings)
    try:
        async with sending(settings, PARTITIONS) as sender, projecting(settings, database):
            ids = await story(sender)

            async def reported() -> bool:
                found = await groups.positions(["console", "intake"])
                return sum(found.groups["console"].values()) == len(ids)

            await eventually(reported, "the group's positions in Kafka")
            found = await groups.positions(["console", "intake"])
        assert sum(found.ends.values()) == len(ids)
        assert found.groups["intake"] == {}
    finally:
        await database.close()
        await infra.drop_database(dsn)


class Viewer:
    """A browser's EventSource: reads rows, remembers the last id, comes back with it."""

    def __init__(self, deployment: Deployment, case: UUID, after: str) -> None:
        self.deployment = deployment
        self.url = (
            f"{deployment.url(Service.CONSOLE)}/stream/events?case={case}&after={quote(after)}"
        )
        self.last_id: str | None = None
        self.rows: list[str] = []
        self.connections = 0

    async def run(self) -> None:
        """Reads until it is cancelled, whatever happens to the console."""
        while True:
            headers = self.deployment.headers(Role.OPS)
            if self.last_id:
                headers["last-event-id"] = self.last_id
            try:
                async with self.deployment.client.stream(
                    "GET", self.url, headers=headers, timeout=httpx.Timeout(5, read=None)
                ) as answer:
                    answer.raise_for_status()
                    self.connections += 1
                    await self._read(answer)
            except (httpx.TransportError, httpx.HTTPStatusError):
                await asyncio.sleep(0.05)  # as a browser does: it comes back after a pause

    async def _read(self, answer: httpx.Response) -> None:
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = fields.get(name, "") + value
                continue
            # dispatched as a whole: a break within an event leaves both id and rows as they were
            if "id" in fields:
                self.last_id = fields["id"]
            if fields.get("event") == "row":
                self.rows.append(fields["data"].split('data-place="', 1)[1].split('"', 1)[0])
            fields = {}


@pytest.mark.timeout(180)
async def test_a_stream_over_killed_and_restarted_consoles_has_no_gap_and_no_double(
    infra: Infra, tmp_path: Path
) -> None:
    case = uuid4()
    async with deployed(infra, tmp_path, services=[Service.CONSOLE]) as deployment:
        prefix = deployment.kafka_prefix
        kafka = KafkaSettings(bootstrap=infra.kafka_bootstrap, client_id="test", prefix=prefix)
        reader = KafkaLogReader(kafka)
        begun = await reader.start(None)
        await reader.stop()
        viewer = Viewer(deployment, case, write_vector(begun.places))
        watching = asyncio.ensure_future(viewer.run())
        async with sending(kafka, 12) as sender:
            pump = asyncio.ensure_future(_pump(sender, case, 300))
            await eventually(lambda: _more(viewer, 30), "the first rows")
            await deployment.kill(Service.CONSOLE)
            await deployment.start(Service.CONSOLE)
            await eventually(lambda: _more(viewer, 120), "rows after the kill")
            assert await deployment.stop(Service.CONSOLE) in {0, 143}
            await deployment.start(Service.CONSOLE)
            sent = await pump
            await eventually(lambda: _more(viewer, len(sent)), "all rows", within_seconds=40)
        watching.cancel()

    assert viewer.connections >= 3
    assert len(viewer.rows) == len(set(viewer.rows)) == len(sent)
    assert sorted(viewer.rows) == sorted(sent)


async def _more(viewer: Viewer, count: int) -> bool:
    return len(viewer.rows) >= count


async def _pump(sender: Sender, case: UUID, count: int) -> list[str]:
    """Sends events of two topics at a steady rate; answers their places in the log."""
    places = []
    for n in range(count):
        event = hold(case, hold_id=uuid4()) if n % 3 else raised(case, alert_id=uuid4())
        places += await sender.send(event)
        await asyncio.sleep(0.03)  # a rate, not a wait for anything
    return places
