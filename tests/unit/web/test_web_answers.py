"""What goes out: problems that say enough and no more, probes, figures and the manual."""

from collections import Counter
from uuid import UUID

import httpx
import pytest

from shared.contracts.vocabulary import Role
from shared.messaging.figures import ConsumerFigures, RelayFigures
from shared.persistence.database import (
    CommitUnknownError,
    LockTimeoutError,
    StoreUnavailableError,
)
from shared.ports import HttpUnreachableError
from shared.web.messaging_figures import show_messaging
from shared.web.problems import FieldError, Problem
from tests.unit.web.web_rig import TABLE, Rig, build, checked

FAILURES: list[tuple[Exception, int, str, str | None]] = [
    (StoreUnavailableError("host=db"), 503, "store-unavailable", "2"),
    (CommitUnknownError("host=db"), 503, "outcome-unknown", "2"),
    (LockTimeoutError("row"), 503, "busy", "1"),
    (HttpUnreachableError("PUT http://x"), 503, "neighbour-unreachable", "2"),
    (RuntimeError("Canarybird"), 500, "internal-error", None),
]


@pytest.mark.parametrize(("failure", "status", "code", "retry"), FAILURES)
async def test_each_failure_has_its_problem_and_says_nothing_of_its_cause(
    failure: Exception, status: int, code: str, retry: str | None, rig: Rig
) -> None:
    rig.failure = failure

    answer = await rig.client.get("/fails", headers=rig.person(Role.COORDINATOR))

    checked(answer, status, code)
    assert answer.headers.get("retry-after") == retry
    assert str(failure) not in answer.text
    assert rig.bugs == ([failure] if status == 500 else [])


async def test_a_refusal_carries_all_its_reasons_and_places(rig: Rig) -> None:
    errors = [FieldError("#/gate", "closed", "The gate is closed.")]
    rig.failure = Problem(
        409, "busy", "The gate is closed.", "Two holds.", errors, {"hold_ids": ["h-1", "h-2"]}
    )

    document = checked(
        await rig.client.get("/fails", headers=rig.person(Role.COORDINATOR)), 409, "busy"
    )

    assert document["hold_ids"] == ["h-1", "h-2"]
    assert document["detail"] == "Two holds."
    assert document["errors"] == [
        {"pointer": "#/gate", "code": "closed", "detail": "The gate is closed."}
    ]


async def test_a_reason_cannot_take_the_place_of_the_standard_members(rig: Rig) -> None:
    rig.failure = Problem(409, "busy", "Busy.", extra={"status": 200, "type": "x"})

    checked(await rig.client.get("/fails", headers=rig.person(Role.COORDINATOR)), 409, "busy")


async def test_an_unknown_path_and_method_are_problems(rig: Rig) -> None:
    headers = rig.person(Role.COORDINATOR)

    checked(await rig.client.get("/nowhere", headers=headers), 404, "not-found")
    checked(await rig.client.delete("/samples", headers=headers), 405, "method-not-allowed")


async def test_a_trace_that_comes_in_goes_through(rig: Rig) -> None:
    trace, correlation = "0af7651916cd43dd8448eb211c80319c", str(UUID(int=5))
    headers = {
        **rig.person(Role.COORDINATOR),
        "traceparent": f"00-{trace}-b7ad6b7169203331-01",
        "x-correlation-id": correlation,
    }

    answer = await rig.client.post("/samples", json={"count": 1}, headers=headers)

    assert answer.json() == {"actor": "u-1", "correlation": correlation}
    assert answer.headers["x-correlation-id"] == correlation
    assert answer.headers["traceparent"].split("-")[1] == trace
    assert answer.headers["traceparent"].split("-")[2] != "b7ad6b7169203331"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": "nonsense", "x-correlation-id": "nonsense"},
        {"traceparent": "00-" + "0" * 32 + "-b7ad6b7169203331-01"},
        {"traceparent": "00-<script>-1-01"},
    ],
)
async def test_a_missing_or_garbled_trace_is_made_afresh(headers: dict[str, str], rig: Rig) -> None:
    answers = [
        await rig.client.get("/waits", headers={**rig.person(Role.COORDINATOR), **headers})
        for _ in range(2)
    ]

    traces = {answer.headers["traceparent"].split("-")[1] for answer in answers}
    assert len(traces) == 2
    assert all(len(trace) == 32 and set(trace) <= set("0123456789abcdef") for trace in traces)
    assert all(UUID(answer.headers["x-correlation-id"]) for answer in answers)


