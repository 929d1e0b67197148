"""A real browser on a real console; without Chromium on this machine these tests are left out.

They are deselected, not skipped, and the run says so: the same pages are tested without a browser
in tests/component/console.
"""

import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from shared.testing.infra import Infra
from tests.system.deployment import Deployment, deployed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_HERE = Path(__file__).parent
_LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves this folder's tests out where there is no Chromium."""
    if CHROMIUM is not None:
        return
    kept, left_out = split(items)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        config.stash[_LEFT_OUT] = len(left_out)
        items[:] = kept


def split(items: Sequence[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The tests of other folders, and those of this one."""
    left_out = [item for item in items if _HERE in item.path.parents]
    return [item for item in items if item not in left_out], left_out


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Says what was left out, and how to have it."""
    count = config.stash.get(_LEFT_OUT, 0)
    if count:
        terminalreporter.write_line(
            f"{count} browser tests left out: no chromium on the path (apt install chromium)"
        )


@pytest.fixture(scope="module")
async def deployment(
    infra: Infra, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployment]:
    """All services and the console, running."""
    async with deployed(infra, tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium of this machine; nothing is downloaded."""
    async with async_playwright() as playwright:
        # its sandbox needs a user namespace, which containers seldom allow; it sees our pages only
        found = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        await found.close()
