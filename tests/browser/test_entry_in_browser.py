"""A person enters, mends and takes back by keyboard, with and without script, wide and narrow."""

from collections.abc import AsyncIterator

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from shared.contracts.vocabulary import Service
from tests.browser.test_console_in_browser import a_case, sign_in
from tests.system.deployment import Deployment

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

WIDE, NARROW = {"width": 1280, "height": 720}, {"width": 390, "height": 844}


@pytest.fixture(params=["script", "no-script"])
async def page(
    request: pytest.FixtureRequest, browser: Browser, deployment: Deployment
) -> AsyncIterator[Page]:
    """A wide window, or a narrow one without script; a fault of the content policy fails."""
    scripted = request.param == "script"
    context = await browser.new_context(
        viewport=WIDE if scripted else NARROW, java_script_enabled=scripted
    )
    found = await context.new_page()
    faults: list[str] = []
    found.on("pageerror", lambda error: faults.append(str(error)))
    found.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    yield found
    await context.close()
    # a refused form is answered 422, which Chromium tells on the console
    assert [fault for fault in faults if "status of 422" not in fault] == []


async def test_a_course_is_entered_by_keyboard_corrected_and_taken_back(
    page: Page, deployment: Deployment
) -> None:
    case_id = await a_case(deployment)
    await sign_in(page, deployment, f"/cases/{case_id}")
    await page.get_by_role("link", name="Steroid course").press("Enter")
    await page.get_by_label("Drug").focus()

    await page.keyboard.type("dexamethasone")
    await page.keyboard.press("Tab")
    await page.keyboard.type("8,0")
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("alert")).to_contain_text("with a point for decimals")
    dose = page.get_by_label("Dose in mg a day")
    await expect(dose).to_have_value("8,0")
    await expect(page.get_by_label("Drug")).to_have_value("dexamethasone")
    await dose.fill("8")
    await dose.press("Enter")

    await expect(page.get_by_role("status")).to_contain_text("This is on record now.")
    infusion = page.get_by_role("article", name="Infusion")
    await expect(infusion).to_contain_text("hold")
    await expect(infusion).to_contain_text("STER-001")

    await page.get_by_role("link", name="Correct it").press("Enter")
    await expect(page.get_by_label("First day")).not_to_have_value("")
    await page.get_by_label("Dose in mg a day").fill("0.75")
    await page.get_by_role("button", name="Record the correction").press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("Corrected.")
    await expect(page.get_by_role("article", name="Infusion")).to_have_count(0)

    await page.get_by_role("link", name="Entered in error").press("Enter")
    await page.get_by_label("Why was it an error?").fill("of another patient")
    await page.get_by_role("button", name="Mark as entered in error").press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("It counts no more.")
    await page.get_by_role("link", name="Back to the case").press("Enter")
    row = page.get_by_role("row").filter(has_text="Steroid course")
    await expect(row).to_contain_text("entered in error")


async def test_a_case_with_entries_passes_axe_and_fits_a_narrow_window(
    browser: Browser, deployment: Deployment
) -> None:
    case_id = await a_case(deployment)
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    page = await context.new_page()
    await sign_in(page, deployment, f"/cases/{case_id}/enter/symptom")
    await page.get_by_label("Symptom").select_option("RF-CHEST")
    await page.get_by_role("button", name="Record").click()
    await expect(page.get_by_role("status")).to_contain_text("This is on record now.")
    entry = await Axe().run(page)

    await page.get_by_role("link", name="Back to the case").click()
    await expect(page.get_by_role("row").filter(has_text="Chest pain")).to_be_visible()
    case = await Axe().run(page)
    wide = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    await context.close()

    assert entry.violations_count == 0, entry.generate_report()
    assert case.violations_count == 0, case.generate_report()
    assert wide == 0


@pytest.mark.parametrize(
    "form",
    ["symptom", "infection-episode", "steroid-course", "chemotherapy-cycle", "chemotherapy-plan",
     "other-product"],
)  # fmt: skip
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
async def test_forms_pass_axe_and_fit(
    browser: Browser, deployment: Deployment, form: str, size: dict[str, int]
) -> None:
    case_id = await a_case(deployment)
    context = await browser.new_context(viewport={"width": size["width"], "height": size["height"]})
    page = await context.new_page()
    await sign_in(page, deployment, f"/cases/{case_id}/enter/{form}")
    await page.get_by_text("More, if known").click()
    empty = await Axe().run(page)
    wide = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    await page.get_by_role("button", name="Record").click()
    await expect(page.get_by_role("alert").first).to_be_visible()
    asked = await Axe().run(page)
    focused = await page.evaluate("document.activeElement.className")
    await context.close()

    assert empty.violations_count == 0, empty.generate_report()
    assert asked.violations_count == 0, asked.generate_report()
    assert (wide, focused) == (0, "troubles")


async def test_while_intake_is_down_nothing_typed_is_lost(
    browser: Browser, deployment: Deployment
) -> None:
    case_id = await a_case(deployment)
    context = await browser.new_context(viewport={"width": 1280, "height": 720})
    page = await context.new_page()
    await sign_in(page, deployment, f"/cases/{case_id}/enter/symptom")
    await page.get_by_label("Symptom").select_option("RF-CHEST")
    await deployment.stop(Service.INTAKE)
    try:
        await page.get_by_role("button", name="Record").click()
        await expect(page.get_by_role("alert").first).to_contain_text("Intake does not answer")
    finally:
        await deployment.start(Service.INTAKE)

    await expect(page.get_by_label("Symptom")).to_have_value("RF-CHEST")
    await page.get_by_role("button", name="Record").click()

    await expect(page.get_by_role("status")).to_contain_text("This is on record now.")
    await context.close()
