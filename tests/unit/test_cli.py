"""What every command of `tandem` has, and how other packages add theirs."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from services.console import cli, redaction


def commands(command: Any, path: str = "tandem") -> dict[str, Any]:
    """The commands that do something, by their full names; groups are looked into."""
    if not hasattr(command, "commands"):
        return {path: command}
    found = [commands(child, f"{path} {name}") for name, child in command.commands.items()]
    return {name: command for part in found for name, command in part.items()}


OWN = commands(get_command(cli.app))


def test_the_commands_for_running_are_there() -> None:
    assert set(OWN) == {"tandem up", "tandem down", "tandem doctor", "tandem config print"}


@pytest.mark.parametrize("name", OWN)
def test_every_command_has_json_an_example_and_its_exit_codes(name: str) -> None:
    command = OWN[name]

    options = {option for parameter in command.params for option in parameter.opts}
    assert "--json" in options
    assert command.help is not None
    assert f"Example: {name}" in command.help
    assert "Exit codes:" in command.help


def test_other_packages_add_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", typer.Typer())
    monkeypatch.setattr(cli, "entry_points", _one_entry("tandem.commands", "greeting:register"))
    monkeypatch.setattr(EntryPoint, "load", lambda _: _register)
    monkeypatch.setattr("sys.argv", ["tandem", "greet"])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 7


def _register(app: typer.Typer) -> None:
    @app.callback()
    def group() -> None:
        """Makes the one command a named one."""

    @app.command()
    def greet() -> None:
        raise typer.Exit(7)


def _one_entry(group: str, value: str) -> Callable[..., list[EntryPoint]]:
    return lambda *, group_asked=group, **asked: (
        [EntryPoint("x", value, group)] if asked["group"] == group_asked else []
    )


def test_secrets_are_hidden_and_addresses_stay_readable() -> None:
    shown = redaction.settings(
        {
            "TANDEM_CLIENT_SECRET": "s3cret",
            "TANDEM_DATABASE_URL_INTAKE": "postgresql://intake:s3cret@db:5432/intake",
            "TANDEM_OIDC_TOKEN_URL": "https://id.example/token",
            "TANDEM_MODE": "demo",
            "HOME": "/somewhere",
        },
        redacted=True,
    )

    assert "s3cret" not in str(shown)
    assert shown["TANDEM_DATABASE_URL_INTAKE"] == "postgresql://intake:***@db:5432/intake"
    assert shown["TANDEM_OIDC_TOKEN_URL"] == "https://id.example/token"
    assert shown["TANDEM_MODE"] == "demo"
    assert "HOME" not in shown


def test_a_port_that_is_none_is_bad_usage() -> None:
    result = CliRunner().invoke(cli.app, ["up"], env={"TANDEM_KAFKA_PORT": "kafka"})

    assert result.exit_code == cli.Exit.BAD_USAGE
    assert "TANDEM_KAFKA_PORT=kafka is no port" in result.stderr
