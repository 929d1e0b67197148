"""The command `tandem`: finds the command that was asked for and loads nothing else.

Commands come through the entry-point group `tandem.commands`: the first word of a command, and a
function that takes this application and registers commands on it. A function that registers
several stands there once for each first word, so that `tandem assess` never pays for the imports
of a broker's client. Exit codes are those of `shared.runtime.exits`.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import typer

COMMANDS: Final = "tandem.commands"
#: this package's own commands for a system on this machine
OWN: Final = tuple(
    EntryPoint(name, "services.console.running:register", COMMANDS)
    for name in ("up", "down", "doctor", "config")
)


def new_app() -> typer.Typer:
    """The application without any command."""
    app = typer.Typer(
        name="tandem",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def tandem() -> None:
        """Tandem coordinates CIK cell therapy in tandem with standard oncology treatment."""

    return app


def asked_for(known: Iterable[EntryPoint], arguments: Sequence[str]) -> list[EntryPoint]:
    """What to load, each function once: the command that was named, or all to list or refuse."""
    entries = list(known)
    named = [entry for entry in entries if entry.name in arguments[:1]]
    return list({entry.value: entry for entry in named or entries}.values())


def main() -> None:
    """Runs the command."""
    app = new_app()
    for entry in asked_for((*OWN, *entry_points(group=COMMANDS)), sys.argv[1:]):
        register: Callable[[typer.Typer], None] = entry.load()
        register(app)
    app()


if __name__ == "__main__":
    main()
