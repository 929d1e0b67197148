"""Kafka and PostgreSQL for tests: one face, three back ends.

`INFRA` chooses: `native` (default) starts both on this machine, `testcontainers` in containers,
`external` uses what `TANDEM_KAFKA_BOOTSTRAP` and `TANDEM_DATABASE_URL` name. Tests that only use
`Infra` run on each of them.

Invariant: tests never touch the servers of `tandem up`, and each database that a test asks for is
its own, so tests may run side by side on one server.
"""

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from shared.runtime import kafka, postgres
from shared.runtime.topics import TopicSpecs, create_topics
from shared.testing import containers, native

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


class NotControllable(RuntimeError):
    """The test wants to kill or start a server that it may not touch."""


class Controls(Protocol):
    """Takes single servers down and up again; returns when that is done."""

    async def command(self, verb: str, server: str) -> None:
        """`verb` is kill (as a crash), stop (in order) or start (until ready)."""
        ...


class Infra:
    """Running servers, as a test sees them."""

    def __init__(self, *, kafka_bootstrap: str, postgres_dsn: str, controls: Controls) -> None:
        self.kafka_bootstrap = kafka_bootstrap
        self._postgres_dsn = postgres_dsn
        self._controls = controls

    def postgres_dsn(self, database: str = "postgres") -> str:
        """The administrator's address of a database."""
        return urlunsplit(urlsplit(self._postgres_dsn)._replace(path=f"/{database}"))

    async def create_database(self, name: str = "test", *, template: str | None = None) -> str:
        """The address of a new database whose name begins with `name` and is used by nobody else.

        `template` is the address of a database to copy, to which nobody may be connected: migrate
        once, then copy for each test.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a database")
        fresh = f"{name}_{secrets.token_hex(6)}"
        source = "template0" if template is None else _database_of(template)
        await self._administer(f'CREATE DATABASE "{fresh}" TEMPLATE "{source}"')
        return self.postgres_dsn(fresh)

    async def drop_database(self, dsn: str) -> None:
        """Removes the database, with whatever is still connected to it."""
        await self._administer(f'DROP DATABASE IF EXISTS "{_database_of(dsn)}" WITH (FORCE)')

    async def create_topics(self, topics: TopicSpecs) -> None:
        """Makes the topics and waits until they can be written to."""
        await create_topics(self.kafka_bootstrap, topics)

    async def kill_kafka(self) -> None:
        """Kafka dies as in a crash, and stays down."""
        await self._controls.command("kill", kafka.NAME)

    async def stop_kafka(self) -> None:
        """Kafka stops in an orderly way, and stays down."""
        await self._controls.command("stop", kafka.NAME)

    async def start_kafka(self) -> None:
        """Kafka is up again, at the same address with the same data."""
        await self._controls.command("start", kafka.NAME)

    async def kill_postgres(self) -> None:
        """PostgreSQL dies as in a crash, and stays down."""
        await self._controls.command("kill", postgres.NAME)

    async def stop_postgres(self) -> None:
        """PostgreSQL stops in an orderly way, ending all sessions, and stays down."""
        await self._controls.command("stop", postgres.NAME)

    async def start_postgres(self) -> None:
        """PostgreSQL is up again, at the same address with the same data."""
        await self._controls.command("start", postgres.NAME)

    async def _administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self.postgres_dsn())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


class _HandsOff:
    """The controls of servers that are not ours, or that others use at the same time."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def command(self, verb: str, server: str) -> None:
        raise NotControllable(f"cannot {verb} {server}: {self._reason}")


@contextmanager
def running_infra(
    directory: Path, *, shared: bool, environ: Mapping[str, str] = os.environ
) -> Iterator[Infra]:
    """Servers for as long as the block lasts.

    All who name the same directory get the same native servers; `shared` says that there may be
    others, and then nobody may take the servers down.
    """
    match environ.get("INFRA", "native"):
        case "native":
            with native.joined(directory) as servers:
                controls: Controls = (
                    _HandsOff("other test processes use it; ask for the fixture `own_infra`")
                    if shared
                    else servers
                )
                yield Infra(
                    kafka_bootstrap=servers.kafka_bootstrap,
                    postgres_dsn=servers.postgres_dsn,
                    controls=controls,
                )
        case "testcontainers":
            with containers.started() as boxes:
                yield Infra(
                    kafka_bootstrap=boxes.kafka_bootstrap,
                    postgres_dsn=boxes.postgres_dsn,
                    controls=boxes,
                )
        case "external":
            yield Infra(
                kafka_bootstrap=environ["TANDEM_KAFKA_BOOTSTRAP"],
                postgres_dsn=environ["TANDEM_DATABASE_URL"],
                controls=_HandsOff("it is not a server of this test run (INFRA=external)"),
            )
        case unknown:
            raise ValueError(f"INFRA={unknown!r}; it is native, testcontainers or external")


def _database_of(dsn: str) -> str:
    return urlsplit(dsn).path.removeprefix("/")
