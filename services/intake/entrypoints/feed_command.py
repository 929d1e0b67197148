"""The command `feed read`: what a file of HL7 v2 messages would bring, without a server.

Invariant: nothing is stored and nobody is asked; a file with a refused message gives exit code 3.
`feed send`, which does ask a service, stands beside it in the same group.
"""

import json
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from services.intake.application.incoming_messages import IncomingMessage, Profile
from services.intake.entrypoints.feed_send_command import send
from shared.runtime.exits import Exit

READER: Final = "services.intake.adapters.hl7v2"
FILE_BYTES_MAX: Final = 64 * 1024 * 1024

File = Annotated[Path, typer.Argument(help="A file of HL7 v2 messages.", show_default=False)]
Feed = Annotated[str, typer.Option("--feed", help="Name of the feed, part of each fact's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a message.")]

feed_app = typer.Typer(help="Messages and notifications of feeds.", no_args_is_help=True)
feed_app.command("send")(send)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(feed_app, name="feed")


@feed_app.callback()
def _feed() -> None:
    """Messages of other systems."""


@feed_app.command("read")
def read(file: File, *, feed: Feed = "file", as_json: AsJson = False) -> None:
    """Tells what became of each segment of each message, and the statements."""
    try:
        size_bytes = file.stat().st_size
        raw = file.read_bytes() if size_bytes <= FILE_BYTES_MAX else b""
    except OSError as error:
        typer.echo(f"{file.name}: cannot be read: {error.strerror}", err=True)
        raise typer.Exit(Exit.BAD_USAGE) from None
    found = _read_all(raw, feed)
    for message in found:
        typer.echo(json.dumps(_told(message)) if as_json else _text(message))
    if not found or any(message.problems for message in found):
        raise typer.Exit(Exit.INPUT_REFUSED)


def _read_all(raw: bytes, feed: str) -> list[IncomingMessage]:
    """Reads with the service's own reader, found by name as any plug-in of the command line is."""
    reader = import_module(READER)
    profile = Profile(feed, processing=frozenset({"P", "T", "D"}))
    now = datetime.now(UTC)
    return [reader.read_message(one, profile, now) for one in reader.split_messages(raw)]


def _told(message: IncomingMessage) -> dict[str, Any]:
    return {
        "control_id": message.header.control_id,
        "kind": f"{message.header.kind}^{message.header.event}",
        "problems": [
            {"code": p.code, "place": p.place, "message": p.message} for p in message.problems
        ],
        "segments": [
            {"segment": o.segment, "outcome": o.outcome, "reason": o.reason, "place": o.place,
             "message": o.message, "statements": list(o.statements)}
            for o in message.report
        ],
        "statements": list(message.statements),
    }  # fmt: skip


def _text(message: IncomingMessage) -> str:
    header = message.header
    counts = ", ".join(f"{number} {word}" for word, number in message.counts.items())
    lines = [f"{header.kind}^{header.event} {header.control_id}: {counts}"]
    lines += [f"  refused at {p.place or 'the beginning'}: {p.message}" for p in message.problems]
    lines += [f"  {o.place:<12} {o.outcome:<8} {o.message}" for o in message.report]
    return "\n".join(lines)
