"""One running deployment for the tests of this folder that do not break it."""

from collections.abc import AsyncIterator

import pytest

from shared.testing.infra import Infra
from tests.system.deployment import Deployment, deployed


@pytest.fixture(scope="module")
async def deployment(
    infra: Infra, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployment]:
    """All services, running, shared by the module's tests."""
    async with deployed(infra, tmp_path_factory.mktemp("deployment")) as found:
        yield found
