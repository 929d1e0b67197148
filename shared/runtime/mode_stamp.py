"""The mode of a store: stamped at its first start, and the same at every later one.

Invariant: what was entered in one mode is never acted upon in another. A store of a demo holds
made-up patients, a store of shadow mode holds steps that were never permitted; neither may become
the store of an installation that permits.
"""

from typing import Final

from shared.persistence.database import Database
from shared.persistence.migrations import Migration, migrations_in
from shared.persistence.statements import load_statements

_STATEMENTS: Final = load_statements("shared.runtime", "mode_queries.sql")


class ModeMixedError(Exception):
    """The store belongs to another mode; the service does not start."""

    def __init__(self, stamped: str, asked: str) -> None:
        super().__init__(
            f"this database was first used in {stamped} mode and is never used in {asked} mode; "
            f"name a database of its own for {asked} mode, or start in {stamped} mode (TANDEM_MODE)"
        )


def mode_migrations() -> tuple[Migration, ...]:
    """The table of the stamp; part of every service's database."""
    return migrations_in("shared.runtime")


async def hold_to_mode(database: Database, mode: str) -> None:
    """Stamps a new store with this mode. Raises `ModeMixedError` for a store of another one.

    Two processes that start at once agree: the row is there once, and both read it afterwards.
    """
    async with database.transaction() as tx:
        await tx.run(_STATEMENTS["stamp_mode"], mode)
    async with database.transaction() as tx:
        stamped = str(await tx.value(_STATEMENTS["stamped_mode"]))
    if stamped != mode:
        raise ModeMixedError(stamped, mode)
