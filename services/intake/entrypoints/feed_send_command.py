"""The command `feed send`: files go to a running intake by the way of a feed; answers are printed.

Invariant: a file is sent as the feed's own sender would send it, and counts as sent by it: use it
to try an interface, or to send again what a sender had lost.
"""

import json
import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from services.intake.entrypoints.feed_sending import (
    Line,
    MllpLine,
    NoAnswerError,
    NotificationLine,
    Told,
    UnknownSenderError,
)
from shared.contracts.vocabulary import Service
from shared.runtime import run_state
from shared.runtime.exits import Exit
from shared.runtime.paths import default_paths
from shared.runtime.settings import DEFAULT_PORT

READER: Final = "services.intake.adapters.hl7v2"
SETTINGS: Final = "services.intake.settings"
FILE_BYTES_MAX: Final = 64 * 1024 * 1024
TOLD_BY: Final = "TANDEM_FEED_SECRET"
_ENDING: Final = {"mllp": ".hl7", "fhir": ".json"}

What = Annotated[Path, typer.Argument(help="A file, or a folder of them.", show_default=False)]
Feed = Annotated[str, typer.Option("--feed", help="Its name in TANDEM_FEEDS.", show_default=False)]
Host = Annotated[str, typer.Option("--host", help="Where the MLLP feed listens.")]
Port = Annotated[
    int | None, typer.Option("--port", help="MLLP port, where TANDEM_FEEDS does not tell it.")
]
Url = Annotated[str | None, typer.Option("--url", help="Where intake is, if not found by itself.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object an answer.")]


class _UnusableError(Exception):
    """The command cannot be carried out as it was given."""


def send(
    what: What,
    *,
    feed: Feed,
    host: Host = "127.0.0.1",
    port: Port = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Send HL7 v2 messages (MLLP) or FHIR notifications to a running intake; print the answers.

    Port and secret come from TANDEM_FEEDS; else --port, or the secret from TANDEM_FEED_SECRET.
    A folder sends its *.hl7 or *.json files in the order of their names.

    Example: tandem feed send night.hl7 --feed lab --port 2575

    Exit codes: 0 all accepted, 1 the secret is not accepted, 2 bad usage, 3 a message was refused,
    4 no answer came (whether it was recorded is unknown; sending again is safe).
    """
    try:
        kind, line = _line(feed, host, port, url)
        files = _files(what, _ENDING[kind])
        accepted = [_sent(line, path, kind, as_json=as_json) for path in files]
    except _UnusableError as error:
        _end(str(error), Exit.BAD_USAGE)
    except UnknownSenderError as error:
        _end(str(error), Exit.FAILED)
    except NoAnswerError as error:
        _end(f"no answer: {error}", Exit.UNREACHABLE)
    if not all(accepted):
        raise typer.Exit(Exit.INPUT_REFUSED)


def _end(said: str, code: Exit) -> NoReturn:
    typer.echo(said, err=True)
    raise typer.Exit(code) from None


def _line(feed: str, host: str, port: int | None, url: str | None) -> tuple[str, Line]:
    """The kind of the feed and the way to it. Raises `_UnusableError`."""
    known = _known(feed)
    if known is not None and known.kind == "folder":
        raise _UnusableError(f"{feed} is a watched folder: put the file into {known.folder}")
    secret = os.environ.get(TOLD_BY)
    if known is not None and known.kind == "fhir":
        secret = secret or known.secret.get_secret_value()
    if secret and (known is None or known.kind == "fhir") and port is None:
        return "fhir", NotificationLine(url or _address(), feed, secret)
    found = port or (known.port if known is not None and known.kind == "mllp" else 0)
    if not found:
        raise _UnusableError(f"{feed}: say --port, set {TOLD_BY}, or name the feed in TANDEM_FEEDS")
    return "mllp", MllpLine(host, found)


def _known(feed: str) -> Any:  # noqa: ANN401 - the settings of a feed, found by name
    """The feed's settings, None where they are not told. Raises `_UnusableError`."""
    told = os.environ.get("TANDEM_FEEDS")
    if not told:
        return None
    try:
        feeds = import_module(SETTINGS).FEEDS.validate_json(told)
    except ValueError:  # its text would tell secrets
        raise _UnusableError("TANDEM_FEEDS cannot be read: start intake to see why") from None
    return next((one for one in feeds if one.name == feed), None)


def _address() -> str:
    """Where intake is: as told, else as `tandem up` noted, else at its usual port."""
    told = os.environ.get("TANDEM_URL_INTAKE")
    if told:
        return told.rstrip("/")
    running = run_state.read(default_paths().run_state)
    name = Service.INTAKE.value
    if running and name in running.endpoints:
        return running.endpoints[name]
    ports = {p.name: p.ports[0] for p in running.programs if p.ports} if running else {}
    return f"http://127.0.0.1:{ports.get(name, DEFAULT_PORT[Service.INTAKE])}"


def _files(what: Path, ending: str) -> Sequence[Path]:
    found = sorted(what.glob(f"*{ending}")) if what.is_dir() else [what]
    if not found:
        raise _UnusableError(f"{what.name}: no *{ending} files in it")
    return found


def _sent(line: Line, path: Path, kind: str, *, as_json: bool) -> bool:
    """Whether all messages of the file were accepted."""
    accepted = []
    for number, raw in enumerate(_messages(path, kind), start=1):
        told = line.send(raw)
        accepted.append(told.accepted)
        typer.echo(_json(path, number, told) if as_json else _text(path, number, told))
    if not accepted:
        typer.echo(f"{path.name}: no message in it", err=True)
    return bool(accepted) and all(accepted)


def _messages(path: Path, kind: str) -> Iterator[bytes]:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise _UnusableError(f"{path.name}: larger than {FILE_BYTES_MAX} bytes")
        raw = path.read_bytes()
    except OSError as error:
        raise _UnusableError(f"{path.name}: cannot be read: {error.strerror}") from None
    yield from import_module(READER).split_messages(raw) if kind == "mllp" else [raw]


def _text(path: Path, number: int, told: Told) -> str:
    first = f"{path.name}[{number}]: {told.answer} {told.about}".rstrip()
    return "\n".join([first, *(f"  {problem}" for problem in told.problems)])


def _json(path: Path, number: int, told: Told) -> str:
    return json.dumps(
        {
            "file": path.name, "message": number, "accepted": told.accepted,
            "answer": told.answer, "about": told.about, "problems": list(told.problems),
        }
    )  # fmt: skip
