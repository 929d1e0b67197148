"""Who may look: every signed-in person at everything, nobody else at anything but the sign-in."""

from pathlib import Path

import pytest

from services.console.sign_in.http import OPEN_PATHS
from shared.contracts.vocabulary import Role, Service
from shared.testing.role_matrix import ANY_ROLE, OPERATIONS
from shared.web.declared import accesses
from shared.web.documentation import PATHS
from shared.web.middleware import METRICS, PROBES
from tests.unit.console.console_app_rig import Console, made_console

ID = "01890000-0000-7000-8000-000000000000"

#: the pages, and what a test sends for the names in their paths; all for any role
PAGES = {
    "GET /": "/",
    "GET /cases": "/cases?code=AAAA-BBBB",
    "GET /cases/{case_id}": f"/cases/{ID}",
    "GET /stream": "/stream",
    "GET /stream/events": "/stream/events",
    "GET /changes": "/changes",
    "GET /alerts": "/alerts",
    "GET /parked": "/parked",
    "GET /lag": "/lag",
    "GET /cases/{case_id}/enter/{form}": f"/cases/{ID}/enter/symptom",
    "POST /cases/{case_id}/enter/{form}": f"/cases/{ID}/enter/symptom",
    "GET /cases/{case_id}/entries/{entry_id}": f"/cases/{ID}/entries/{ID}",
    "GET /cases/{case_id}/entries/{entry_id}/correct": f"/cases/{ID}/entries/{ID}/correct",
    "POST /cases/{case_id}/entries/{entry_id}/correct": f"/cases/{ID}/entries/{ID}/correct",
    "GET /cases/{case_id}/entries/{entry_id}/withdraw": f"/cases/{ID}/entries/{ID}/withdraw",
    "POST /cases/{case_id}/entries/{entry_id}/withdraw": f"/cases/{ID}/entries/{ID}/withdraw",
    "POST /zone": "/zone",
    "POST /sign-out": "/sign-out",
}
#: what shows or changes something about cases
SEES_CASES = sorted(set(PAGES) - {"POST /sign-out", "POST /zone"})
#: open to everybody
OPEN = {
    "GET /sign-in", "GET /sign-in/start", "GET /sign-in/callback", "GET /static/{name}",
}  # fmt: skip


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return made_console(tmp_path)


def test_every_endpoint_stands_in_the_tables(console: Console) -> None:
    common = (*PROBES, METRICS, *PATHS)
    declared = {
        f"{method} {path}": access
        for method, path, access in accesses(console.app)
        if not any(path == c or path.startswith(f"{c}/") for c in common)
    }

    assert {name for name, access in declared.items() if access.anonymous} == OPEN
    signed_in = {name for name, access in declared.items() if not access.anonymous}
    assert signed_in == {*PAGES, *OPERATIONS}
    assert all(declared[name].labels == set(who) for name, who in OPERATIONS.items())
    assert all(declared[name].labels == ANY_ROLE for name in PAGES)
    assert all(name.split(" ")[1].startswith(OPEN_PATHS) for name in OPEN)


@pytest.mark.parametrize("endpoint", sorted(PAGES))
async def test_nobody_unknown_gets_in(console: Console, endpoint: str) -> None:
    async with console.browser() as browser:
        method = endpoint.split(" ", maxsplit=1)[0]
        api = await browser.request(method, PAGES[endpoint], headers={"accept": "application/json"})
        person = await browser.request(method, PAGES[endpoint])

    assert api.status_code == 401
    assert person.status_code == 303
    assert person.headers["location"].startswith("/sign-in?to=")


@pytest.mark.parametrize("endpoint", sorted(PAGES))
@pytest.mark.parametrize("service", [Service.INTAKE, Service.CONSOLE])
async def test_no_service_looks_at_pages(console: Console, endpoint: str, service: Service) -> None:
    headers = {**console.sign_in.service(service), "accept": "application/json"}
    async with console.browser() as browser:
        method, _, _ = endpoint.partition(" ")
        answer = await browser.request(method, PAGES[endpoint], headers=headers)

    assert answer.status_code == 403


@pytest.mark.parametrize("endpoint", SEES_CASES)
async def test_a_person_without_a_role_sees_nothing(console: Console, endpoint: str) -> None:
    method = endpoint.split(" ", maxsplit=1)[0]
    async with console.browser() as browser:
        answer = await browser.request(method, PAGES[endpoint], headers=console.sign_in.person())

    assert answer.status_code == 403


@pytest.mark.parametrize("endpoint", SEES_CASES)
async def test_a_person_of_one_site_sees_nothing_since_events_tell_no_site(
    console: Console, endpoint: str
) -> None:
    method = endpoint.split(" ", maxsplit=1)[0]
    async with console.browser() as browser:
        headers = console.sign_in.person(Role.COORDINATOR, site="north")
        answer = await browser.request(method, PAGES[endpoint], headers=headers)

    assert answer.status_code == 403


async def test_a_page_that_polls_is_sent_to_the_sign_in_when_its_session_is_over(
    console: Console,
) -> None:
    async with console.browser() as browser:
        answer = await browser.get("/", headers={"hx-request": "true", "accept": "*/*"})

    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/sign-in?to=%2F"


async def test_every_page_carries_the_strict_headers(console: Console) -> None:
    async with console.browser() as browser:
        answers = [
            await browser.get("/sign-in"),
            await browser.get("/nothing-here", headers=console.sign_in.person(Role.OPS)),
            await browser.get("/", headers=console.sign_in.person(Role.OPS)),
        ]

    assert [a.status_code for a in answers] == [200, 404, 503]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["x-frame-options"] == "DENY"


async def test_a_form_from_another_site_signs_nobody_out(console: Console) -> None:
    headers = {**console.sign_in.person(Role.OPS), "origin": "https://elsewhere.example"}
    async with console.browser() as browser:
        answer = await browser.post("/sign-out", headers=headers)

    assert answer.status_code == 403


async def test_the_zone_is_kept_in_a_cookie_and_leads_back_to_a_page_of_ours(
    console: Console,
) -> None:
    headers = console.sign_in.person(Role.OPS)
    async with console.browser() as browser:
        back = await browser.post("/zone", headers=headers, data={"zone": "utc", "to": "/alerts"})
        away = await browser.post(
            "/zone", headers=headers, data={"zone": "utc", "to": "//elsewhere.example/"}
        )
        wrong = await browser.post("/zone", headers=headers, data={"zone": "mars"})

    assert (back.status_code, back.headers["location"]) == (303, "/alerts")
    assert "tandem_zone=utc" in back.headers["set-cookie"]
    assert away.headers["location"] == "/"
    assert wrong.status_code == 422
