"""Secrets of the containers: drawn once, kept, read by a service from files of their names."""

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.console.provision import PASSWORD_FILE, make_secrets
from services.console.settings import ConsoleSettings
from services.console.sign_in.provider import Client
from shared.runtime.probe import is_ready
from shared.runtime.settings import SettingsError, load_settings


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    for name in ("admin", "metrics"):
        (tmp_path / name).mkdir()
    return {
        "TANDEM_SECRETS": str(tmp_path),
        "TANDEM_POSTGRES_SECRETS": str(tmp_path / "admin"),
        "TANDEM_METRICS_SECRETS": str(tmp_path / "metrics"),
        "TANDEM_POSTGRES": "postgres:5432",
        "TANDEM_OIDC_ISSUER": "http://127.0.0.1:8085",
    }


def files_below(directory: Path) -> dict[str, str]:
    files = [p for p in directory.rglob("*") if p.is_file() and p.parent.name != "metrics"]
    return {str(p): p.read_text() for p in files}


def test_secrets_are_drawn_once_and_stay(environ: dict[str, str], tmp_path: Path) -> None:
    make_secrets(environ)
    first = files_below(tmp_path)

    make_secrets(environ)

    assert files_below(tmp_path) == first
    assert len(first) > 10


def test_two_services_share_no_secret(environ: dict[str, str], tmp_path: Path) -> None:
    make_secrets(environ)

    intake = set(files_below(tmp_path / "intake").values())
    console = set(files_below(tmp_path / "console").values())

    assert len(intake) == 2
    assert intake.isdisjoint(console)


def test_only_what_other_containers_read_is_for_other_users(
    environ: dict[str, str], tmp_path: Path
) -> None:
    make_secrets(environ)

    open_to_others = [p for p in tmp_path.rglob("*") if p.is_file() and p.stat().st_mode & 0o077]

    assert set(open_to_others) == {tmp_path / "admin" / PASSWORD_FILE, metrics_token(tmp_path)}


def metrics_token(tmp_path: Path) -> Path:
    return tmp_path / "metrics" / "token"


def test_prometheus_gets_a_fresh_token_of_operations_staff(
    environ: dict[str, str], tmp_path: Path
) -> None:
    make_secrets(environ)
    first = metrics_token(tmp_path).read_text()

    make_secrets(environ)

    token = metrics_token(tmp_path).read_text()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert token != first
    assert (claims["sub"], claims["roles"]) == ("prometheus", ["ops"])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What compose puts into the environment of the console: no secret."""
    for name, value in {
        "MODE": "demo",
        "KAFKA_BOOTSTRAP": "kafka:9092",
        "OIDC_ISSUER": "http://127.0.0.1:8085",
        "OIDC_JWKS_URL": "http://identity:8085/jwks",
        "OIDC_TOKEN_URL": "http://identity:8085/token",
    }.items():
        monkeypatch.setenv(f"TANDEM_{name}", value)
    return monkeypatch


def test_a_service_reads_its_secrets_from_files(
    environ: dict[str, str], tmp_path: Path, told: pytest.MonkeyPatch
) -> None:
    make_secrets(environ)
    told.setenv("TANDEM_SECRETS", str(tmp_path / "console"))

    settings = load_settings(ConsoleSettings)

    written = (tmp_path / "console" / "TANDEM_CLIENT_SECRET").read_text()
    assert settings.client_secret.get_secret_value() == written
    dsn = settings.database_url.get_secret_value()
    assert dsn.startswith("postgresql://tandem_console:")
    assert dsn.endswith("@postgres:5432/tandem_console")


def test_without_the_files_every_missing_secret_is_named(
    tmp_path: Path, told: pytest.MonkeyPatch
) -> None:
    told.setenv("TANDEM_SECRETS", str(tmp_path))

    with pytest.raises(SettingsError) as refused:
        load_settings(ConsoleSettings)

    assert "TANDEM_CLIENT_SECRET" in str(refused.value)
    assert "TANDEM_DATABASE_URL_CONSOLE" in str(refused.value)


@pytest.mark.parametrize(
    ("internal", "reached"),
    [
        (None, "http://127.0.0.1:8085/token"),
        ("http://identity:8085", "http://identity:8085/token"),
        ("http://identity:8085/", "http://identity:8085/token"),
    ],
)
def test_the_console_reaches_the_sign_in_by_its_own_way(internal: str | None, reached: str) -> None:
    client = Client("http://127.0.0.1:8085", "console", "s", "http://127.0.0.1:8080/", internal)

    assert client.reached("http://127.0.0.1:8085/token") == reached
    assert client.reached("https://elsewhere.example/token") == "https://elsewhere.example/token"


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/ready" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_probe_tells_ready_from_not_ready_and_from_gone(port: int) -> None:
    assert is_ready(port)
    assert not is_ready(port, "/health/other")
    assert not is_ready(1)
