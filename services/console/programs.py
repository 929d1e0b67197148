"""The processes of Tandem beside Kafka and PostgreSQL, for `tandem up`.

Contributed through the entry-point group `tandem.programs`. Ports come from
`TANDEM_PORT_<SERVICE>`, `TANDEM_PORT_IDENTITY` and `TANDEM_PORT_MAIL*`; 0 means any free one.
"""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import asyncpg

from shared.contracts.vocabulary import Service
from shared.messaging.topics import catalogue_topics
from shared.runtime.dev_tokens import DevIdentity
from shared.runtime.paths import default_paths
from shared.runtime.ports import LOOPBACK, free_port
from shared.runtime.programs import Program, Steps, listening
from shared.runtime.settings import DEFAULT_PORT
from shared.runtime.stack import Stack, service_program
from shared.runtime.topics import create_topics

IDENTITY: Final = "identity"
MAIL: Final = "mail"
#: those of our services that a run needs, in the order in which people think of them
SERVICES: Final = (
    Service.INTAKE,
    Service.MANUFACTURING,
    Service.INFUSION_SCHEDULING,
    Service.NOTIFICATION,
    Service.CONSOLE,
)
_EXTRA_PORTS: Final = {
    "TANDEM_PORT_IDENTITY": 8085,
    "TANDEM_PORT_MAIL": 8025,
    "TANDEM_PORT_MAIL_PAGE": 8026,
}


def contribute(stack: Stack) -> Sequence[Program]:
    """The demo's sign-in, its mail box and the services, ready in that order."""
    ports = chosen_ports(os.environ)
    common = environment(stack.kafka.bootstrap, ports, default_paths().var)
    return [
        _identity(ports, common),
        _mail(ports),
        *[_service(service, stack, ports, common) for service in SERVICES],
    ]


def chosen_ports(environ: Mapping[str, str]) -> dict[str, int]:
    """Ports by the names of their settings; those set to 0 are chosen here, all different."""
    wanted = {f"TANDEM_PORT_{s.value.upper()}": port for s, port in DEFAULT_PORT.items()}
    ports: dict[str, int] = {}
    for name, default in {**wanted, **_EXTRA_PORTS}.items():
        asked = int(environ.get(name) or default)
        ports[name] = asked or free_port(besides=ports.values())
    return ports


def environment(bootstrap: str, ports: Mapping[str, int], var: Path) -> dict[str, str]:
    """What all services of this run are told alike."""
    issuer = f"http://{LOOPBACK}:{ports['TANDEM_PORT_IDENTITY']}"
    urls = {
        f"TANDEM_URL_{s.value.upper()}": f"http://{LOOPBACK}:{_port(s, ports)}" for s in SERVICES
    }
    return {
        "TANDEM_MODE": os.environ.get("TANDEM_MODE", "demo"),
        "TANDEM_VAR": str(var),
        "TANDEM_KAFKA_BOOTSTRAP": bootstrap,
        "TANDEM_OIDC_ISSUER": issuer,
        "TANDEM_OIDC_JWKS_URL": f"{issuer}/jwks",
        "TANDEM_OIDC_TOKEN_URL": f"{issuer}/token",
        "TANDEM_DEMO_CLOCK": str(var / "demo-clock.json"),
        "TANDEM_SMTP_HOST": LOOPBACK,
        "TANDEM_SMTP_PORT": str(ports["TANDEM_PORT_MAIL"]),
        "TANDEM_LOG_JSON": os.environ.get("TANDEM_LOG_JSON", "false"),
        **_demo_number(),
        **urls,
    }


def _demo_number() -> dict[str, str]:
    """In the demo the red-flag card shows a number that is kept for fiction; nobody has it."""
    if os.environ.get("TANDEM_MODE", "demo") != "demo" or "TANDEM_CENTRE_PHONE" in os.environ:
        return {}
    return {"TANDEM_CENTRE_PHONE": "+1 202 555 0143"}


def _port(service: Service, ports: Mapping[str, int]) -> int:
    return ports[f"TANDEM_PORT_{service.value.upper()}"]


def _identity(ports: Mapping[str, int], common: Mapping[str, str]) -> Program:
    port = ports["TANDEM_PORT_IDENTITY"]
    return Program(
        name=IDENTITY,
        argv=(sys.executable, "-m", "shared.runtime.dev_identity"),
        awaited=f"http://{LOOPBACK}:{port}/health/live answering 200",
        ready=lambda: listening(LOOPBACK, port),
        env=common,
        ports=(port,),
    )


def _mail(ports: Mapping[str, int]) -> Program:
    smtp, page = ports["TANDEM_PORT_MAIL"], ports["TANDEM_PORT_MAIL_PAGE"]
    return Program(
        name=MAIL,
        argv=(
            sys.executable, "-m", "shared.testing.mail_sink",
            "--smtp-port", str(smtp), "--http-port", str(page),
        ),
        awaited=f"SMTP on {LOOPBACK}:{smtp}",
        ready=lambda: listening(LOOPBACK, smtp),
        ports=(smtp, page),
    )  # fmt: skip


def _service(
    service: Service, stack: Stack, ports: Mapping[str, int], common: Mapping[str, str]
) -> Program:
    name = service.value
    port = _port(service, ports)
    program = service_program(
        f"services.{name}",
        port=port,
        after=("kafka", "postgres", IDENTITY),
        env=service_environment(service, common, ports, stack.postgres.dsn(f"tandem_{name}")),
    )
    return _prepared(program, _preparation(stack, f"tandem_{name}"))


def service_environment(
    service: Service, common: Mapping[str, str], ports: Mapping[str, int], dsn: str
) -> dict[str, str]:
    """What one service is told: the common settings, its port, its database, its secret."""
    name = service.value.upper()
    identity = DevIdentity.prepare(Path(common["TANDEM_VAR"]), common["TANDEM_OIDC_ISSUER"])
    return {
        **common,
        f"TANDEM_PORT_{name}": str(_port(service, ports)),
        f"TANDEM_DATABASE_URL_{name}": dsn,
        "TANDEM_CLIENT_SECRET": identity.secret_of(service),
        "TANDEM_REPLICA": "0",
    }


def _prepared(program: Program, prepare: Callable[[Steps], Awaitable[None]]) -> Program:
    return replace(program, prepare=prepare)


def _preparation(stack: Stack, database: str) -> Callable[[Steps], Awaitable[None]]:
    async def prepare(_: Steps) -> None:
        await create_topics(stack.kafka.bootstrap, catalogue_topics())
        await _create_database(stack.postgres.dsn(), database)

    return prepare


async def _create_database(dsn: str, name: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        known = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name)
        if not known:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    finally:
        await connection.close()
