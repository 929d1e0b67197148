"""Makes what the containers of docker-compose.yml need before they start.

`python -m services.console.provision secrets` draws the secrets of one installation: the keys of
the development sign-in, each service's client secret and database password, and PostgreSQL's
administrator's, and a token by which Prometheus reads figures. `... stores` makes the topics, and
for each service a role and a database of its own. Invariant: both may run again, and what is there
stays, but for that token, which ends by itself.
"""

import asyncio
import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from services.console.programs import SERVICES
from shared.contracts.vocabulary import Role, Service
from shared.messaging.topics import catalogue_topics
from shared.persistence.statements import load_statements
from shared.runtime.dev_tokens import DevIdentity
from shared.runtime.postgres import ADMIN
from shared.runtime.topics import create_topics
from shared.runtime.world import MachineClock

STATEMENTS: Final = load_statements("services.console", "provision.sql")
#: where PostgreSQL's container and `stores` read the administrator's password
PASSWORD_FILE: Final = "password"  # noqa: S105 - the name of a file
#: operations staff may read figures; a token lasts longer than a demo stays up
METRICS_TOKEN_SECONDS: Final = 30 * 24 * 3600
#: what `secrets.token_urlsafe` draws, and what may stand in SQL and in an address as it is
_PLAIN: Final = re.compile(r"[\w-]+")


def make_secrets(environ: Mapping[str, str]) -> None:
    """The files below `TANDEM_SECRETS`, one directory for each service, and the administrator's."""
    root = Path(environ["TANDEM_SECRETS"])
    identity = DevIdentity.prepare(root, environ["TANDEM_OIDC_ISSUER"])
    for service in SERVICES:
        place = root / service.value
        place.mkdir(mode=0o700, exist_ok=True)
        _keep(place / "TANDEM_CLIENT_SECRET", identity.secret_of(service))
        _keep(place / _dsn_name(service), _fresh_dsn(service, environ["TANDEM_POSTGRES"]))
    # PostgreSQL's container has another user; the volume with this file is mounted there alone
    password = Path(environ["TANDEM_POSTGRES_SECRETS"]) / PASSWORD_FILE
    _keep(password, secrets.token_urlsafe(24), mode=0o444)
    _write_metrics_token(identity, Path(environ["TANDEM_METRICS_SECRETS"]) / "token")


async def make_stores(environ: Mapping[str, str]) -> None:
    """The topics, the roles and the databases."""
    await create_topics(environ["TANDEM_KAFKA_BOOTSTRAP"], catalogue_topics())
    password = (Path(environ["TANDEM_POSTGRES_SECRETS"]) / PASSWORD_FILE).read_text("utf-8")
    dsn = f"postgresql://{ADMIN}:{password}@{environ['TANDEM_POSTGRES']}/postgres"
    connection = await asyncpg.connect(dsn)
    try:
        for service in SERVICES:
            place = Path(environ["TANDEM_SECRETS"]) / service.value
            await _make_database(connection, (place / _dsn_name(service)).read_text("utf-8"))
    finally:
        await connection.close()


async def _make_database(connection: asyncpg.Connection, dsn: str) -> None:
    """The role and the database that the address names; nobody else may connect to it."""
    wanted = urlsplit(dsn)
    name, role, password = wanted.path.removeprefix("/"), wanted.username, wanted.password
    if not all(_PLAIN.fullmatch(word or "") for word in (name, role, password)):
        raise ValueError("an address of a database that this program did not write")
    if not await connection.fetchval(STATEMENTS["role_exists"].sql, role):
        await connection.execute(f'CREATE ROLE "{role}" LOGIN')
    await connection.execute(f"ALTER ROLE \"{role}\" PASSWORD '{password}'")
    if not await connection.fetchval(STATEMENTS["database_exists"].sql, name):
        await connection.execute(f'CREATE DATABASE "{name}" OWNER "{role}" TEMPLATE template0')
    await connection.execute(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC')


def _dsn_name(service: Service) -> str:
    return f"TANDEM_DATABASE_URL_{service.value.upper()}"


def _fresh_dsn(service: Service, address: str) -> str:
    name = f"tandem_{service.value}"
    return f"postgresql://{name}:{secrets.token_urlsafe(24)}@{address}/{name}"


def _write_metrics_token(identity: DevIdentity, path: Path) -> None:
    now = MachineClock().now()
    token = identity.issue_token(
        "prometheus", [Role.OPS.value], now=now, seconds=METRICS_TOKEN_SECONDS
    )
    path.unlink(missing_ok=True)
    _keep(path, token, mode=0o444)


def _keep(path: Path, fresh: str, *, mode: int = 0o400) -> None:
    """Writes the file in one rename if it is not there."""
    if path.exists():
        return
    half = path.with_suffix(".new")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(fresh)
    half.chmod(mode)
    half.rename(path)


def main() -> None:
    """The command line."""
    match sys.argv[1:]:
        case ["secrets"]:
            make_secrets(os.environ)
        case ["stores"]:
            asyncio.run(make_stores(os.environ))
        case _:
            sys.exit("say secrets or stores")


if __name__ == "__main__":
    main()
