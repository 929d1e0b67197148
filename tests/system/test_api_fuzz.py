"""Intake keeps to its OpenAPI document, whatever is asked of it, by whomever.

`make fuzz-api` asks 5,000 times and more; here a part of it. A service that answers 500, or with a
body that breaks its schema, is found.
"""

import asyncio
import copy
import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from shared.contracts.vocabulary import Role, Service
from shared.testing.infra import Infra
from tests.system.api_fuzz import Known, fuzz
from tests.system.deployment import FEED_SECRET, Deployment, deployed
from tests.system.staff import Staff

REQUESTS = int(os.environ.get("TANDEM_FUZZ_REQUESTS", "400"))
STEROID = {
    "kind": "medication", "name": "dexamethasone", "route": "oral", "intent": "treatment",
    "doses": [{"mg_per_day": 8, "from": "2026-03-08", "to": "2026-03-12"}],
}  # fmt: skip


def sign_in_of(deployment: Deployment) -> Callable[[str, int], Mapping[str, str]]:
    """Tokens are signed once per caller."""
    now = datetime.now(UTC)

    @cache
    def sign_in(role: str, number: int) -> Mapping[str, str]:
        if role.startswith("service:"):
            service = Service(role.partition(":")[2])
            token = deployment.identity.issue_service_token(service, now=now)
        elif role == "feed":
            token = FEED_SECRET
        else:
            label = "consultant:infectious_diseases" if role == "consultant" else role
            token = deployment.identity.issue_token(f"u-{role}-{number}", [label], now=now)
        return {"authorization": f"Bearer {token}"}

    return sign_in


async def things_that_exist(deployment: Deployment) -> Known:
    """Cases with facts and holds, and words that paths take."""
    staff = Staff(deployment)
    cases = [await staff.refer() for _ in range(5)]
    reported = [await staff.report(case, STEROID) for case in cases]
    holds = [await staff.hold(case) for case in cases]
    return {
        "case_id": cases,
        "fact_id": [fact for answer in reported for fact in answer["recorded"]],
        "hold_id": [hold["hold_id"] for hold in holds],
        "gate": ["infusion", "collection", "dose_issue"],
        "outcome": ["consumed", "undone"],
        "service_id": ["order-sign", "appointment-book"],
        "feed": ["ehr"],
    }


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_intake_keeps_to_its_document_whatever_is_asked(
    infra: Infra, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with deployed(infra, tmp_path_factory.mktemp("fuzz"), [Service.INTAKE]) as deployment:
        url = deployment.url(Service.INTAKE)
        headers = deployment.headers(Role.COORDINATOR)
        document = (await deployment.client.get(f"{url}/openapi.json", headers=headers)).json()
        known = await things_that_exist(deployment)

        report = await asyncio.to_thread(
            fuzz, document, url, sign_in_of(deployment), known, REQUESTS
        )

        print(report.text())  # noqa: T201 - the report is what `make fuzz-api` is for
        log = deployment.log_tail("intake")
    assert report.requests >= REQUESTS
    assert [s for s in report.statuses if s >= 500] == [], log
    assert report.breaks == []


PLANTED: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "planted", "version": "1"},
    "paths": {
        "/thing": {
            "get": {
                "x-roles": ["coordinator"],
                "responses": {
                    "200": {
                        "description": "ok",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object", "required": ["count"],
                                    "properties": {"count": {"type": "integer"}},
                                }
                            }
                        },
                    },
                    "default": {
                        "description": "problem",
                        "content": {"application/problem+json": {"schema": {"type": "object"}}},
                    },
                },
            }
        }
    },
}  # fmt: skip


@contextmanager
def answering(status: int, body: object, media_type: str) -> Iterator[str]:
    """A server on the loopback that answers everything alike."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "media_type", "breaks"),
    [
        (200, {"count": 1}, "application/json", False),
        (404, {"title": "none"}, "application/problem+json", False),
        (500, {"title": "bug"}, "application/problem+json", True),
        (200, {"count": "one"}, "application/json", True),
        (200, {}, "application/json", True),
        (200, {"count": 1}, "text/plain", True),
        (202, {"count": 1}, "application/problem+json", True),
    ],
)
def test_an_answer_that_breaks_the_document_is_found(
    status: int, body: object, media_type: str, breaks: bool
) -> None:
    with answering(status, body, media_type) as url:
        report = fuzz(PLANTED, url, lambda _role, _number: {}, {}, 3)

    assert report.requests >= 3
    assert set(report.statuses) == {status}
    assert bool(report.breaks) is breaks, report.text()


def test_an_operation_whose_example_says_nothing_is_asked_too() -> None:
    """`{}` has no member to change or to leave out; the fuzzer once ended there."""
    document = copy.deepcopy(PLANTED)
    asked = document["paths"]["/thing"]["post"] = document["paths"]["/thing"].pop("get")
    asked["requestBody"] = {
        "content": {"application/json": {"schema": {"type": "object"}, "example": {}}}
    }

    with answering(200, {"count": 1}, "application/json") as url:
        report = fuzz(document, url, lambda _role, _number: {}, {}, 40)

    assert report.requests >= 40
    assert report.breaks == []
