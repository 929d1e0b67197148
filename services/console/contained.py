"""The system of docker-compose.yml on this machine: up and ready, and down again.

Invariants: a block of `up` ends with no container of its project, however it ends; the volumes,
which hold the data, stay unless the caller says otherwise. The last words of containers that did
not come up are kept in a file, for they go with their containers.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from services.console.programs import SERVICES
from services.console.programs import chosen_ports as service_ports
from shared.contracts.vocabulary import Service
from shared.runtime.compose import Compose, ComposeFailed
from shared.runtime.ports import LOOPBACK
from shared.runtime.programs import NotYet, StartFailed, wait_until
from shared.runtime.stack import chosen_ports as server_ports
from shared.runtime.stack import health_is_ready

#: several services start at once, on few cores, after everything that they wait for
READY_SECONDS_MAX: Final = 120.0
LAST_WORDS: Final = "compose.log"

Ports = Mapping[str, int]


def published_ports(environ: Mapping[str, str]) -> Ports:
    """The ports on this machine by the names of their settings. Raises `BadPort`."""
    return {**service_ports(environ), **server_ports(environ)}


def service_urls(ports: Ports) -> Mapping[Service, str]:
    """Where the services are reached from this machine."""
    return {s: f"http://{LOOPBACK}:{ports[f'TANDEM_PORT_{s.value.upper()}']}" for s in SERVICES}


def endpoints(ports: Ports) -> dict[str, str]:
    """What `tandem up` names, by name; PostgreSQL is not published."""
    return {
        "kafka": f"{LOOPBACK}:{ports['TANDEM_KAFKA_PORT']}",
        **{service.value: url for service, url in service_urls(ports).items()},
        "identity": f"http://{LOOPBACK}:{ports['TANDEM_PORT_IDENTITY']}",
        "mail": f"http://{LOOPBACK}:{ports['TANDEM_PORT_MAIL_PAGE']}",
    }


@asynccontextmanager
async def up(
    compose: Compose, ports: Ports, logs: Path, *, build: bool, keep_data: bool
) -> AsyncIterator[None]:
    """Every service ready within the block, no container after it. Raises `StartFailed`."""
    try:
        try:
            await compose.up(build=build)
            await _until_ready(ports)
        except StartFailed as failed:
            raise StartFailed(f"{failed}\n{await _last_words(compose, logs)}") from None
        yield
    finally:
        await compose.down(keep_data=keep_data)


async def _until_ready(ports: Ports) -> None:
    async def all_ready() -> bool:
        found = [urlsplit(url).port or 0 for url in service_urls(ports).values()]
        return all([await health_is_ready(port) for port in found])

    try:
        await wait_until(
            all_ready, "every service answering that it is ready", within_seconds=READY_SECONDS_MAX
        )
    except NotYet as error:
        raise StartFailed(str(error)) from None


async def _last_words(compose: Compose, logs: Path) -> str:
    """Where they are, once they are kept there; or why they are nowhere."""
    try:
        words = await compose.last_words()
    except ComposeFailed as failed:
        return f"what the containers said cannot be had: {failed}"
    path = await asyncio.to_thread(_keep, words, logs)
    return f"what the containers said is in {path}"


def _keep(words: str, logs: Path) -> Path:
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / LAST_WORDS
    path.write_text(words, encoding="utf-8")
    return path
