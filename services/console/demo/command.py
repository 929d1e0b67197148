"""The command `tandem demo`: everything up, the story played, and everything down again."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer
from rich.console import Console
from rich.panel import Panel

from services.console.contributed import contributed_programs
from services.console.demo.containers import containers_of, demo_compose, sign_in, up
from services.console.demo.people import ANSWER_SECONDS_MAX, People, signed_here
from services.console.demo.playing import play
from services.console.demo.processes import NativeProcesses, Processes
from services.console.demo.report import Report
from services.console.demo.site import Site
from services.console.demo.stage import Stage
from services.console.demo.stores import NotOurStoresError, empty_stores
from shared.contracts.vocabulary import Service
from shared.protocol import load_protocol
from shared.runtime.compose import ComposeMissing
from shared.runtime.dev_tokens import DEMO_USERS, DemoUser
from shared.runtime.java import JavaMissing, MavenMissing
from shared.runtime.paths import Paths, default_paths
from shared.runtime.processes import RUNNER, ProgramDied, Runner
from shared.runtime.programs import Program
from shared.runtime.run import (
    CANNOT_START,
    AlreadyRunning,
    cancelled_by_signals,
    only_run,
    run,
)
from shared.runtime.stack import BadPort, Stack, native_stack

FAILED: Final = 1
BAD_USAGE: Final = 2
ALREADY_RUNNING: Final = 5
REPORT: Final = "demo-report.json"
_OTHER_WAY: Final = (
    "Either get it (`make doctor` says how), or, with Docker, run `make demo RUN=compose`, which "
    "needs neither Java nor Maven."
)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("demo")(demo)


def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End after the story, with a report in var/.")
    ] = False,
    compose: Annotated[
        bool, typer.Option("--compose", help="In containers (docker-compose.yml), not natively.")
    ] = False,
    fast: Annotated[bool, typer.Option("--fast", help="No pauses for reading.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the report as JSON alone.")] = False,
) -> None:
    """Start everything, play a real patient's story through all services, and stay up.

    Example: tandem demo --once --fast

    The stores that an earlier demo filled are emptied first. With --once it ends by itself and
    writes var/demo-report.json. With --compose everything runs in containers of a compose project
    of the demo's own (tandem-demo), which is gone with its volumes afterwards.

    Exit codes: 0 every check held (or stopped as asked), 1 a check did not hold or something did
    not start, 2 bad usage, 5 already running.
    """
    if os.environ.get("TANDEM_MODE", "demo") != "demo":
        _fail("the demo runs in demo mode alone; unset TANDEM_MODE", BAD_USAGE)
    shown = _Demo(default_paths(), once=once, fast=fast, quiet=json_)
    try:
        asyncio.run(shown.run_in_containers() if compose else shown.run())
    except AlreadyRunning as running:
        _fail(str(running), ALREADY_RUNNING)
    except (BadPort, NotOurStoresError) as refused:
        _fail(str(refused), BAD_USAGE)
    except (JavaMissing, MavenMissing) as missing:
        _fail(f"{missing}. {_OTHER_WAY}", FAILED)
    except (ProgramDied, ComposeMissing, *CANNOT_START) as failed:
        _fail(str(failed), FAILED)
    if json_:
        typer.echo(shown.report_path.read_text(encoding="utf-8"))
    if once and not shown.report.held:
        raise typer.Exit(FAILED)


class _Demo:
    """One run of the command."""

    def __init__(self, paths: Paths, *, once: bool, fast: bool, quiet: bool) -> None:
        self._paths = paths
        self._once = once
        self._fast = fast
        self._console = Console(quiet=quiet, highlight=False, soft_wrap=True)
        self._programs: list[Program] = []
        self._began = time.monotonic()
        self.report = Report()

    @property
    def report_path(self) -> Path:
        """Where the report is written."""
        return self._paths.var / REPORT

    async def run(self) -> None:
        """Returns when everything has stopped."""
        stack = native_stack(self._paths)
        await run(
            lambda: self._declare(stack),
            self._paths,
            self._sink,
            endpoints=stack.endpoints(),
            on_ready=lambda _: None,
            job=self._play,
        )

    async def run_in_containers(self) -> None:
        """Returns when every container is gone, after the story or a signal."""
        with only_run(self._paths):
            await cancelled_by_signals(self._play_in_containers(), self._stopping)

    async def _play_in_containers(self) -> None:
        compose, ports = await asyncio.to_thread(demo_compose)
        self._tell("  starting the containers (the first time their images are built and pulled)")
        async with up(compose, ports, self._paths) as site:
            processes = await containers_of(compose, site)
            async with httpx.AsyncClient(trust_env=False) as client:
                tokens = await sign_in(client, site.issuer)
            await self._story(site, processes, lambda user: tokens[user.subject])
            self._tell("\nStopping the containers.")

    def _stopping(self, number: signal.Signals) -> None:
        self._tell(f"\n  {number.name}: stopping the containers")

    def _declare(self, stack: Stack) -> list[Program]:
        self.report.warm = empty_stores(self._paths)
        self._programs = [*stack.programs(), *contributed_programs(stack)]
        return self._programs

    async def _play(self, runner: Runner) -> None:
        site = Site.of(self._programs, self._paths.var)
        await self._story(site, NativeProcesses(runner), signed_here(site))

    async def _story(
        self, site: Site, processes: Processes, token_of: Callable[[DemoUser], str]
    ) -> None:
        self.report.start_seconds = round(time.monotonic() - self._began, 1)
        self._show_site(site)
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX, trust_env=False) as client:
            people = People(site, client, token_of)
            zone = load_protocol().zone
            stage = Stage(site, people, processes, self.report, self._tell, self._fast, zone)
            try:
                await play(stage)
                self.report.finished = True
            except Exception as error:
                self._tell(f"\nThe story ended early: {error}")
            finally:
                self.report.write(self.report_path)
        if not self._once:
            await self._stay()

    async def _stay(self) -> None:
        self._tell("\nEverything stays up. Ctrl-C stops it and leaves nothing running.")
        await asyncio.Event().wait()

    def _show_site(self, site: Site) -> None:
        lines = [f"{'console':<21}{site.urls[Service.CONSOLE]}"]
        lines += [
            f"{service.value:<21}{url}/docs"
            for service, url in site.urls.items()
            if service is not Service.CONSOLE
        ]
        lines += [f"{'demo inbox':<21}{site.inbox}", f"{'sign-in':<21}{site.issuer}", ""]
        lines += ["demo logins (a token: tandem token --role ROLE --number 1|2)"]
        for first, second in zip(DEMO_USERS[::2], DEMO_USERS[1::2], strict=True):
            role = first.roles[0]
            lines.append(f"  {role:<32}{first.subject}, {second.subject}")
        title = f"Tandem, demo mode, up after {self.report.start_seconds:.0f} s"
        self._console.print(Panel("\n".join(lines), title=title, expand=False))

    def _tell(self, line: str) -> None:
        self._console.print(line, markup=False)

    def _sink(self, name: str, line: str) -> None:
        """The runner's own lines; what the programs print is in the files below var/log."""
        # indented: the last words of a program that died, which its own file has as well
        if name == RUNNER and not line.startswith(" "):
            self._console.print(f"  {line}", markup=False, style="dim")


def _fail(problem: str, code: int) -> Any:  # noqa: ANN401 - never returns
    typer.echo(problem, err=True)
    raise typer.Exit(code)
