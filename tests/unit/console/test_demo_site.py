"""Where the native demo finds the system that it has declared."""

from pathlib import Path

import pytest

from services.console.demo.people import signed_here
from services.console.demo.site import Site
from services.console.programs import SERVICES, contribute
from shared.runtime.dev_tokens import demo_user
from shared.runtime.paths import Paths
from shared.runtime.stack import DEFAULT_PORTS, native_stack


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("TANDEM_VAR", str(tmp_path))
    stack = native_stack(Paths(tmp_path, tmp_path), dict.fromkeys(DEFAULT_PORTS, "0"))
    return Site.of(list(contribute(stack)), tmp_path)


def test_each_database_is_asked_by_psql_at_its_own_address(site: Site) -> None:
    for service in SERVICES:
        psql, address = site.databases[service]
        assert Path(psql).name == "psql"
        assert Path(psql).is_file()
        assert address.startswith("postgresql://tandem:")
        assert address.endswith(f"/tandem_{service.value}")


def test_every_service_has_an_address_on_loopback(site: Site) -> None:
    assert set(site.urls) == set(SERVICES)
    assert all(url.startswith("http://127.0.0.1:") for url in site.urls.values())


def test_people_are_signed_in_with_the_key_below_var(site: Site) -> None:
    token = signed_here(site)(demo_user("coordinator"))

    assert token.count(".") == 2
    assert (site.var / "identity" / "signing-key.json").is_file()
