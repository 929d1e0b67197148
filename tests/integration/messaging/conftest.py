"""A rig per test: topics and databases of its own on the shared servers."""

from collections.abc import AsyncIterator

import pytest

from shared.testing.infra import Infra
from tests.integration.messaging.rig import Rig, make_template


@pytest.fixture(scope="session")
async def template(infra: Infra) -> AsyncIterator[str]:
    dsn = await make_template(infra)
    yield dsn
    await infra.drop_database(dsn)


@pytest.fixture
async def rig(infra: Infra, template: str) -> AsyncIterator[Rig]:
    made = Rig(infra, template)
    await made.prepare()
    yield made
    await made.close()
