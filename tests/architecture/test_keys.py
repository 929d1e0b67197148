"""S1: every endpoint that writes takes an Idempotency-Key, or stands here with its reason.

A key is optional everywhere: a stop, a bag never opened, an infusion already running or a hold is
never refused for want of one. A press of start takes one too, and it is no exception: the key
stands for one press and so for one permit id, claimed before the authority is asked; a repetition
is told what became of that press (never a GO), and nothing is asked twice (start permit, step 1).
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from shared.contracts.vocabulary import Service
from shared.web.idempotency import RequestKey, request_key
from tests.architecture.apps import all_apps

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: "METHOD /path" to why a repetition is harmless without a key
WITHOUT_KEY: Mapping[str, str] = {
    "PUT /cases/{case_id}/permits/{permit_id}": (
        "asked once: the permit's id is the key, and a second PUT of it is 409 permit-asked; a "
        "stored answer shown again would be a stored GO"
    ),
    "POST /cases/{case_id}/permits/{permit_id}/{outcome}": (
        "between services: the permit's id and the outcome are the key, and twice is once"
    ),
    "POST /internal/holders/restored": (
        "between services: a case is held once for one restore, however often it is reported"
    ),
    "PUT /internal/holds/{hold_id}": "between services: the hold's id is the key",
    "POST /pages": "between services: `page_id` in the body is the key",
    "POST /cases/{case_id}/what-if": "a question: nothing is stored",
    "POST /cds-services/order-sign": "a question: nothing is stored",
    "POST /cds-services/appointment-book": "a question: nothing is stored",
    "POST /cds-services/{service_id}/feedback": (
        "CDS Hooks clients send none: card, outcome, its time and the sender are the key of the row"
    ),
    "POST /fhir/notifications/{feed}": (
        "FHIR servers send none: subscription and event number are the key of what is owed"
    ),
    "POST /protocol/shadow": "a question: nothing is stored",
    "POST /cases/{case_id}/enter/{form}": "the form holds a key, with which intake is called",
    "POST /cases/{case_id}/entries/{entry_id}/correct": (
        "the form holds a key, with which intake is called"
    ),
    "POST /cases/{case_id}/entries/{entry_id}/withdraw": (
        "the form holds a key, with which intake is called"
    ),
    "POST /zone": "sets a cookie in one browser, to the same value each time",
    "POST /sign-out": "a session ended twice is ended",
}


def routes(app: FastAPI) -> Iterator[tuple[str, APIRoute]]:
    """Every endpoint that writes, as (METHOD /path, route)."""
    for context in iter_route_contexts(app.routes):
        for method in sorted((context.methods or set()) & WRITES):
            assert isinstance(context.original_route, APIRoute)
            yield f"{method} {context.path}", context.original_route


def faults(app: FastAPI, without: Mapping[str, str]) -> list[str]:
    """The endpoints that write, are no exception, and do not use the key of the request."""
    return [
        endpoint
        for endpoint, route in routes(app)
        if endpoint not in without and not _uses_key(route)
    ]


def _uses_key(route: APIRoute) -> bool:
    """The endpoint depends on the key, and its code does something with it."""
    names = {d.name for d in route.dependant.dependencies if d.call is request_key}
    tree = ast.parse(textwrap.dedent(inspect.getsource(route.endpoint)))
    body = [node for part in tree.body[0].body for node in ast.walk(part)]  # type: ignore[attr-defined]
    return any(isinstance(node, ast.Name) and node.id in names for node in body)


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Service, FastAPI]:
    return all_apps(tmp_path_factory.mktemp("apps"))


def test_every_endpoint_that_writes_takes_a_key(apps: Mapping[Service, FastAPI]) -> None:
    assert {s.value: faults(app, WITHOUT_KEY) for s, app in apps.items()} == {
        service.value: [] for service in Service
    }


def test_every_exception_is_an_endpoint_that_takes_none(apps: Mapping[Service, FastAPI]) -> None:
    written = {name: route for app in apps.values() for name, route in routes(app)}

    assert set(WITHOUT_KEY) <= set(written)
    assert [name for name in WITHOUT_KEY if _uses_key(written[name])] == []


def test_operations_are_part_of_every_app(apps: Mapping[Service, FastAPI]) -> None:
    for service, app in apps.items():
        assert "POST /ops/parked/{case_id}/skip" in dict(routes(app)), service


def _planted(*, reads: bool, uses: bool) -> FastAPI:
    router = APIRouter()

    async def forgetful(body: dict[str, Any]) -> None: ...

    async def unused(key: Annotated[RequestKey, Depends(request_key)]) -> None: ...

    async def used(key: Annotated[RequestKey, Depends(request_key)]) -> str | None:
        return key.key

    router.post("/planted")(used if uses else unused if reads else forgetful)
    app = FastAPI()
    app.include_router(router)
    return app


@pytest.mark.parametrize(("reads", "uses"), [(False, False), (True, False)])
def test_a_planted_endpoint_without_a_key_is_found(reads: bool, uses: bool) -> None:
    assert faults(_planted(reads=reads, uses=uses), WITHOUT_KEY) == ["POST /planted"]


def test_an_endpoint_that_uses_its_key_is_not_reported() -> None:
    assert faults(_planted(reads=True, uses=True), WITHOUT_KEY) == []