async def test_every_answer_forbids_caching_and_says_the_mode(rig: Rig) -> None:
    for path in ("/health/live", "/samples", "/nowhere"):
        answer = await rig.client.get(path, headers=rig.person(Role.OPS))
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["tandem-mode"] == "live"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (None, 428, "version-required"),
        ('"0.11"', 412, "stale-version"),
        ("*", 400, "version-malformed"),
        ('W/"0.12"', 400, "version-malformed"),
        ('"0.12", "0.13"', 400, "version-malformed"),
        ('"1.12"', 412, "stale-version"),
        ('"12"', 412, "stale-version"),
    ],
)
async def test_an_update_needs_the_current_version(
    sent: str | None, status: int, code: str, rig: Rig
) -> None:
    headers = rig.person(Role.COORDINATOR) | ({"if-match": sent} if sent else {})

    document = checked(await rig.client.put("/samples/1", headers=headers), status, code)

    assert document.get("current_version") == ('"0.12"' if status == 412 else None)


async def test_an_update_of_the_current_version_goes_through(rig: Rig) -> None:
    headers = {**rig.person(Role.COORDINATOR), "if-match": '"0.12"'}

    assert (await rig.client.put("/samples/1", headers=headers)).json() == {"etag": '"0.13"'}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({}, 0),
        ({"prefer": "wait=2"}, 2),
        ({"prefer": "respond-async, wait=2"}, 2),
        ({"prefer": "wait=86400"}, 10),
        ({"prefer": "wait=-1"}, 0),
        ({"prefer": "waiting=3"}, 0),
    ],
)
async def test_the_wish_to_wait_is_read_and_bounded(
    header: dict[str, str], seconds: float, rig: Rig
) -> None:
    answer = await rig.client.get("/waits", headers={**rig.person(Role.COORDINATOR), **header})

    assert answer.json() == seconds


async def test_ready_is_no_until_every_check_holds_and_says_nothing_else(rig: Rig) -> None:
    state = {"store": False, "broker": True}

    async def store() -> bool:
        return state["store"]

    async def broker() -> bool:
        if not state["broker"]:
            raise OSError("host=kafka")
        return True

    app = build(rig, ready={"store": store, "broker": broker})
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://intake") as client:
        before = await client.get("/health/ready")
        state["store"] = True
        after = await client.get("/health/ready")
        state["broker"] = False
        broken = await client.get("/health/ready")
        live = await client.get("/health/live")

    assert (before.status_code, before.json()) == (503, {"ready": False})
    assert (after.status_code, after.json()) == (200, {"ready": True})
    assert (broken.status_code, broken.json()) == (503, {"ready": False})
    assert (live.status_code, live.json()) == (200, {"live": True})


async def test_figures_are_for_this_machine_or_operations_staff(rig: Rig) -> None:
    await rig.client.get("/waits", headers=rig.person(Role.COORDINATOR))
    consumer = ConsumerFigures(Counter({"duplicates": 2}), {"t.v1/3": 7}, {"intake": 0.5})
    relay = RelayFigures(oldest_unsent_seconds=1.5)
    show_messaging(rig.figures, relay=relay, consumers={"intake": consumer})
    app = build(rig)

    async def read(address: str, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://intake") as client:
            return await client.get("/metrics", headers=headers)

    here = await read("127.0.0.1", {})
    proxied = await read("127.0.0.1", {"x-forwarded-for": "203.0.113.9"})
    ops = await read("203.0.113.9", rig.person(Role.OPS))
    nurse = await read("203.0.113.9", rig.person(Role.INFUSION_NURSE))

    assert 'tandem_http_requests_total{method="GET",status="200"} 1.0' in here.text
    assert 'tandem_lag_events{consumer="intake",partition="3",topic="t.v1"} 7.0' in here.text
    assert 'tandem_duplicates_dropped_total{consumer="intake"} 2.0' in here.text
    assert "tandem_outbox_age_seconds 1.5" in here.text
    assert ops.status_code == 200
    checked(proxied, 401, "not-signed-in")
    checked(nurse, 403, "not-allowed")


async def test_the_manual_names_every_endpoint_and_its_callers(rig: Rig) -> None:
    page = await rig.client.get("/docs", headers=rig.person(Role.AUDITOR))
    document = (await rig.client.get("/openapi.json", headers=rig.person(Role.AUDITOR))).json()

    assert document["openapi"].startswith("3.1")
    found = {
        f"{method.upper()} {path}": set(operation["x-roles"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert found == {endpoint: set(callers) for endpoint, callers in TABLE.items()}
    assert all(endpoint in page.text for endpoint in TABLE)
    assert "<script" not in page.text
    assert "http://" not in page.text.replace("http://intake", "")


async def test_in_the_demo_the_manual_is_open_and_the_rest_is_not(rig: Rig) -> None:
    transport = httpx.ASGITransport(build(rig, mode="demo"))
    async with httpx.AsyncClient(transport=transport, base_url="http://intake") as client:
        answers = {
            path: (await client.get(path)).status_code
            for path in ("/docs", "/openapi.json", "/problems/busy", "/problems/none", "/samples")
        }

    assert answers == {
        "/docs": 200,
        "/openapi.json": 200,
        "/problems/busy": 200,
        "/problems/none": 404,
        "/samples": 401,
    }
