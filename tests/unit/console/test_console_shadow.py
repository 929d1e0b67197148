"""Every page of a console in shadow mode says that nothing is permitted there."""

from pathlib import Path

import pytest

from tests.unit.console.console_app_rig import made_console

ADVISORY = "Tandem permits nothing here"


@pytest.mark.parametrize(("mode", "is_said"), [("shadow", True), ("demo", False), ("live", False)])
async def test_a_page_says_its_mode_and_in_shadow_mode_that_it_is_advisory(
    tmp_path: Path, mode: str, is_said: bool
) -> None:
    async with made_console(tmp_path, mode=mode).browser() as browser:
        answer = await browser.get("/sign-in")

    assert f"{mode} mode" in answer.text
    assert answer.headers["tandem-mode"] == mode
    assert (ADVISORY in answer.text) is is_said
