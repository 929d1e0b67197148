"""The servers of a run on one machine, and how a service of ours is declared beside them.

Ports come from `TANDEM_KAFKA_PORT`, `TANDEM_KAFKA_CONTROLLER_PORT` and `TANDEM_POSTGRES_PORT`; 0
means any free one. The defaults keep out of the way of servers that the machine may already run.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from shared.runtime.kafka import Kafka
from shared.runtime.paths import CHECKOUT, Paths
from shared.runtime.ports import LOOPBACK, free_port
from shared.runtime.postgres import Postgres
from shared.runtime.programs import Program, Restart

DEFAULT_PORTS = {
    "TANDEM_KAFKA_PORT": 29092,
    "TANDEM_KAFKA_CONTROLLER_PORT": 29093,
    "TANDEM_POSTGRES_PORT": 25432,
}
PORT_MAX = 65_535
HEALTH_SECONDS_MAX = 1.0
# A service that keeps dying has a cause that a sixth start does not remove.
SERVICE_RESTARTS = 5
# A stop during a rebalance of a consumer group took 11.6 s.
SERVICE_STOP_SECONDS = 30.0


class BadPort(ValueError):
    """A port in the settings is no port."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Kafka and PostgreSQL of one run."""

    kafka: Kafka
    postgres: Postgres

    def programs(self) -> list[Program]:
        """Both servers, to be started side by side."""
        return [self.postgres.program(), self.kafka.program()]

    def endpoints(self) -> dict[str, str]:
        """Where both are reached, without secrets."""
        return {
            "kafka": self.kafka.bootstrap,
            "postgres": f"{LOOPBACK}:{self.postgres.port}",
        }


def native_stack(paths: Paths, environ: Mapping[str, str] = os.environ) -> Stack:
    """The servers at the ports of the settings. Raises `BadPort`."""
    broker, controller, database = chosen_ports(environ).values()
    return Stack(Kafka(paths, broker, controller), Postgres(paths, database))


def chosen_ports(environ: Mapping[str, str] = os.environ) -> dict[str, int]:
    """The ports by the names of their settings; those set to 0 are chosen here, all different."""
    ports: dict[str, int] = {}
    for name, default in DEFAULT_PORTS.items():
        asked = environ.get(name) or str(default)
        if not asked.isdecimal() or int(asked) > PORT_MAX:
            raise BadPort(f"{name}={asked} is no port; it is a number from 0 (any) to {PORT_MAX}")
        ports[name] = int(asked) or free_port(besides=ports.values())
    return ports


def service_program(
    module: str,
    *,
    port: int,
    env: Mapping[str, str],
    name: str | None = None,
    after: tuple[str, ...] = (),
) -> Program:
    """A service of ours, `python -m module`, ready when its `/health/ready` says so."""
    return Program(
        name=name or module.rpartition(".")[2],
        argv=(sys.executable, "-m", module),
        awaited=f"http://{LOOPBACK}:{port}/health/ready answering 200",
        ready=lambda: health_is_ready(port),
        after=after,
        env={"PYTHONUNBUFFERED": "1", **env},
        cwd=CHECKOUT,
        stop_within_seconds=SERVICE_STOP_SECONDS,
        restart=Restart(attempts=SERVICE_RESTARTS),
        ports=(port,),
    )


async def health_is_ready(port: int) -> bool:
    """True if the service at the loopback port says that it is ready."""
    # Without trust_env a proxy of the user's would be asked for our own loopback.
    async with httpx.AsyncClient(timeout=HEALTH_SECONDS_MAX, trust_env=False) as client:
        try:
            answer = await client.get(f"http://{LOOPBACK}:{port}/health/ready")
        except httpx.HTTPError:
            return False
    return answer.is_success
