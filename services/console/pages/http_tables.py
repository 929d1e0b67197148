"""The simple tables: alerts, parked cases, lag."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.console.groups import Positions
from services.console.pages import reads
from services.console.pages.viewer import Parts, Viewer, frame
from shared.contracts.vocabulary import Service
from shared.messaging.bus import BusUnavailableError, Partition
from shared.persistence.database import Tx

router = APIRouter(include_in_schema=False)

GROUPS: Final = tuple(service.value for service in Service)


@dataclass(frozen=True, slots=True)
class LagRow:
    """One reader of one partition. `seconds` None: not known, since the log lacks the event."""

    group: str
    topic: str
    partition: int
    position: int
    end: int
    seconds: float | None

    @property
    def events(self) -> int:
        """How many events it has still to read."""
        return max(0, self.end - self.position)


@dataclass(frozen=True, slots=True)
class LagSum:
    """One reader over all partitions that it reads."""

    group: str
    partitions: int
    events: int
    seconds: float | None


@router.get("/alerts")
async def alerts(request: Request, parts: Parts, viewer: Viewer, closed: bool = False) -> Response:
    """All alerts that are not closed; with `closed`, those too."""
    async with parts.database.transaction() as tx:
        found = await reads.alerts(tx, None, closed=closed)
        heard = await reads.streams(tx)
    around = frame(request, parts, viewer, heard)
    return parts.pages.refreshed(
        request, "alerts.html", **around, found=found, closed=closed, rows_max=reads.ALERT_ROWS_MAX
    )


@router.get("/parked")
async def parked(request: Request, parts: Parts, viewer: Viewer) -> Response:
    """What any service has put aside because it could not process it."""
    async with parts.database.transaction() as tx:
        others = await reads.parkings(tx, None)
        own = await reads.own_parkings(tx, None)
        dead = await reads.dead_letters(tx)
        heard = await reads.streams(tx)
    around = frame(request, parts, viewer, heard)
    return parts.pages.refreshed(
        request, "parked.html", **around, others=others, own=own, dead=dead
    )


@router.get("/lag")
async def lag(request: Request, parts: Parts, viewer: Viewer) -> Response:
    """How far every service is behind, in events and seconds."""
    try:
        positions = await parts.groups.positions(GROUPS)
    except BusUnavailableError:
        positions = None
    async with parts.database.transaction() as tx:
        heard = await reads.streams(tx)
        rows = [] if positions is None else await _rows(tx, positions, parts)
    return parts.pages.refreshed(
        request,
        "lag.html",
        **frame(request, parts, viewer, heard),
        heard=heard,
        reachable=positions is not None,
        sums=sums(rows),
        rows=[row for row in rows if row.events],
    )


async def _rows(tx: Tx, positions: Positions, parts: Parts) -> list[LagRow]:
    now = parts.world.machine_clock.now()
    found: list[LagRow] = []
    for group, places in positions.groups.items():
        behind = {p: o for p, o in places.items() if o < positions.ends.get(p, 0)}
        since = await reads.sent_from(tx, behind) if behind else {}
        found += lag_rows(group, places, positions.ends, since, now)
    return found


def lag_rows(
    group: str,
    places: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    since: Mapping[Partition, datetime],
    now: datetime,
) -> list[LagRow]:
    """One row for each partition that the group reads; `since` when its next event was sent."""
    rows = []
    for place, position in sorted(places.items()):
        end = ends.get(place, position)
        sent = since.get(place)
        seconds = 0.0 if position >= end else None
        if sent is not None:
            seconds = max(0.0, (now - sent).total_seconds())
        rows.append(LagRow(group, place.topic, place.number, position, end, seconds))
    return rows


def sums(rows: Sequence[LagRow]) -> list[LagSum]:
    """One row for each group; its seconds are those of its slowest partition, if all are known."""
    found: list[LagSum] = []
    for group in dict.fromkeys(row.group for row in rows):
        mine = [row for row in rows if row.group == group]
        known = [row.seconds for row in mine if row.seconds is not None]
        seconds = max(known, default=0.0) if len(known) == len(mine) else None
        found.append(LagSum(group, len(mine), sum(row.events for row in mine), seconds))
    return found
