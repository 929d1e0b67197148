"""AUTH4, AZ1, RATE1: who may call what, and how often."""

from collections.abc import Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route

from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role, Service
from shared.testing.role_matrix import ANY_ROLE, check_role_matrix
from shared.web.declared import UndeclaredAccessError
from shared.web.security import public, requires
from tests.unit.web.web_rig import TABLE, Rig, build, checked


async def test_every_endpoint_takes_exactly_the_callers_of_the_table(rig: Rig) -> None:
    pairs = await check_role_matrix(build(rig), rig.sign_in, TABLE)

    assert pairs == len(TABLE) * (len(Role) + len(Service) + 1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: {**t, "GET /waits": {"coordinator", "ops"}}, "by ops: may call by the table"),
        (lambda t: {**t, "GET /samples": ANY_ROLE}, "by service:console: 200, not 403"),
        (lambda t: {k: v for k, v in t.items() if k != "POST /stop"}, "not in the table"),
        (lambda t: {**t, "GET /gone": {"ops"}}, "in the table, not in the app"),
        (lambda t: {**t, "GET /waits": {"coordinator", "king"}}, "king is no caller"),
    ],
)
async def test_the_matrix_finds_each_difference(
    change: Callable[[Any], Any], complaint: str, rig: Rig
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        await check_role_matrix(build(rig), rig.sign_in, change(TABLE))


def undeclared() -> APIRouter:
    router = APIRouter()

    @router.get("/open")
    async def opened() -> None:
        return None

    return router


def declared_public() -> APIRouter:
    router = APIRouter()

    @router.get("/open", dependencies=[Depends(public())])
    async def opened() -> None:
        return None

    return router


def declared_twice() -> APIRouter:
    router = APIRouter(dependencies=[Depends(requires(Role.OPS))])

    @router.get("/open")
    async def opened(who: Annotated[Principal, Depends(requires(Role.AUDITOR))]) -> None:
        return None

    return router


def plain_route() -> APIRouter:
    router = APIRouter()
    router.routes.append(Route("/open", PlainTextResponse("open")))
    return router


@pytest.mark.parametrize("planted", [undeclared, declared_public, declared_twice, plain_route])
def test_an_app_with_an_endpoint_that_does_not_say_its_callers_is_not_built(
    planted: Callable[[], APIRouter], rig: Rig
) -> None:
    with pytest.raises(UndeclaredAccessError, match="/open"):
        build(rig, routers=[planted()])


async def test_without_a_token_even_the_existence_of_a_path_is_not_told(rig: Rig) -> None:
    for path in ("/samples", "/nowhere", "/docs", "/openapi.json", "/metrics", "/problems/busy"):
        answer = await rig.client.get(path)
        checked(answer, 401, "not-signed-in")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_an_unknown_caller_gets_no_body_parsed(rig: Rig) -> None:
    answer = await rig.client.post("/samples", content=b"{", headers={"authorization": "Bearer x"})

    checked(answer, 401, "not-signed-in")


async def test_a_persons_token_is_refused_at_a_service_endpoint_and_the_other_way_round(
    rig: Rig,
) -> None:
    person = rig.person(*Role)
    service = rig.sign_in.service(Service.INTAKE)

    refused = await rig.client.put("/internal/holds/1", headers=person)
    told = await rig.client.put("/internal/holds/1", headers=service)
    other = await rig.client.put("/internal/holds/1", headers=rig.sign_in.service(Service.CONSOLE))
    posing = await rig.client.post("/samples", json={"count": 1}, headers=service)

    assert checked(refused, 403, "not-allowed")["allowed_roles"] == ["service:intake"]
    assert told.json() == {"caller": "service:intake"}
    checked(other, 403, "not-allowed")
    checked(posing, 403, "not-allowed")


async def test_when_sign_in_cannot_be_checked_nobody_is_let_in(rig: Rig) -> None:
    rig.sign_in.jwks.up = False

    answer = await rig.client.get("/waits", headers=rig.person(Role.COORDINATOR))

    checked(answer, 503, "identity-unavailable")
    assert answer.headers["retry-after"] == "2"


async def test_many_bad_tokens_from_one_address_are_slowed_down_and_good_ones_are_not(
    rig: Rig,
) -> None:
    statuses = [(await rig.client.get("/waits")).status_code for _ in range(60)]
    good = await rig.client.get("/waits", headers=rig.person(Role.COORDINATOR))

    assert statuses == [401] * 50 + [429] * 10
    assert good.status_code == 200
    refused = rig.figures.registry.get_sample_value(
        "tandem_tokens_refused_total", {"code": "missing"}
    )
    assert refused == 60


async def test_a_caller_has_a_limit_of_their_own(rig: Rig) -> None:
    one, other = (rig.person(Role.COORDINATOR, subject=s) for s in ("u-1", "u-2"))

    statuses = [(await rig.client.get("/waits", headers=one)).status_code for _ in range(101)]
    limited = await rig.client.get("/waits", headers=one)

    assert statuses == [200] * 100 + [429]
    checked(limited, 429, "too-many-requests")
    assert (await rig.client.get("/waits", headers=other)).status_code == 200
    rig.clock.advance(seconds=1)
    assert (await rig.client.get("/waits", headers=one)).status_code == 200


async def test_ten_holds_a_second_are_always_taken_whatever_else_the_caller_did(rig: Rig) -> None:
    nurse = rig.person(Role.COORDINATOR, Role.INFUSION_NURSE)
    for _ in range(120):
        await rig.client.get("/waits", headers=nurse)

    statuses = set()
    for _ in range(60):
        rig.clock.advance(seconds=1)
        for _ in range(10):
            statuses.add((await rig.client.post("/holds", headers=nurse)).status_code)

    assert statuses == {200}


async def test_stop_orders_are_never_limited(rig: Rig) -> None:
    nurse = rig.person(Role.INFUSION_NURSE)

    statuses = {(await rig.client.post("/stop", headers=nurse)).status_code for _ in range(500)}

    assert statuses == {200}


async def test_the_console_may_look_tokens_up_and_send_people_to_its_sign_in_page(rig: Rig) -> None:
    token = rig.person(Role.COORDINATOR)["authorization"].removeprefix("Bearer ")

    async def session(request: Request) -> str | None:
        return token if request.cookies.get("session") == "s-1" else None

    app = build(
        rig, token_of=session, on_refused=lambda request, problem: RedirectResponse("/sign-in")
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
        sent_away = await client.get("/waits")
        let_in = await client.get("/waits", headers={"cookie": "session=s-1"})

    assert sent_away.headers["location"] == "/sign-in"
    assert let_in.status_code == 200
