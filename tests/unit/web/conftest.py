"""The sample service of these tests; see `rig.py`."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from shared.observability.figures import Figures
from shared.runtime.world import machine_world
from shared.testing.doubles import FunctionHttp, StandingClock
from shared.testing.sign_in import SignIn
from tests.unit.web.web_rig import Rig, build


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    clock = StandingClock()
    world = replace(machine_world(FunctionHttp()), machine_clock=clock)
    rig = Rig(world, SignIn(tmp_path, clock), Figures(), clock)
    app = build(rig)
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://intake") as rig.client:
        yield rig
