"""The testcontainers back end of the test servers: the official images on fixed loopback ports.

Fixed ports, because Kafka must advertise the port that its clients use, and because a server that
was killed must come back at the same address.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from shared.runtime import kafka, postgres
from shared.runtime.ports import LOOPBACK, free_ports
from shared.runtime.programs import listening, wait_until
from shared.runtime.topics import broker_answers

KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:18"
READY_WITHIN_SECONDS = 120.0
# For servers that live as long as one test run and are published on loopback only.
PASSWORD = "tandem"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Boxes:
    """The two running containers."""

    kafka_bootstrap: str
    postgres_dsn: str
    postgres_port: int
    by_name: dict[str, Any]

    async def command(self, verb: str, server: str) -> None:
        """Kills, stops or starts a container; returns when that is done."""
        box = self.by_name[server].get_wrapped_container()
        await asyncio.to_thread(getattr(box, verb))
        if verb == "start":
            await self.wait_until_ready()

    async def wait_until_ready(self) -> None:
        """Returns when both servers answer."""
        await wait_until(
            lambda: broker_answers(self.kafka_bootstrap),
            f"Kafka at {self.kafka_bootstrap}",
            within_seconds=READY_WITHIN_SECONDS,
        )
        await wait_until(
            lambda: listening(LOOPBACK, self.postgres_port),
            f"PostgreSQL at port {self.postgres_port}",
            within_seconds=READY_WITHIN_SECONDS,
        )


@contextmanager
def started() -> Iterator[Boxes]:
    """Both servers in containers, for as long as the block lasts."""
    # Only this back end needs the client of the container engine.
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    broker_port, postgres_port = free_ports(2)
    broker = _kafka(DockerContainer(KAFKA_IMAGE), broker_port)
    database = DockerContainer(POSTGRES_IMAGE).with_env("POSTGRES_PASSWORD", PASSWORD)
    database = database.with_env("POSTGRES_USER", postgres.ADMIN).with_env("TZ", "UTC")
    _publish(database, 5432, postgres_port)
    with ExitStack() as stack:
        for box in (broker, database.with_command("-c max_connections=300")):
            stack.enter_context(box)
        boxes = Boxes(
            kafka_bootstrap=f"{LOOPBACK}:{broker_port}",
            postgres_dsn=f"postgresql://{postgres.ADMIN}:{PASSWORD}@{LOOPBACK}:{postgres_port}/",
            postgres_port=postgres_port,
            by_name={kafka.NAME: broker, postgres.NAME: database},
        )
        asyncio.run(boxes.wait_until_ready())
        yield boxes


def _kafka(box: Any, port: int) -> Any:  # noqa: ANN401 - testcontainers has no types
    settings = {
        "NODE_ID": "1",
        "PROCESS_ROLES": "broker,controller",
        "CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "ADVERTISED_LISTENERS": f"PLAINTEXT://{LOOPBACK}:{port}",
        "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "AUTO_CREATE_TOPICS_ENABLE": "false",
        "OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
    for name, value in settings.items():
        box = box.with_env(f"KAFKA_{name}", value)
    _publish(box, port, port)
    return box


def _publish(box: Any, inside: int, outside: int) -> None:  # noqa: ANN401 - as above
    """Maps the port to loopback; the method for this would map it to all addresses."""
    box.ports[str(inside)] = (LOOPBACK, outside)
