"""S1, S2: a command sent twice with one key has its effect once, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Depends, Request, Response

from shared.auth.principal import Principal
from shared.contracts.coordination import CaseOpened
from shared.contracts.vocabulary import Role, Service
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.observability.figures import Figures
from shared.persistence.migrations import migrate, migrations_in
from shared.persistence.postgres import PostgresDatabase
from shared.persistence.statements import Statement
from shared.runtime.world import machine_world
from shared.testing.doubles import FunctionHttp, StandingClock
from shared.testing.infra import Infra
from shared.testing.sign_in import SignIn
from shared.web.app import create_app
from shared.web.idempotency import (
    Answer,
    RequestKey,
    answer_once,
    forget_old_keys,
    request_key,
)
from shared.web.problems import Problem
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires

pytestmark = pytest.mark.integration

EVENTS = Statement("events", "SELECT count(*) FROM outbox")
KEYS = Statement("keys", "SELECT count(*) FROM idempotency_key")


class Command(RequestModel):
    case_id: UUID
    refuse: bool = False


@dataclass
class Rig:
    """An app with two commands: one told its first answer again, one told the present state."""

    database: PostgresDatabase
    clock: StandingClock
    sign_in: SignIn
    unit: UnitOfWork[None]
    client: httpx.AsyncClient
    #: set: a command may finish; how many have run
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    runs: int = 0
    state: str = "RECORDED"

    async def count(self, statement: Statement) -> int:
        async with self.database.transaction() as tx:
            return int(await tx.value(statement))

    async def post(
        self, path: str = "/cases", *, key: str | None = "k-1", subject: str = "u-1", **body: object
    ) -> httpx.Response:
        headers = self.sign_in.person(Role.COORDINATOR, subject=subject)
        if key is not None:
            headers["idempotency-key"] = key
        document = {"case_id": str(UUID(int=7)), **body}
        return await self.client.post(path, json=document, headers=headers)


def commands(rig: Rig) -> APIRouter:
    router = APIRouter()
    caller = Depends(requires(Role.COORDINATOR))

    async def run(request: Request, body: Command, who: Principal, key: RequestKey) -> Answer:
        async def act() -> Answer:
            rig.runs += 1
            if body.refuse:
                raise Problem(409, "not-now", "Not now.")
            work.emit(CaseOpened(case_id=body.case_id, protocol_version="1"))
            await rig.gate.wait()
            return Answer(201, {"z": 1, "a": [rig.runs]}, {"Location": f"/cases/{body.case_id}"})

        async def present(first: Answer) -> Answer:
            return Answer(200, {"state": rig.state}, first.headers)

        async with rig.unit.begin(cause_of(request, who)) as work:
            told = present if request.url.path == "/holds" else None
            return await answer_once(work, key, act, present=told)

    @router.post("/cases")
    @router.post("/holds")
    async def command(
        request: Request,
        body: Command,
        who: Annotated[Principal, caller],
        key: Annotated[RequestKey, Depends(request_key)],
    ) -> Response:
        return (await run(request, body, who, key)).response()

    return router


@pytest.fixture
async def rig(infra: Infra, tmp_path: Path) -> AsyncIterator[Rig]:
    dsn = await infra.create_database("idempotency")
    packages = ("shared.messaging", "shared.audit", "shared.web")
    await migrate(dsn, [m for package in packages for m in migrations_in(package)])
    database = await PostgresDatabase.open(dsn)
    clock = StandingClock()
    world = replace(machine_world(FunctionHttp()), machine_clock=clock)
    unit = UnitOfWork(
        database=database, repository=lambda tx: None, source=Service.INTAKE, world=world
    )
    sign_in = SignIn(tmp_path, clock)
    rig = Rig(database, clock, sign_in, unit, httpx.AsyncClient())
    rig.gate.set()
    app = create_app(
        Service.INTAKE,
        routers=[commands(rig)],
        world=world,
        authenticator=sign_in.authenticator,
        mode="live",
        figures=Figures(),
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://intake"
    ) as rig.client:
        yield rig
    await database.close()
    await infra.drop_database(dsn)


async def test_a_repetition_gets_the_first_answer_and_adds_no_event(rig: Rig) -> None:
    first = await rig.post()
    again = await rig.post()

    assert first.status_code == again.status_code == 201
    assert first.content == again.content == b'{"z":1,"a":[1]}'
    assert first.headers["location"] == again.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (rig.runs, await rig.count(EVENTS)) == (1, 1)


async def test_a_repeated_hold_is_answered_with_its_present_state(rig: Rig) -> None:
    first = await rig.post("/holds")
    rig.state = "EFFECTIVE"
    again = await rig.post("/holds")

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {"state": "EFFECTIVE"}
    assert again.headers["idempotency-replayed"] == "true"
    assert await rig.count(EVENTS) == 1


async def test_a_key_used_for_another_body_is_422_and_has_no_effect(rig: Rig) -> None:
    await rig.post()
    other = await rig.post(case_id=str(UUID(int=8)))

    assert other.status_code == 422
    assert other.json()["code"] == "idempotency-key-reused"
    assert await rig.count(EVENTS) == 1


async def test_two_at_once_have_one_effect_and_the_second_waits(rig: Rig) -> None:
    rig.gate.clear()
    both = [asyncio.ensure_future(rig.post()) for _ in range(2)]
    await asyncio.wait(both, timeout=0.3)
    assert not any(task.done() for task in both)
    rig.gate.set()

    answers = await asyncio.gather(*both)

    assert [answer.status_code for answer in answers] == [201, 201]
    assert sorted(answer.headers.get("idempotency-replayed", "") for answer in answers) == [
        "",
        "true",
    ]
    assert (rig.runs, await rig.count(EVENTS)) == (1, 1)


async def test_the_second_is_told_409_when_the_first_takes_longer_than_the_lock_time_out(
    rig: Rig,
) -> None:
    rig.gate.clear()
    both = [asyncio.ensure_future(rig.post()) for _ in range(2)]
    done, _ = await asyncio.wait(both, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    (early,) = [task.result() for task in done]
    rig.gate.set()
    await asyncio.gather(*both)

    assert early.status_code == 409
    assert early.json()["code"] == "idempotency-key-in-progress"
    assert early.headers["retry-after"] == "1"
    assert await rig.count(EVENTS) == 1


async def test_a_refused_command_may_be_tried_again_with_its_key(rig: Rig) -> None:
    refused = await rig.post(refuse=True)
    again = await rig.post(refuse=True)

    assert refused.status_code == again.status_code == 409
    assert "idempotency-replayed" not in again.headers
    assert (rig.runs, await rig.count(EVENTS), await rig.count(KEYS)) == (2, 0, 0)


async def test_a_key_belongs_to_one_caller_and_one_address(rig: Rig) -> None:
    for answer in (
        await rig.post(),
        await rig.post(subject="u-2"),
        await rig.post("/holds"),
        await rig.post(key="k-2"),
    ):
        assert "idempotency-replayed" not in answer.headers

    assert await rig.count(EVENTS) == 4


async def test_without_a_key_every_request_acts(rig: Rig) -> None:
    await rig.post(key=None)
    await rig.post(key=None)

    assert (await rig.count(EVENTS), await rig.count(KEYS)) == (2, 0)


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\tinside"])
async def test_an_unusable_key_is_400(key: str, rig: Rig) -> None:
    answer = await rig.post(key=key)

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-malformed")
    assert await rig.count(EVENTS) == 0


async def test_a_key_counts_for_48_hours(rig: Rig) -> None:
    await rig.post()
    rig.clock.advance(hours=48)
    assert (await rig.post()).headers["idempotency-replayed"] == "true"
    rig.clock.advance(seconds=1)
    assert "idempotency-replayed" not in (await rig.post()).headers

    assert await rig.count(EVENTS) == 2


async def test_old_keys_are_forgotten_and_young_ones_kept(rig: Rig) -> None:
    await rig.post(key="old")
    rig.clock.advance(hours=47)
    await rig.post(key="young")
    rig.clock.advance(hours=2)

    async with rig.unit.begin(Cause(actor="timer", correlation_id=UUID(int=1))) as work:
        forgotten = await forget_old_keys(work)

    assert (forgotten, await rig.count(KEYS)) == (1, 1)
