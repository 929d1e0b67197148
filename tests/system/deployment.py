"""The services as real processes on the test's Kafka and PostgreSQL, spoken to as staff apps do.

Every process is started, killed and stopped by its own pid; leaving the block ends them all.
"""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from services.console.programs import (
    _EXTRA_PORTS,
    SERVICES,
    environment,
    service_environment,
)
from shared.contracts.vocabulary import Role, Service
from shared.messaging.topics import catalogue_topics
from shared.runtime.dev_tokens import DevIdentity
from shared.runtime.paths import CHECKOUT
from shared.runtime.ports import free_port
from shared.testing.infra import Infra
from shared.testing.processes import end_processes

READY_SECONDS = 90.0
#: what the FHIR server of the examples shows; at its address nobody answers
FEED_SECRET = secrets.token_hex(16)
FEEDS = json.dumps(
    [{"name": "ehr", "kind": "fhir", "base": "http://127.0.0.1:9/fhir", "plain_http": True,
      "secret": FEED_SECRET}]
)  # fmt: skip
STOP_SECONDS = 30.0


async def eventually(holds: Any, awaited: str, *, within_seconds: float = 20.0) -> Any:
    """The first truthy answer of `holds` (awaited); fails with what was awaited."""
    deadline = asyncio.get_running_loop().time() + within_seconds
    last: Any = None
    while asyncio.get_running_loop().time() < deadline:
        last = await holds()
        if last:
            return last
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {within_seconds} s: {awaited} (last: {last!r})")


@dataclass
class Deployment:
    """Running services of one test."""

    ports: Mapping[str, int]
    env: Mapping[Service, Mapping[str, str]]
    identity: DevIdentity
    logs: Path
    client: httpx.AsyncClient
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    def url(self, service: Service) -> str:
        return f"http://127.0.0.1:{self.ports[f'TANDEM_PORT_{service.value.upper()}']}"

    def headers(self, *roles: Role, subject: str = "u-1") -> dict[str, str]:
        token = self.identity.issue_token(
            subject, [role.value for role in roles], now=datetime.now(UTC)
        )
        return {"authorization": f"Bearer {token}"}

    @property
    def kafka_prefix(self) -> str:
        return next(iter(self.env.values()))["TANDEM_KAFKA_PREFIX"]

    def dsn(self, service: Service) -> str:
        return self.env[service][f"TANDEM_DATABASE_URL_{service.value.upper()}"]

    async def start(
        self,
        service: Service,
        extra: Mapping[str, str] | None = None,
        *,
        wait_for_events: bool = True,
    ) -> None:
        """Returns when the service is ready; or, without Kafka, when it answers at all."""
        await self._spawn(
            service.value, f"services.{service.value}", {**self.env[service], **(extra or {})}
        )
        if not wait_for_events:
            await eventually(
                lambda: self._answers(service, "live"), f"{service.value} live",
                within_seconds=READY_SECONDS,
            )  # fmt: skip
            return
        await eventually(
            lambda: self._is_ready(service),
            f"{service.value} ready; its log: {self.log_tail(service.value)}",
            within_seconds=READY_SECONDS,
        )

    async def _spawn(self, name: str, module: str, env: Mapping[str, str]) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = await asyncio.create_subprocess_exec(
                sys.executable, "-m", module,
                env={**os.environ, **env}, cwd=CHECKOUT, stdout=log, stderr=log,
            )  # fmt: skip

    def log_tail(self, name: str) -> str:
        path = self.logs / f"{name}.log"
        return path.read_text()[-2000:] if path.exists() else ""

    async def _is_ready(self, service: Service) -> bool:
        return await self._answers(service, "ready")

    async def _answers(self, service: Service, probe: str) -> bool:
        process = self.running[service.value]
        if process.returncode is not None:
            raise AssertionError(f"{service.value} died: {self.log_tail(service.value)}")
        try:
            answer = await self.client.get(f"{self.url(service)}/health/{probe}")
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    async def kill(self, service: Service) -> None:
        process = self.running.pop(service.value)
        process.send_signal(signal.SIGKILL)
        await process.wait()

    async def stop(self, service: Service) -> int:
        process = self.running.pop(service.value)
        process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(process.wait(), STOP_SECONDS)

    async def end(self) -> None:
        await end_processes(self.running.values(), within_seconds=STOP_SECONDS)


@asynccontextmanager
async def deployed(
    infra: Infra, var: Path, services: Sequence[Service] = SERVICES
) -> AsyncIterator[Deployment]:
    """The named services, each with a database and topics of their own, and the sign-in.

    Deployments of several tests at once share one Kafka; with the same topics and consumer groups
    they would take each other's events and places.
    """
    names = [f"TANDEM_PORT_{s.value.upper()}" for s in SERVICES] + list(_EXTRA_PORTS)
    ports: dict[str, int] = {}
    for name in names:
        ports[name] = free_port(besides=ports.values())
    common = {
        **environment(infra.kafka_bootstrap, ports, var),
        "TANDEM_PERMIT_TIME_DIVISOR": "1",
        "TANDEM_FEEDS": FEEDS,
        "TANDEM_KAFKA_PREFIX": f"d{secrets.token_hex(4)}.",
    }
    await infra.create_topics(catalogue_topics(prefix=common["TANDEM_KAFKA_PREFIX"]))
    env = {
        s: service_environment(s, common, ports, await infra.create_database(s.value))
        for s in services
    }
    identity = DevIdentity.prepare(var, common["TANDEM_OIDC_ISSUER"])
    async with httpx.AsyncClient(timeout=20.0, trust_env=False) as client:
        found = Deployment(ports, env, identity, var, client)
        try:
            await found._spawn("identity", "shared.runtime.dev_identity", common)
            await asyncio.gather(*(found.start(service) for service in services))
            yield found
        finally:
            await found.end()
