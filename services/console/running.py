"""The commands up, down, doctor and config: a system on this machine, and what keeps it down.

Programs of `tandem up` come through the entry-point group `tandem.programs` (a function from the
`Stack` of servers to the programs to start beside it), so that this module imports no service.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from services.console import detached, redaction
from services.console.contributed import contributed_programs
from shared.runtime import logs
from shared.runtime.compose import ComposeMissing, NotDemoMode
from shared.runtime.doctor import Finding, Machine, Severity, examine
from shared.runtime.doctor_servers import examine_servers
from shared.runtime.down import end_run
from shared.runtime.exits import Exit
from shared.runtime.paths import default_paths
from shared.runtime.processes import RUNNER, ProgramDied
from shared.runtime.run import CANNOT_START, AlreadyRunning, run
from shared.runtime.run_state import RunState
from shared.runtime.stack import BadPort, native_stack

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    config = typer.Typer(help="Shows the settings.", no_args_is_help=True)
    config.command("print")(print_config)
    app.add_typer(config, name="config")
    for command in (up, down, doctor):
        app.command()(command)


def up(
    *,
    detach: Annotated[bool, typer.Option(help="Return when ready, and go on running.")] = False,
    compose: Annotated[
        bool, typer.Option("--compose/--native", help="In containers (docker-compose.yml).")
    ] = False,
    json_: Json = False,
) -> None:
    """Start Kafka, PostgreSQL and the services, and stay until Ctrl-C.

    Example: tandem up --detach

    With --compose everything runs in containers of the compose project tandem (another by
    COMPOSE_PROJECT_NAME), whose volumes keep the data; `docker compose -p tandem logs` shows what
    they say.

    Exit codes: 0 stopped as asked (with --detach: ready), 1 did not start or died, 2 bad usage,
    5 already running.
    """
    if detach:
        _up_detached(compose=compose, json_=json_)
        return
    try:
        asyncio.run(_in_containers(json_=json_) if compose else _natively(json_=json_))
    except AlreadyRunning as running:
        _fail(str(running), Exit.ALREADY_RUNNING, json_=json_)
    except (BadPort, NotDemoMode) as bad:
        _fail(str(bad), Exit.BAD_USAGE, json_=json_)
    except (ProgramDied, ComposeMissing, *CANNOT_START) as failed:
        _fail(str(failed), Exit.FAILED, json_=json_)
    except BrokenPipeError:
        # Whoever read our output is gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _natively(*, json_: bool) -> None:
    stack = native_stack(default_paths())
    await run(
        lambda: [*stack.programs(), *contributed_programs(stack)],
        default_paths(),
        _json_sink if json_ else logs.console(),
        endpoints=stack.endpoints(),
        on_ready=lambda state: _tell_ready(state, json_=json_),
    )


async def _in_containers(*, json_: bool) -> None:
    # Its imports would double the time of every other command here.
    from services.console.contained_run import run_contained  # noqa: PLC0415

    sink = _json_sink if json_ else logs.console()
    sink(RUNNER, "starting the containers (the first time their images are built and pulled)")
    await run_contained(
        default_paths(),
        os.environ,
        heard=lambda number: sink(RUNNER, f"{number.name}: stopping the containers"),
        on_ready=lambda state: _tell_ready(state, json_=json_),
    )


def down(*, json_: Json = False) -> None:
    """Stop what `tandem up` started, from any shell; only processes of that run are touched.

    Example: tandem down

    Exit codes: 0 nothing runs any more (whether or not something ran before), 1 something is left.
    """
    ended = asyncio.run(end_run(default_paths()))
    if json_:
        _print_json({"was_running": ended.anything, "leftovers": ended.leftovers})
    else:
        typer.echo("stopped" if ended.anything else "nothing was running")


def doctor(*, json_: Json = False) -> None:
    """Name what keeps Tandem from running on this machine, with the command that puts it right.

    Example: tandem doctor --json

    Exit codes: 0 no problem (there may be warnings), 1 at least one problem.
    """
    found = [*examine(Machine(default_paths())), *asyncio.run(examine_servers(os.environ))]
    ok = all(f.severity is not Severity.PROBLEM for f in found)
    if json_:
        _print_json({"ok": ok, "findings": [asdict(f) for f in found]})
    else:
        _print_findings(found)
    raise typer.Exit(Exit.DONE if ok else Exit.FAILED)


def print_config(
    *,
    redacted: Annotated[
        bool, typer.Option("--redacted/--with-secrets", help="Hide secrets (the default).")
    ] = True,
    json_: Json = False,
) -> None:
    """Print the settings that are in force here, by their names in the environment.

    Example: tandem config print --redacted

    Exit codes: 0 printed.
    """
    settings = redaction.settings(os.environ, redacted=redacted)
    if json_:
        _print_json(settings)
        return
    for name, value in settings.items():
        typer.echo(f"{name}={value}")


def _up_detached(*, compose: bool, json_: bool) -> None:
    try:
        state = detached.start(default_paths(), *(["--compose"] if compose else []))
    except detached.DidNotStart as failed:
        _fail(str(failed), failed.exit_code, json_=json_)
    else:
        _tell_ready(state, json_=json_)


def _tell_ready(state: RunState, *, json_: bool) -> None:
    if json_:
        _print_json({"event": "ready", "endpoints": dict(state.endpoints)})
        return
    typer.echo("ready:")
    for name, address in state.endpoints.items():
        typer.echo(f"  {name:<20} {address}")


def _print_findings(found: Sequence[Finding]) -> None:
    for finding in found:
        typer.echo(f"{finding.severity:<8} {finding.check}: {finding.problem}")
        typer.echo(f"         fix: {finding.fix}")
    if not found:
        typer.echo("nothing found that would keep Tandem from running")


def _json_sink(name: str, line: str) -> None:
    _print_json({"event": "log", "program": name, "line": line})


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


def _fail(problem: str, code: int, *, json_: bool) -> None:
    """Ends the command with the problem on standard error, and in the JSON if that was asked."""
    if json_:
        _print_json({"event": "failed", "problem": problem})
    typer.echo(problem, err=True)
    raise typer.Exit(code)
