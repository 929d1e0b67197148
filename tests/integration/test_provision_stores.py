"""What the container `stores` makes: a role and a database for each service, and for it alone."""

from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from services.console.programs import SERVICES
from services.console.provision import PASSWORD_FILE, make_secrets, make_stores
from shared.contracts.vocabulary import Service
from shared.testing.infra import Infra

pytestmark = pytest.mark.integration


@pytest.fixture
def environ(infra: Infra, tmp_path: Path) -> dict[str, str]:
    admin = urlsplit(infra.postgres_dsn())
    for name in ("admin", "metrics"):
        (tmp_path / name).mkdir()
    (tmp_path / "admin" / PASSWORD_FILE).write_text(admin.password or "")
    found = {
        "TANDEM_SECRETS": str(tmp_path),
        "TANDEM_POSTGRES_SECRETS": str(tmp_path / "admin"),
        "TANDEM_POSTGRES": f"{admin.hostname}:{admin.port}",
        "TANDEM_METRICS_SECRETS": str(tmp_path / "metrics"),
        "TANDEM_OIDC_ISSUER": "http://127.0.0.1:8085",
        "TANDEM_KAFKA_BOOTSTRAP": infra.kafka_bootstrap,
    }
    make_secrets(found)
    return found


def dsn_of(environ: dict[str, str], service: Service) -> str:
    name = f"TANDEM_DATABASE_URL_{service.value.upper()}"
    return (Path(environ["TANDEM_SECRETS"]) / service.value / name).read_text()


async def test_each_service_reaches_its_own_database_and_no_other(environ: dict[str, str]) -> None:
    await make_stores(environ)
    await make_stores(environ)

    for service in SERVICES:
        connection = await asyncpg.connect(dsn_of(environ, service))
        await connection.execute("CREATE TABLE IF NOT EXISTS mine (id int)")
        await connection.close()
    other = dsn_of(environ, Service.INTAKE).rpartition("/")[0] + "/tandem_console"
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="tandem_console"):
        await asyncpg.connect(other)
