"""What every command of `tandem` has, and how other packages add theirs."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from services.console import cli, redaction, running
from shared.runtime.exits import Exit


def commands(command: Any, path: str = "tandem") -> dict[str, Any]:
    """The commands that do something, by their full names; groups are looked into."""
    if not hasattr(command, "commands"):
        return {path: command}
    found = [commands(child, f"{path} {name}") for name, child in command.commands.items()]
    return {name: command for part in found for name, command in part.items()}


def own_app() -> typer.Typer:
    app = cli.new_app()
    running.register(app)
    return app


OWN = commands(get_command(own_app()))


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
    monkeypatch.setattr(cli, "entry_points", _one_entry("tandem.commands", "greeting:register"))
    monkeypatch.setattr(EntryPoint, "load", lambda _: _register)
    monkeypatch.setattr("sys.argv", ["tandem", "greet"])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 7


def _register(app: typer.Typer) -> None:
    @app.command()
    def greet() -> None:
        raise typer.Exit(7)


def known() -> list[EntryPoint]:
    return [*cli.OWN, *entry_points(group=cli.COMMANDS)]


@pytest.mark.parametrize("value", sorted({entry.value for entry in known()}))
def test_a_function_stands_there_once_for_each_first_word_that_it_registers(value: str) -> None:
    app = cli.new_app()
    named = [entry for entry in known() if entry.value == value]

    named[0].load()(app)

    words = get_command(app).commands  # type: ignore[attr-defined] - the callback makes it a group
    assert sorted(words) == sorted(entry.name for entry in named)


def test_one_command_is_loaded_alone_and_help_loads_all() -> None:
    (assess,) = cli.asked_for(known(), ["assess", "x.json"])

    assert assess.value.startswith("services.intake.entrypoints.commands")
    for arguments in ([], ["--help"], ["no-such-command"]):
        assert len(cli.asked_for(known(), arguments)) == len({e.value for e in known()})


def test_assess_loads_no_client_of_a_server() -> None:
    code = (
        "import sys; from services.console import cli; sys.argv = ['tandem', 'assess', '--help']\n"
        "try: cli.main()\nfinally: print(sorted({'aiokafka', 'asyncpg', 'httpx', 'fastapi',"
        " 'pydantic', 'cryptography'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


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
    result = CliRunner().invoke(own_app(), ["up"], env={"TANDEM_KAFKA_PORT": "kafka"})

    assert result.exit_code == Exit.BAD_USAGE
    assert "TANDEM_KAFKA_PORT=kafka is no port" in result.stderr
