"""Intake as its bootstrap builds it, on real PostgreSQL, with a clinic clock the test sets."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from services.intake.bootstrap import build, migrations
from services.intake.settings import IntakeSettings
from shared.contracts.vocabulary import Role
from shared.messaging.bus import Bus
from shared.messaging.wakes import PostgresWakes
from shared.observability.figures import Figures
from shared.persistence.migrations import migrate
from shared.persistence.postgres import PostgresDatabase
from shared.persistence.statements import Statement
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

#: a Wednesday morning in Istanbul, after the protocol's first day in force
NOW = datetime(2027, 3, 10, 7, 0, tzinfo=UTC)


@dataclass
class Intake:
    """Intake and the people who use it."""

    app: FastAPI
    client: httpx.AsyncClient
    sign_in: SignIn
    database: PostgresDatabase
    clock: StandingClock
    start: Callable[..., Awaitable[FastAPI]]

    async def restarted(self, **settings: str) -> "Intake":
        """Intake as a new process finds its database, with other settings where named."""
        return replace(self, app=await self.start(**settings))

    def headers(self, *roles: Role, subject: str = "u-1", key: str | None = None) -> dict[str, str]:
        found = self.sign_in.person(*roles, subject=subject)
        return found if key is None else {**found, "idempotency-key": key}

    async def refer(self) -> str:
        answer = await self.client.post(
            "/cases",
            headers=self.headers(Role.COORDINATOR),
            json={"identifiers": [["urn:example:mrn", uuid4().hex]]},
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["case_id"])

    async def report(
        self, case_id: str, *facts: dict[str, Any], role: Role = Role.COORDINATOR
    ) -> httpx.Response:
        return await self.client.post(
            f"/cases/{case_id}/facts", headers=self.headers(role), json={"facts": facts}
        )

    async def decision(self, case_id: str, gate: str) -> dict[str, Any]:
        answer = await self.client.get(
            f"/cases/{case_id}/decisions/{gate}", headers=self.headers(Role.ONCOLOGIST)
        )
        assert answer.status_code == 200, answer.text
        return cast(dict[str, Any], answer.json())

    async def blocking(self, case_id: str, gate: str, rule: str) -> list[str]:
        """The effects of a rule's findings at a gate now."""
        found = (await self.decision(case_id, gate))["findings"]
        return [f["effect"] for f in found if f["rule"] == rule]

    async def case(self, case_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/cases/{case_id}", headers=self.headers(Role.COORDINATOR))
        assert answer.status_code == 200, answer.text
        return cast(dict[str, Any], answer.json())

    async def rows(self, sql: str, *args: object) -> Sequence[Any]:
        async with self.database.transaction() as tx:
            return await tx.rows(Statement("test", sql), *args)

    async def events(self, case_id: str) -> list[str]:
        """The types of what waits in the outbox for this case, in order."""
        found = await self.rows(
            "SELECT headers->>'ce_type' AS type FROM outbox WHERE case_id = $1 ORDER BY id",
            UUID(case_id),
        )
        return [row["type"] for row in found]


@pytest.fixture(scope="module")
async def intake(infra: Infra, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Intake]:
    async with running_intake(infra, tmp_path_factory) as found:
        yield found


@asynccontextmanager
async def running_intake(
    infra: Infra, tmp_path_factory: pytest.TempPathFactory, mode: str = "demo"
) -> AsyncIterator[Intake]:
    """Intake on a database of its own."""
    dsn = await infra.create_database("intake")
    await migrate(dsn, migrations())
    database = await PostgresDatabase.open(dsn)
    clock = StandingClock(NOW)
    sign_in = SignIn(tmp_path_factory.mktemp("identity"), MachineClock())
    var = tmp_path_factory.mktemp("var")

    async def start(**settings: str) -> FastAPI:
        return await _app(dsn, database, clock, sign_in, var, mode, settings)

    app = await start()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://intake") as client:
        yield Intake(app, client, sign_in, database, clock, start)
    await database.close()
    await infra.drop_database(dsn)


async def _app(
    dsn: str,
    database: PostgresDatabase,
    clock: StandingClock,
    sign_in: SignIn,
    var: Path,
    mode: str,
    given: dict[str, str],
) -> FastAPI:
    world = World(
        clock=clock,
        machine_clock=MachineClock(),
        lease_clock=BootClock(),
        ids=TimeOrderedIds(),
        chance=SystemChance(),
        waiter=EventLoopWaiter(),
        http=FunctionHttp(),
    )
    settings = IntakeSettings.model_validate(
        {
            "mode": mode, "kafka_bootstrap": "unused:1", "oidc_issuer": "http://127.0.0.1:1",
            "oidc_jwks_url": "http://127.0.0.1:1/jwks", "oidc_token_url": "http://127.0.0.1:1/t",
            "client_secret": "unused", "TANDEM_DATABASE_URL_INTAKE": dsn, "var": var,
            "centre_phone": "+90 212 000 0000",
            **given,
        }
    )  # fmt: skip
    parts = await build(
        Surroundings(
            settings=settings,
            world=world,
            database=database,
            bus=cast(Bus, None),
            authenticator=sign_in.authenticator,
            service_http=FunctionHttp(),
            figures=Figures(),
            wakes=PostgresWakes(dsn, world.waiter),
        )
    )
    return parts.app
