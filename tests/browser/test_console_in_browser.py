"""A person signs in, sees the worklist, and watches a hold arrive without touching anything."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Locator, Page, expect

from shared.contracts.case_code import case_code
from shared.contracts.vocabulary import Role, Service
from tests.system.deployment import Deployment, eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

WIDTH, HEIGHT = 1280, 720


@pytest.fixture
async def page(browser: Browser, deployment: Deployment) -> AsyncIterator[Page]:
    """A browser window of its own; a fault of a script or of the content policy fails the test."""
    context = await browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    found = await context.new_page()
    faults: list[str] = []
    found.on("pageerror", lambda error: faults.append(str(error)))
    found.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    yield found
    await context.close()
    assert faults == []


async def sign_in(page: Page, deployment: Deployment, path: str = "/") -> None:
    await page.goto(deployment.url(Service.CONSOLE) + path)
    await page.get_by_role("button", name="Amal (coordinator)").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


async def posted(deployment: Deployment, service: Service, path: str, body: Any) -> Any:
    answer = await deployment.client.post(
        deployment.url(service) + path, headers=deployment.headers(Role.COORDINATOR), json=body
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def a_case(deployment: Deployment) -> Any:
    """The id of a new case that the console knows."""
    body = {"identifiers": [["urn:example:mrn", uuid4().hex]]}
    case_id = (await posted(deployment, Service.INTAKE, "/cases", body))["case_id"]

    async def shown() -> bool:
        answer = await deployment.client.get(
            f"{deployment.url(Service.CONSOLE)}/cases/{case_id}",
            headers=deployment.headers(Role.COORDINATOR),
        )
        return answer.status_code == 200

    await eventually(shown, "the case in the console")
    return case_id


async def hold(deployment: Deployment, case_id: str) -> None:
    body = {"kind": "clinical_concern", "gates": ["infusion"], "reason": "seen at rounds"}
    await posted(deployment, Service.INTAKE, f"/cases/{case_id}/holds", body)


def code_of(case_id: str) -> str:
    return case_code(UUID(case_id))


async def test_a_hold_appears_in_worklist_stream_and_case_by_itself(
    page: Page, browser: Browser, deployment: Deployment
) -> None:
    case_id = await a_case(deployment)
    await sign_in(page, deployment)
    await expect(page.get_by_role("heading", name="Worklist")).to_be_visible()
    row = page.get_by_role("row").filter(has_text=code_of(case_id))
    await expect(row).to_contain_text("nothing waits")
    stream = await page.context.new_page()
    await stream.goto(f"{deployment.url(Service.CONSOLE)}/stream?case={case_id}")
    await expect(stream.get_by_role("status")).to_have_text("Live: new events appear on top.")
    case_page = await page.context.new_page()
    await case_page.goto(f"{deployment.url(Service.CONSOLE)}/cases/{case_id}")

    await hold(deployment, case_id)

    live_row = stream.locator("#events tr.new").filter(has_text="Hold recorded")
    await expect(live_row).to_have_count(1)
    await expect(live_row).to_contain_text(code_of(case_id))
    await expect(row).to_contain_text("critical")
    await expect(case_page.locator(".answer .sentence")).to_contain_text("1 open hold")


async def test_the_answer_stands_in_the_first_screen(page: Page, deployment: Deployment) -> None:
    case_id = await a_case(deployment)
    await hold(deployment, case_id)
    await sign_in(page, deployment, f"/cases/{case_id}")

    for seen in (page.locator(".answer .sentence"), page.get_by_text("Open holds (1)")):
        await expect(seen).to_be_visible()
        assert await bottom(seen) <= HEIGHT


async def bottom(seen: Locator) -> float:
    """The lower edge in pixels; the page replaces its parts as it refreshes itself."""
    for _ in range(20):
        box = await seen.bounding_box()
        if box is not None:
            return box["y"] + box["height"]
        await expect(seen).to_be_visible()
    raise AssertionError("never in place long enough to be measured")


async def test_a_paused_stream_counts_what_waits(page: Page, deployment: Deployment) -> None:
    case_id = await a_case(deployment)
    await sign_in(page, deployment, f"/stream?case={case_id}")
    status = page.get_by_role("status")
    await expect(status).to_have_text("Live: new events appear on top.")
    before = await page.locator("#events tr").count()
    await page.get_by_role("button", name="Pause").press("Enter")
    await expect(status).to_have_text("Paused: 0 new events wait.")

    await hold(deployment, case_id)

    await expect(status).not_to_have_text("Paused: 0 new events wait.")
    assert await page.locator("#events tr").count() == before
    await page.get_by_role("button", name="Go on").press("Enter")
    await expect(page.locator("#events tr").filter(has_text="Hold recorded")).to_have_count(1)


@pytest.mark.parametrize("path", ["/", "/cases/{case}", "/stream", "/alerts", "/parked", "/lag"])
async def test_pages_pass_axe(page: Page, deployment: Deployment, path: str) -> None:
    case_id = await a_case(deployment)
    await hold(deployment, case_id)
    await sign_in(page, deployment, path.format(case=case_id))
    await expect(page.locator("main h1")).to_be_visible()

    found = await Axe().run(page)

    assert found.violations_count == 0, found.generate_report()
