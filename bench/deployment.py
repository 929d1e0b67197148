"""The services as real processes on the servers of this run, spoken to over HTTP like staff do."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from bench.stage import Stage
from services.console.programs import chosen_ports, environment, service_environment
from shared.contracts.vocabulary import Role, Service
from shared.runtime.children import LAUNCHER
from shared.runtime.dev_tokens import DevIdentity
from shared.runtime.paths import CHECKOUT
from shared.runtime.ports import LOOPBACK, free_port
from shared.runtime.programs import wait_until
from shared.testing.processes import end_processes

#: the four that every installation has
FOUR: Final = (
    Service.INTAKE,
    Service.MANUFACTURING,
    Service.INFUSION_SCHEDULING,
    Service.NOTIFICATION,
)
READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
_LOG_SHOWN: Final = 3_000
#: more than one person: each has a rate limit
PEOPLE: Final = 20


@dataclass(slots=True)
class Deployment:
    """Running services."""

    ports: Mapping[str, int]
    client: httpx.AsyncClient
    identity: DevIdentity
    logs: Path
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    def url(self, service: Service) -> str:
        """Where the service listens."""
        return f"http://{LOOPBACK}:{self.port(service)}"

    @property
    def issuer(self) -> str:
        """The sign-in."""
        return f"http://{LOOPBACK}:{self.ports['TANDEM_PORT_IDENTITY']}"

    def port(self, service: Service) -> int:
        """The port of the service."""
        return self.ports[f"TANDEM_PORT_{service.value.upper()}"]

    def pid(self, service: Service) -> int:
        """The process of the service. Raises RuntimeError with the end of a dead one's log."""
        process = self.processes[service.value]
        if process.returncode is not None:
            text = (self.logs / f"{service.value}.log").read_text(errors="replace")
            raise RuntimeError(f"{service.value} died: {text[-_LOG_SHOWN:]}")
        return process.pid

    def bearer(self, role: Role, person: int = 0) -> dict[str, str]:
        """The headers of one of some people in this role."""
        subject = f"bench-{person % PEOPLE}"
        token = self.identity.issue_token(subject, [role.value], now=datetime.now(UTC))
        return {"authorization": f"Bearer {token}"}

    async def post(
        self, service: Service, path: str, body: object, headers: Mapping[str, str]
    ) -> Any:  # noqa: ANN401 - JSON
        """The answer to a command that succeeds. Raises `httpx.HTTPStatusError`."""
        answer = await self.client.post(self.url(service) + path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()

    async def spawn(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Starts a process that the end of the deployment stops, or else the end of this one."""
        wishes = {"uid": None, "parent": os.getpid(), "death_signal": signal.SIGTERM}
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                sys.executable, str(LAUNCHER), json.dumps(wishes), sys.executable, "-m", *argv,
                cwd=CHECKOUT, stdout=log, stderr=log,
                env={**os.environ, **env, "PYTHONPATH": str(CHECKOUT)},
            )  # fmt: skip

    async def is_ready(self, service: Service) -> bool:
        """Whether it answers and consumes."""
        self.pid(service)
        try:
            answer = await self.client.get(f"{self.url(service)}/health/ready")
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK

    async def end(self) -> None:
        """Stops everything, at the latest by force."""
        await end_processes(self.processes.values(), within_seconds=STOP_SECONDS)


@asynccontextmanager
async def deployed(
    stage: Stage, services: Sequence[Service] = FOUR, *, module: str | None = None, told: str = ""
) -> AsyncIterator[Deployment]:
    """The services, ready, with databases and topics that are nobody else's.

    With `module`, it runs them, and is given the name of the service and `told`.
    """
    ports = _ports()
    var = stage.directory / f"deployment-{len(services)}"
    var.mkdir(exist_ok=True)
    prefix = await stage.topics()
    common = {
        **environment(stage.infra.kafka_bootstrap, ports, var), "TANDEM_KAFKA_PREFIX": prefix,
    }  # fmt: skip
    identity = DevIdentity.prepare(var, common["TANDEM_OIDC_ISSUER"])
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(timeout=30.0, trust_env=False, limits=limits) as client:
        found = Deployment(ports, client, identity, stage.logs)
        try:
            await found.spawn("identity", ["shared.runtime.dev_identity"], common)
            for service in services:
                dsn = await stage.infra.create_database(service.value)
                env = service_environment(service, common, ports, dsn)
                argv = (
                    [f"services.{service.value}"]
                    if module is None
                    else [module, service.value, told]
                )
                await found.spawn(service.value, argv, env)
            await asyncio.gather(*(_until_ready(found, service) for service in services))
            yield found
        finally:
            await found.end()


def _ports() -> dict[str, int]:
    names = chosen_ports({})
    ports: dict[str, int] = {}
    for name in names:
        ports[name] = free_port(besides=ports.values())
    return ports


async def _until_ready(deployment: Deployment, service: Service) -> None:
    await wait_until(
        lambda: deployment.is_ready(service), f"{service.value} ready",
        within_seconds=READY_SECONDS,
    )  # fmt: skip
