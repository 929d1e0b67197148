"""Runs docker-compose.yml by the command line of Docker: up, down, and single containers.

Invariants: only containers of one named project are touched; a command of Docker that fails raises
with its own words; one that is cancelled is ended before the cancellation goes on.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shared.runtime.paths import CHECKOUT
from shared.runtime.programs import StartFailed

FILE: Final = CHECKOUT / "docker-compose.yml"
#: the first time our image is built and those of the servers are pulled
UP_SECONDS_MAX: Final = 1800.0
DOWN_SECONDS_MAX: Final = 120.0
ONE_SECONDS_MAX: Final = 60.0
_END_SECONDS: Final = 10.0
#: enough of a failed command's output to see its cause
_COMPLAINT_CHARACTERS: Final = 3000
#: of each container; a traceback fits, an hour of requests does not
_LAST_LINES: Final = 200


class ComposeMissing(RuntimeError):
    """Docker, its compose, its engine or our file of it is not there."""


class NotDemoMode(ValueError):
    """The settings ask for a mode that our file does not have."""


class ComposeFailed(StartFailed):
    """A command of Docker failed; the text is its complaint."""


@dataclass(frozen=True, slots=True)
class Compose:
    """One project. `command` is `docker compose` or `docker-compose`; `env` is added to ours."""

    command: tuple[str, ...]
    project: str
    env: Mapping[str, str] = field(default_factory=dict)

    async def up(self, *, build: bool) -> None:
        """Returns when every container is started, in the order of what they wait for."""
        how = ("--build",) if build else ()
        await self._run(*self._compose("up", "--detach", *how), within_seconds=UP_SECONDS_MAX)

    async def down(self, *, keep_data: bool) -> None:
        """Removes the project's containers and its network, and its volumes unless kept."""
        how = () if keep_data else ("--volumes",)
        words = self._compose("down", *how, "--remove-orphans")
        await self._run(*words, within_seconds=DOWN_SECONDS_MAX)

    async def last_words(self) -> str:
        """The end of what each container of the project printed."""
        words = self._compose("logs", "--no-color", f"--tail={_LAST_LINES}")
        return await self._run(*words, within_seconds=ONE_SECONDS_MAX)

    async def container(self, service: str) -> str:
        """The id of a service's container, which it keeps while it is killed and started."""
        words = self._compose("ps", "--quiet", service)
        found = (await self._run(*words, within_seconds=ONE_SECONDS_MAX)).split()
        if len(found) != 1:
            raise ComposeFailed(f"{service} has {len(found)} containers in {self.project}")
        return found[0]

    async def one(self, verb: str, container: str) -> None:
        """`docker kill`, `pause`, `unpause` or `start` of one container."""
        await self._run("docker", verb, container, within_seconds=ONE_SECONDS_MAX)

    def _compose(self, *words: str) -> tuple[str, ...]:
        return (*self.command, "--file", str(FILE), "--project-name", self.project, *words)

    async def _run(self, *words: str, within_seconds: float) -> str:
        """What the command printed. Raises `ComposeFailed`."""
        process = await asyncio.create_subprocess_exec(
            *words,
            env={**os.environ, **self.env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # the terminal's Ctrl-C is for us: we then take the project down in order
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(within_seconds):
                out, complaint = await process.communicate()
        except TimeoutError:
            raise ComposeFailed(f"{words[0]} took longer than {within_seconds:g} s") from None
        finally:
            await _ended(process)
        if process.returncode != 0:
            said = complaint.decode(errors="replace").strip()[-_COMPLAINT_CHARACTERS:]
            raise ComposeFailed(f"{' '.join(words)} failed:\n{said}")
        return out.decode()


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    with suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()


def find_compose(project: str, env: Mapping[str, str]) -> Compose:
    """The compose of this machine, v2 before v1. Raises `ComposeMissing`."""
    if not FILE.is_file():
        raise ComposeMissing(f"{Path(FILE).name} is missing: containers run from a checkout")
    if shutil.which("docker") is None or not _works("docker", "version"):
        raise ComposeMissing(
            "no Docker engine answers; install and start Docker, or do without containers (no "
            "RUN=compose, no --compose), which needs Java 17 or newer and Maven instead"
        )
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) is not None and _works(*command, "version"):
            return Compose(command, project, env)
    raise ComposeMissing("Docker has no compose; install its plugin, or docker-compose 1.29")


def _works(*words: str) -> bool:
    answer = subprocess.run(  # noqa: S603 - fixed words
        words, capture_output=True, check=False, timeout=ONE_SECONDS_MAX
    )
    return answer.returncode == 0
