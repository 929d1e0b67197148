"""`tandem up --compose`: docker-compose.yml in the foreground, until a signal.

Invariants: it holds the lock and writes the `var/run.json` of a native run, so `tandem down` ends
it and a second run is refused; its data stays in the volumes of its compose project, which is
`COMPOSE_PROJECT_NAME` as for compose itself, by default `tandem`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from services.console.contained import Ports, endpoints, published_ports, up
from shared.runtime import run_state
from shared.runtime.compose import NotDemoMode, find_compose
from shared.runtime.identity import own_identity
from shared.runtime.paths import Paths
from shared.runtime.run import Heard, cancelled_by_signals, only_run
from shared.runtime.run_state import RunState

PROJECT: Final = "tandem"


async def run_contained(
    paths: Paths,
    environ: Mapping[str, str],
    *,
    heard: Heard,
    on_ready: Callable[[RunState], None],
) -> None:
    """Returns after a signal, when every container is gone.

    Raises `NotDemoMode`, `BadPort`, `AlreadyRunning`, `ComposeMissing` or `StartFailed`.
    """
    if environ.get("TANDEM_MODE", "demo") != "demo":
        raise NotDemoMode("docker-compose.yml runs in demo mode alone; unset TANDEM_MODE")
    ports = published_ports(environ)
    with only_run(paths):
        await cancelled_by_signals(_run(paths, environ, ports, on_ready), heard)


async def _run(
    paths: Paths, environ: Mapping[str, str], ports: Ports, on_ready: Callable[[RunState], None]
) -> None:
    project = environ.get("COMPOSE_PROJECT_NAME") or PROJECT
    told = {name: str(port) for name, port in ports.items()}
    compose = await asyncio.to_thread(find_compose, project, told)
    state = RunState(own_identity(), "starting", endpoints=endpoints(ports))
    run_state.write(paths.run_state, state)
    build = "TANDEM_IMAGE" not in environ
    try:
        async with up(compose, ports, paths.logs, build=build, keep_data=True):
            ready = replace(state, phase="ready")
            run_state.write(paths.run_state, ready)
            on_ready(ready)
            await asyncio.Event().wait()
    finally:
        paths.run_state.unlink(missing_ok=True)
