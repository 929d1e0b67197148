"""A rig per test: topics and databases of its own on the shared servers."""

from collections.abc import AsyncIterator

import pytest

from shared.testing.infra import Infra
from tests.integration.messaging.rig import Rig


@pytest.fixture
async def rig(infra: Infra) -> AsyncIterator[Rig]:
    made = Rig(infra)
    await made.prepare()
    yield made
    await made.close()
