"""Forward-only SQL migrations, applied once each under an advisory lock.

A file is `NNNN_name.sql`; its checksum is stored, and a changed file is refused, so that what runs
in production is what was reviewed. Files of several folders (those of `shared` and the service's
own) are kept apart by the folder's name.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import asyncpg

_LOCK: Final = 0x7A6E_64656D  # "tandem": one migrator per database at a time
_CREATE: Final = """
CREATE TABLE IF NOT EXISTS schema_migration (
    source text NOT NULL, name text NOT NULL, sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (source, name))
"""


class MigrationError(Exception):
    """A migration that was applied has been changed, or one failed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of SQL."""

    source: str
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The checksum of the text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations_in(package: str, folder: str = "migrations") -> tuple[Migration, ...]:
    """The migrations that ship with a package, in the order of their names."""
    directory = files(package).joinpath(folder)
    found = sorted(
        (f for f in directory.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name
    )
    return tuple(Migration(package, f.name, f.read_text(encoding="utf-8")) for f in found)


async def migrate(dsn: str, migrations: Sequence[Migration]) -> tuple[str, ...]:
    """Applies what is missing and returns the names applied. Raises `MigrationError`."""
    connection = await asyncpg.connect(dsn, server_settings={"timezone": "UTC"})
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(_CREATE)
        return tuple([m.name for m in migrations if await _apply(connection, m)])
    finally:
        await connection.close()


async def _apply(connection: Any, migration: Migration) -> bool:  # noqa: ANN401
    known = await connection.fetchval(
        "SELECT sha256 FROM schema_migration WHERE source = $1 AND name = $2",
        migration.source,
        migration.name,
    )
    if known is not None:
        if known != migration.sha256:
            raise MigrationError(f"{migration.source}/{migration.name} was changed after it ran")
        return False
    async with connection.transaction():
        try:
            await connection.execute(migration.sql)
        except asyncpg.PostgresError as error:
            raise MigrationError(f"{migration.source}/{migration.name}: {error}") from error
        await connection.execute(
            "INSERT INTO schema_migration (source, name, sha256) VALUES ($1, $2, $3)",
            migration.source,
            migration.name,
            migration.sha256,
        )
    return True
