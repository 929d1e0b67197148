"""Sign-ins that are under way: each belongs to one browser, is good once and for ten minutes."""

import secrets
from datetime import timedelta
from typing import Final

from services.console.sign_in.provider import Asked
from services.console.sign_in.sessions import ID_BYTES, STATEMENTS, digest
from shared.persistence.database import Database
from shared.ports import Clock
from shared.web.problems import Problem

LIFE: Final = timedelta(minutes=10)
#: more are refused, so that nobody fills the table
ATTEMPTS_MAX: Final = 10_000
PATH_LENGTH_MAX: Final = 500


class Attempts:
    """The attempts of all replicas. `clock` is the machine's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(self, asked: Asked, path: str) -> str:
        """The id of the attempt, for the browser's cookie. Raises `Problem` 429."""
        attempt = secrets.token_urlsafe(ID_BYTES)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            await tx.run(STATEMENTS["forget_sign_ins"], now)
            if await tx.value(STATEMENTS["count_sign_ins"]) >= ATTEMPTS_MAX:
                raise Problem(429, "too-many-requests", "Too many sign-ins are under way.")
            await tx.run(
                STATEMENTS["begin_sign_in"], digest(attempt), asked.state, asked.nonce,
                asked.verifier, local_path(path), now + LIFE,
            )  # fmt: skip
        return attempt

    async def take(self, attempt: str) -> tuple[Asked, str] | None:
        """An attempt's question and the page it was for, once; None for a strange or old one."""
        async with self._database.transaction() as tx:
            row = await tx.row(STATEMENTS["take_sign_in"], digest(attempt))
        if row is None or row["ends_at"] <= self._clock.now():
            return None
        return Asked(row["state"], row["nonce"], row["verifier"]), row["path"]


def local_path(path: str) -> str:
    """The path if it leads to a page of ours, else the first page.

    A path that a browser could read as another host's address is none of ours.
    """
    plain = path.isascii() and path.isprintable() and len(path) <= PATH_LENGTH_MAX
    ours = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if plain and ours and not path.startswith("/sign-in") else "/"
