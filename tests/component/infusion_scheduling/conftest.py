"""Infusion scheduling as its bootstrap builds it, on real PostgreSQL; intake is a function."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx
import pytest
from fastapi import FastAPI

from services.infusion_scheduling.bootstrap import build, migrations
from services.infusion_scheduling.settings import SchedulingSettings
from shared.messaging.bus import Bus
from shared.messaging.wakes import PostgresWakes
from shared.observability.figures import Figures
from shared.persistence.migrations import migrate
from shared.persistence.postgres import PostgresDatabase
from shared.ports import World
from shared.runtime.service import Surroundings
from shared.runtime.world import (
    BootClock,
    EventLoopWaiter,
    MachineClock,
    SystemChance,
    TimeOrderedIds,
)
from shared.testing.doubles import FunctionHttp, StandingClock
from shared.testing.infra import Infra
from shared.testing.sign_in import SignIn


@dataclass
class Scheduling:
    """Infusion scheduling, its callers, and intake as it is heard from here."""

    app: FastAPI
    client: httpx.AsyncClient
    sign_in: SignIn
    database: PostgresDatabase
    clock: StandingClock
    intake: FunctionHttp


@pytest.fixture(scope="module")
async def scheduling(
    infra: Infra, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scheduling]:
    dsn = await infra.create_database("scheduling")
    await migrate(dsn, migrations())
    database = await PostgresDatabase.open(dsn)
    clock, intake = StandingClock(), FunctionHttp()
    sign_in = SignIn(tmp_path_factory.mktemp("identity"), MachineClock())
    app = await _app(dsn, database, clock, sign_in, intake, tmp_path_factory.mktemp("var"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://scheduling") as client:
        yield Scheduling(app, client, sign_in, database, clock, intake)
    await database.close()
    await infra.drop_database(dsn)


async def _app(
    dsn: str,
    database: PostgresDatabase,
    clock: StandingClock,
    sign_in: SignIn,
    intake: FunctionHttp,
    var: Path,
) -> FastAPI:
    world = World(
        clock=clock,
        machine_clock=MachineClock(),
        lease_clock=BootClock(),
        ids=TimeOrderedIds(),
        chance=SystemChance(),
        waiter=EventLoopWaiter(),
        http=intake,
    )
    settings = SchedulingSettings.model_validate(
        {
            "mode": "demo", "kafka_bootstrap": "unused:1", "oidc_issuer": "http://127.0.0.1:1",
            "oidc_jwks_url": "http://127.0.0.1:1/jwks", "oidc_token_url": "http://127.0.0.1:1/t",
            "client_secret": "unused", "TANDEM_DATABASE_URL_INFUSION_SCHEDULING": dsn, "var": var,
        }
    )  # fmt: skip
    parts = await build(
        Surroundings(
            settings=settings,
            world=world,
            database=database,
            bus=cast(Bus, None),
            authenticator=sign_in.authenticator,
            service_http=intake,
            figures=Figures(),
            wakes=PostgresWakes(dsn, world.waiter),
        )
    )
    return parts.app
