"""Who looks at a page, and what every page is told: the viewer, the time, what is silent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Protocol, cast
from uuid import UUID

from fastapi import Depends, Request

from services.console.changes import Changes
from services.console.entry.desk import Desk
from services.console.entry.own_forms import OwnForms
from services.console.groups import Positions
from services.console.live import Live
from services.console.pages.reads import StreamRow
from services.console.pages.templates import Pages
from services.console.pages.times import ZONE_COOKIE, Choice, Times
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role, Service
from shared.messaging.reactions import lock_case_rows
from shared.messaging.unit_of_work import UnitOfWork
from shared.persistence.database import Database, Tx
from shared.ports import World
from shared.protocol import Protocol as Rulebook
from shared.web.problems import Problem
from shared.web.requests import cause_of
from shared.web.security import signed_in

#: a source that was not heard for so long is called silent (messaging: stream broken)
SILENT_AFTER: Final = timedelta(seconds=15)
SOURCES: Final = (
    Service.INTAKE,
    Service.MANUFACTURING,
    Service.INFUSION_SCHEDULING,
    Service.NOTIFICATION,
)
#: roles that see no clinical code
TECHNICAL_ROLES: Final = frozenset({Role.OPS})


class Groups(Protocol):
    """Where the services' readers stand on the bus."""

    async def positions(self, groups: Sequence[str]) -> Positions:
        """The positions. Raises `BusUnavailableError`."""
        ...


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What the pages work with, put together once in bootstrap."""

    database: Database
    #: for the audit of who looked at which case, the only thing that pages write here
    units: UnitOfWork[Tx]
    world: World
    pages: Pages
    protocol: Rulebook
    live: Live
    changes: Changes
    groups: Groups
    desk: Desk
    own_forms: OwnForms


def parts_of(request: Request) -> ConsoleParts:
    """A dependency: the parts."""
    return cast(ConsoleParts, request.app.state.parts)


_looks = signed_in()


async def viewer_of(principal: Annotated[Principal, Depends(_looks)]) -> Principal:
    """A dependency: a signed-in person. Raises `Problem` 403 for one bound to a site.

    Events do not say which site a case belongs to, so the console cannot keep sites apart.
    """
    if principal.site is not None:
        raise Problem(
            403, "not-allowed", "The console shows all sites; your account is for one of them."
        )
    return principal


Parts = Annotated[ConsoleParts, Depends(parts_of)]
Viewer = Annotated[Principal, Depends(viewer_of)]


def sees_clinical(principal: Principal) -> bool:
    """Whether the viewer may see codes that tell something about a patient's health."""
    return bool(principal.roles - TECHNICAL_ROLES)


def times_for(request: Request, parts: ConsoleParts) -> Times:
    """The times of this request, in the zone that the viewer has chosen."""
    choice: Choice = "utc" if request.cookies.get(ZONE_COOKIE) == "utc" else "clinic"
    world = parts.world
    return Times(parts.protocol.zone, choice, world.clock.now(), world.machine_clock.now())


def silent_sources(heard: Sequence[StreamRow], machine_now: datetime) -> tuple[str, ...]:
    """The sources of which nothing was heard, or applied, for too long."""
    through = {row.source: row.through for row in heard}
    return tuple(
        source.value
        for source in SOURCES
        if source.value not in through or machine_now - through[source.value] > SILENT_AFTER
    )


def frame(
    request: Request,
    parts: ConsoleParts,
    viewer: Principal,
    heard: Sequence[StreamRow],
) -> dict[str, Any]:
    """What the frame of every page shows."""
    times = times_for(request, parts)
    return {
        "viewer": viewer,
        "clinical": sees_clinical(viewer),
        "times": times,
        "silent": silent_sources(heard, times.machine_now),
        "path": request.url.path,
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
    }


async def note_case_read(
    request: Request, parts: ConsoleParts, viewer: Principal, case_id: UUID
) -> None:
    """Writes to the audit that the viewer opened the case; a refresh of the page is no news."""
    if "hx-request" in request.headers:
        return
    async with parts.units.begin(cause_of(request, viewer)) as work:
        await lock_case_rows(work.tx, [case_id])
        work.note("case-read", case_id)
