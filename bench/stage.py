"""The servers of one run of the benchmark, and fresh topics and databases for each side of a pair.

Kafka and PostgreSQL are the project's own, native, with the project's settings; they are nobody
else's and stop with the run.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg

from shared.messaging.partitioning import DEFAULT_PARTITIONS
from shared.messaging.topics import catalogue_topics
from shared.persistence.migrations import migrate, migrations_in
from shared.testing import native
from shared.testing.infra import Infra

PARTITIONS: Final = DEFAULT_PARTITIONS
CASES: Final = 2_000
#: the state that commands change and consumers keep, one row per case, for floors and for ours
_STATE: Final = """
CREATE TABLE bench_case (case_id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 0);
CREATE TABLE bench_copy (case_id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 0);
CREATE TABLE bench_inbox (event_id uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
INSERT INTO bench_case (case_id) SELECT ('00000000-0000-4000-8000-'||lpad(g::text, 12, '0'))::uuid
    FROM generate_series(1, {cases}) g;
INSERT INTO bench_copy (case_id) SELECT case_id FROM bench_case;
"""
_FOLDERS: Final = ("shared.messaging", "shared.audit")


@dataclass(slots=True)
class Stage:
    """Running servers. `pid` is the process that has started them."""

    infra: Infra
    pid: int
    directory: Path
    _template: str | None = field(default=None)

    @property
    def logs(self) -> Path:
        """Where the processes of a measurement write."""
        return self.directory

    async def database(self, name: str) -> str:
        """A fresh database with the messaging tables and one row of state per case."""
        if self._template is None:
            self._template = await self._made_template()
        return await self.infra.create_database(name, template=self._template)

    async def _made_template(self) -> str:
        dsn = await self.infra.create_database("bench_template")
        await migrate(dsn, tuple(m for folder in _FOLDERS for m in migrations_in(folder)))
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(_STATE.format(cases=CASES))
            await connection.execute("VACUUM ANALYZE")
        finally:
            await connection.close()
        return dsn

    async def topics(self) -> str:
        """The prefix of fresh topics, all of the catalogue."""
        prefix = f"b{secrets.token_hex(4)}."
        await self.infra.create_topics(catalogue_topics(PARTITIONS, prefix=prefix))
        return prefix

    async def order(self, *databases: str) -> Mapping[str, str]:
        """What a role needs: Kafka, fresh topics, and a fresh database under each of the names."""
        made = {name: await self.database(name) for name in databases}
        return {"kafka": self.infra.kafka_bootstrap, "prefix": await self.topics(), **made}

    async def drop(self, order: Mapping[str, str], *databases: str) -> None:
        """Removes the databases of an order."""
        for name in databases:
            await self.infra.drop_database(order[name])


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    """The servers for as long as the block lasts; `directory` is removed with them."""
    servers_at = directory / f"servers-{os.getpid()}"
    try:
        with native.joined(servers_at) as servers:
            infra = Infra(
                kafka_bootstrap=servers.kafka_bootstrap,
                postgres_dsn=servers.postgres_dsn,
                controls=servers,
            )
            yield Stage(infra, servers.helper.pid, servers_at)
    finally:
        native.wait_until_gone(servers_at)
