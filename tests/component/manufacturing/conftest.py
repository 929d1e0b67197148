"""Manufacturing on a real PostgreSQL: migrated once, copied for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mfg_rig import Plant, open_plant

from services.manufacturing.bootstrap import migrations
from shared.persistence.migrations import migrate
from shared.testing.infra import Infra


@pytest.fixture(scope="session")
async def mfg_template(infra: Infra) -> AsyncIterator[str]:
    dsn = await infra.create_database("mfg_template")
    await migrate(dsn, migrations())
    yield dsn
    await infra.drop_database(dsn)


@pytest.fixture
async def plant(infra: Infra, mfg_template: str, tmp_path: Path) -> AsyncIterator[Plant]:
    dsn = await infra.create_database("mfg", template=mfg_template)
    async with open_plant(dsn, tmp_path) as opened:
        yield opened
    await infra.drop_database(dsn)
