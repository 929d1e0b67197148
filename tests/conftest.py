"""Shared plumbing of all tests: the servers behind the fixture `infra`.

The servers start when the collected tests are known and one of them asks for `infra`, before the
first test runs: no test's time limit pays for the start, and runs without such tests start nothing.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import is_hypothesis_test

from shared.runtime.paths import CHECKOUT
from shared.testing.infra import Infra, running_infra
from shared.testing.native import wait_until_gone
from shared.testing.processes import heed_interrupts

_TEST_VAR = CHECKOUT / "var" / "test"
# All workers of one pytest-xdist run share it; without workers the run is this process.
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"{os.getpid()}-{secrets.token_hex(4)}"
_HAS_SIBLINGS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1

#: hang guard of a test that runs hundreds of examples: its length is their number, not one wait
SEARCH_TIMEOUT_SECONDS = 300

_STACK = pytest.StashKey[ExitStack]()
_INFRA = pytest.StashKey[Infra]()


def pytest_configure(config: pytest.Config) -> None:
    """Gives the name of the run to the workers that pytest-xdist may start; heeds Ctrl-C."""
    heed_interrupts()
    if getattr(config.option, "testrunuid", "absent") is None:
        config.option.testrunuid = _RUN


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Gives property tests the longer hang guard; a marker or --timeout goes before it."""
    if config.getoption("timeout") is not None:
        return
    for item in items:
        is_search = isinstance(item, pytest.Function) and is_hypothesis_test(item.obj)
        if is_search and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SEARCH_TIMEOUT_SECONDS))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Starts the shared servers if a test that will run asks for them."""
    wanted = any("infra" in getattr(item, "fixturenames", ()) for item in session.items)
    if not wanted or session.config.option.collectonly:
        return
    stack = session.config.stash[_STACK] = ExitStack()
    session.config.stash[_INFRA] = stack.enter_context(
        running_infra(_shared_directory(), shared=_HAS_SIBLINGS)
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Lets go of the servers; the last process of the run waits until they are gone."""
    if _STACK in session.config.stash:
        session.config.stash[_STACK].close()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        wait_until_gone(_shared_directory())


@pytest.fixture(scope="session")
def infra(request: pytest.FixtureRequest) -> Infra:
    """Kafka and PostgreSQL, shared by the whole run; see `shared.testing.infra`."""
    return request.config.stash[_INFRA]


@pytest.fixture(scope="module")
def own_infra() -> Iterator[Infra]:
    """Servers of this module alone, which its tests may kill; they cost three seconds."""
    directory = _TEST_VAR / f"own-{secrets.token_hex(8)}"
    with running_infra(directory, shared=False) as found:
        yield found
    wait_until_gone(directory)


def _shared_directory() -> Path:
    return _TEST_VAR / _RUN
