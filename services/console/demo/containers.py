"""The demo against docker-compose.yml: the same story, with containers in place of processes.

Invariant: it has a compose project of its own (`TANDEM_COMPOSE_PROJECT`, by default tandem-demo),
whose volumes it empties; containers of any other project are never touched.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx

from services.console import contained
from services.console.contained import Ports, published_ports, service_urls
from services.console.demo.site import Site
from services.console.programs import SERVICES
from shared.contracts.vocabulary import Service
from shared.runtime.compose import Compose, ComposeFailed, find_compose
from shared.runtime.dev_tokens import DEMO_USERS
from shared.runtime.paths import Paths
from shared.runtime.ports import LOOPBACK
from shared.runtime.postgres import ADMIN
from shared.runtime.postgres import NAME as POSTGRES
from shared.runtime.stack import health_is_ready

PROJECT: Final = "tandem-demo"
#: as docker-compose.yml tells PostgreSQL; what psql takes for granted differs between images
SOCKETS: Final = "/var/run/postgresql"


@dataclass(frozen=True, slots=True)
class Containers:
    """The services' containers by service. A killed one is started again by `revive`."""

    compose: Compose
    ids: Mapping[Service, str]
    urls: Mapping[Service, str]

    async def crash(self, service: Service) -> None:
        """SIGKILL to the container's only process."""
        await self._act("kill", service)

    async def freeze(self, service: Service) -> None:
        """The kernel's freezer, for the whole container."""
        await self._act("pause", service)

    async def thaw(self, service: Service) -> None:
        """The freezer lets go."""
        try:
            await self._act("unpause", service)
        except ProcessLookupError:
            return

    async def revive(self, service: Service) -> None:
        """Docker lets a killed container lie; the demo stands in for whoever watches over it."""
        await self._act("start", service)

    async def is_ready(self, service: Service) -> bool:
        """Asks the published port."""
        return await health_is_ready(urlsplit(self.urls[service]).port or 0)

    async def _act(self, verb: str, service: Service) -> None:
        try:
            await self.compose.one(verb, self.ids[service])
        except ComposeFailed as error:
            raise ProcessLookupError(f"{service.value}: {error}") from error


def demo_compose(environ: Mapping[str, str] = os.environ) -> tuple[Compose, Ports]:
    """The demo's project, and the published ports by the names of their settings."""
    ports = published_ports(environ)
    project = environ.get("TANDEM_COMPOSE_PROJECT", PROJECT)
    return find_compose(project, {name: str(port) for name, port in ports.items()}), ports


@asynccontextmanager
async def up(compose: Compose, ports: Ports, paths: Paths) -> AsyncIterator[Site]:
    """Everything started on empty volumes and ready; gone without a trace after the block."""
    await compose.down(keep_data=False)
    build = "TANDEM_IMAGE" not in os.environ
    async with contained.up(compose, ports, paths.logs, build=build, keep_data=False):
        yield await _site(compose, ports, paths.var)


async def containers_of(compose: Compose, site: Site) -> Containers:
    """The containers of the services."""
    ids = {service: await compose.container(service.value) for service in SERVICES}
    return Containers(compose, ids, site.urls)


async def _site(compose: Compose, ports: Ports, var: Path) -> Site:
    postgres = await compose.container(POSTGRES)
    # inside the container, where the server trusts its own socket; nothing is published
    inside = ("docker", "exec", "--interactive", "--env", "PGOPTIONS", postgres)
    psql = (*inside, "psql", f"--host={SOCKETS}", f"--username={ADMIN}")
    return Site(
        urls=service_urls(ports),
        databases={s: (*psql, f"--dbname=tandem_{s.value}") for s in SERVICES},
        issuer=f"http://{LOOPBACK}:{ports['TANDEM_PORT_IDENTITY']}",
        inbox=f"http://{LOOPBACK}:{ports['TANDEM_PORT_MAIL_PAGE']}",
        kafka=f"{LOOPBACK}:{ports['TANDEM_KAFKA_PORT']}",
        var=var,
    )


async def sign_in(client: httpx.AsyncClient, issuer: str) -> Mapping[str, str]:
    """A token of each demo user by subject, by the code flow with PKCE that browsers use too.

    The signing key lies in a volume, where only the sign-in's container reads it.
    """
    return {user.subject: await _token(client, issuer, user.subject) for user in DEMO_USERS}


async def _token(client: httpx.AsyncClient, issuer: str, subject: str) -> str:
    verifier = secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "client_id": Service.CONSOLE.value,
        "redirect_uri": f"http://{LOOPBACK}/",
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
    }
    answer = await client.post(f"{issuer}/authorize", data={**asked, "user": subject})
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    form = {
        "grant_type": "authorization_code",
        "client_id": asked["client_id"],
        "redirect_uri": asked["redirect_uri"],
        "code": code,
        "code_verifier": verifier,
    }
    return str((await client.post(f"{issuer}/token", data=form)).json()["access_token"])
