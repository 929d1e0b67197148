"""What every beat of the demo works with: people, clock, processes, checks and the printed story.

Invariant: a check that does not hold ends its beat and the story; nothing is shown as done that was
not seen.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final, TypeVar

from services.console.demo.people import DONE, People, Person
from services.console.demo.processes import Processes
from services.console.demo.report import BeatReport, Report
from services.console.demo.site import Site
from shared.contracts.vocabulary import Role, Service

T = TypeVar("T")

#: an effect in another service is there long before this, also on a busy machine
EFFECT_SECONDS_MAX: Final = 30.0
POLL_SECONDS: Final = 0.1
#: how long a person has to read a beat, unless --fast
READING_SECONDS: Final = 2.0


class CheckFailedError(Exception):
    """Something that the beat shows did not hold."""


@dataclass(slots=True)
class Stage:
    """One run of the demo."""

    site: Site
    people: People
    processes: Processes
    report: Report
    tell: Callable[[str], None]
    fast: bool
    #: in which the clinic tells its times
    zone: tzinfo
    #: figures of processes that were killed: a successor counts from nothing
    dropped_before_crashes: int = 0

    def one(self, role: Role, number: int = 1) -> Person:
        """The nth person with the role."""
        return self.people.one(role, number)

    @asynccontextmanager
    async def beat(self, name: str) -> AsyncIterator[None]:
        """Times and reports everything inside; what is raised there ends the story."""
        beat = BeatReport(name)
        self.report.beats.append(beat)
        self.tell(f"\n== {name}")
        began = time.monotonic()
        try:
            yield
        except Exception as error:
            beat.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            beat.seconds = round(time.monotonic() - began, 2)
        self.tell(f"   {beat.seconds:.1f} s, {len(beat.checks)} checks held")
        if not self.fast:
            await asyncio.sleep(READING_SECONDS)

    def check(self, held: object, what: str) -> None:
        """Records whether it held. Raises `CheckFailedError` if not."""
        self.report.beats[-1].checks[what] = bool(held)
        self.tell(f"   {'ok' if held else 'FAILED':<6} {what}")
        if not held:
            raise CheckFailedError(what)

    def note(self, text: str) -> None:
        """Prints a line of the story."""
        self.tell(f"          {text}")

    async def eventually(
        self,
        look: Callable[[], Awaitable[T | None]],
        awaited: str | Callable[[], str],
        *,
        within_seconds: float = EFFECT_SECONDS_MAX,
    ) -> T:
        """The first answer of `look` that is not empty. Raises `CheckFailedError`."""
        deadline = time.monotonic() + within_seconds
        while True:
            found = await look()
            if found:
                return found
            if time.monotonic() > deadline:
                words = awaited if isinstance(awaited, str) else awaited()
                raise CheckFailedError(f"not within {within_seconds:g} s: {words}")
            await asyncio.sleep(POLL_SECONDS)

    async def jump(self, instant: datetime) -> None:
        """Moves the clinic's clock forwards for all services."""
        ops = self.one(Role.OPS)

        async def moved() -> bool:
            # refused while a permit is out, which is over within seconds
            body = {"now": instant.isoformat()}
            return (await ops.replace(Service.INTAKE, "/demo/clock", body)).status in DONE

        local = instant.astimezone(self.zone)
        await self.eventually(moved, f"the clinic's clock at {local:%Y-%m-%d %H:%M}")
        self.note(f"the clinic's clock stands at {local:%a %Y-%m-%d %H:%M}")

    async def now(self) -> datetime:
        """The clinic's time, in UTC."""
        body = await self.one(Role.OPS).get(Service.INTAKE, "/demo/clock")
        return datetime.fromisoformat(body["now"])
