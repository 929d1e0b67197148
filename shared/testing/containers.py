"""The testcontainers back end of the test servers: the official images on fixed loopback ports.

Fixed ports, because Kafka must advertise the port that its clients use, and because a server that
was killed must come back at the same address. The servers have the settings of the native mode,
from the same files. `TANDEM_KAFKA_IMAGE` and `TANDEM_POSTGRES_IMAGE` name other images.
"""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from shared.persistence.postgres import DRIVER_ERRORS
from shared.runtime import kafka, postgres
from shared.runtime.paths import CHECKOUT
from shared.runtime.ports import LOOPBACK, free_ports
from shared.runtime.programs import wait_until
from shared.runtime.topics import broker_answers

KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:18"
READY_WITHIN_SECONDS = 120.0
CONNECT_SECONDS_MAX = 2.0
# An orderly stop of either server takes less; Docker's own patience ends after 10 s.
STOP_SECONDS_MAX = 30
# Where clients reach a server in a container is no setting of the native mode.
_PLACES = frozenset({"listen_addresses", "unix_socket_directories"})
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
        options = {"timeout": STOP_SECONDS_MAX} if verb == "stop" else {}
        await asyncio.to_thread(getattr(box, verb), **options)
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
            self._postgres_answers,
            f"PostgreSQL at port {self.postgres_port}",
            within_seconds=READY_WITHIN_SECONDS,
        )

    async def _postgres_answers(self) -> bool:
        """Asks the server itself: Docker's proxy accepts connections before there is one."""
        try:
            connection = await asyncpg.connect(
                f"{self.postgres_dsn}postgres", timeout=CONNECT_SECONDS_MAX
            )
        except DRIVER_ERRORS:
            return False
        await connection.close()
        return True


@contextmanager
def started() -> Iterator[Boxes]:
    """Both servers in containers, for as long as the block lasts."""
    # Only this back end needs the client of the container engine.
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    broker_port, postgres_port = free_ports(2)
    broker = DockerContainer(os.environ.get("TANDEM_KAFKA_IMAGE", KAFKA_IMAGE))
    for name, value in kafka_environment(broker_port).items():
        broker = broker.with_env(name, value)
    _publish(broker, broker_port, broker_port)
    database = DockerContainer(os.environ.get("TANDEM_POSTGRES_IMAGE", POSTGRES_IMAGE))
    database = database.with_env("POSTGRES_PASSWORD", PASSWORD)
    database = database.with_env("POSTGRES_USER", postgres.ADMIN)
    database = database.with_command(postgres_arguments())
    _publish(database, 5432, postgres_port)
    with ExitStack() as stack:
        for box in (broker, database):
            stack.enter_context(box)
        boxes = Boxes(
            kafka_bootstrap=f"{LOOPBACK}:{broker_port}",
            postgres_dsn=f"postgresql://{postgres.ADMIN}:{PASSWORD}@{LOOPBACK}:{postgres_port}/",
            postgres_port=postgres_port,
            by_name={kafka.NAME: broker, postgres.NAME: database},
        )
        asyncio.run(boxes.wait_until_ready())
        yield boxes


def kafka_environment(port: int) -> dict[str, str]:
    """The broker's settings as the image takes them: those of deploy/kafka/server.properties."""
    text = (CHECKOUT / "deploy" / "kafka" / "server.properties").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    settings = dict(line.split("=", 1) for line in lines)
    settings |= {
        "controller.quorum.voters": "1@127.0.0.1:9093",
        "listeners": f"PLAINTEXT://:{port},CONTROLLER://127.0.0.1:9093",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "log.dirs": "/var/lib/kafka/data",
    }
    return {
        "CLUSTER_ID": kafka.CLUSTER_ID,
        "KAFKA_HEAP_OPTS": "-Xms256m -Xmx512m",
        **{f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in settings.items()},
    }


def postgres_arguments() -> list[str]:
    """The server's settings as arguments: those of deploy/postgres/postgresql.conf."""
    text = (CHECKOUT / "deploy" / "postgres" / "postgresql.conf").read_text()
    settings = dict(re.findall(r"^(\w+) = '?([^'\n]*)'?$", text, re.MULTILINE))
    pairs = [(name, value) for name, value in settings.items() if name not in _PLACES]
    return ["postgres", *(word for name, value in pairs for word in ("-c", f"{name}={value}"))]


def _publish(box: Any, inside: int, outside: int) -> None:  # noqa: ANN401 - as above
    """Maps the port to loopback; the method for this would map it to all addresses."""
    box.ports[str(inside)] = (LOOPBACK, outside)
