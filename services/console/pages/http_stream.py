"""The live stream of all services' events: a page that works without scripts, and its feed.

The page holds the newest events of the log and the place right behind them; the feed goes on from
there, and after each break from the last event that the browser has seen. Nothing is left out and
nothing comes twice, also over a restart of the console.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.console.live import (
    VECTOR_LENGTH_MAX,
    Seen,
    Vector,
    read_vector,
    write_vector,
)
from services.console.pages import reads, words
from services.console.pages.stream_rows import StreamRow, types_called
from services.console.pages.times import Times
from services.console.pages.viewer import (
    ConsoleParts,
    Parts,
    Viewer,
    frame,
    sees_clinical,
    times_for,
)
from shared.contracts.catalogue import EVENTS
from shared.contracts.vocabulary import Service
from shared.web.problems import Problem, not_found

router = APIRouter(include_in_schema=False)

#: rows that the page keeps
ROWS_MAX: Final = 200
#: the viewer's rights are looked at again after this time, by connecting anew
STREAM_SECONDS: Final = 60.0
#: a browser comes back after this time
RETRY_MS: Final = 500
SLUGS: Final = tuple(sorted({words.slug_of(t) for t in EVENTS}))

SourceName = Literal["intake", "manufacturing", "infusion_scheduling", "notification"]
CaseText = Annotated[str, Query(max_length=40)]
TypeText = Annotated[str, Query(max_length=60)]


async def asked_for(
    parts: Parts,
    case: CaseText = "",
    type: TypeText = "",
    service: SourceName | Literal[""] = "",
) -> reads.EventFilter:
    """A dependency: the filter of the address. Raises `Problem` 404 for an unknown case or type."""
    slug = type.strip() or None
    if slug is not None and slug not in SLUGS:
        raise not_found("type of event")
    return reads.EventFilter(await _case_id(parts, case.strip()), slug, service or None)


async def _case_id(parts: ConsoleParts, text: str) -> UUID | None:
    """The case of an id or a code."""
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        pass
    async with parts.database.transaction() as tx:
        found = await reads.case_by_code(tx, text.upper())
    if found is None:
        raise not_found("case")
    return found


Asked = Annotated[reads.EventFilter, Depends(asked_for)]


def free_place(parts: Parts) -> None:
    """A dependency: returns when one more viewer can be served."""
    if parts.live.full:
        raise Problem(
            429, "too-many-requests", "Too many streams are open.", headers={"Retry-After": "5"}
        )


@router.get("/stream")
async def stream_page(
    request: Request, parts: Parts, viewer: Viewer, asked: Asked, case: CaseText = ""
) -> HTMLResponse:
    """The newest events under a filter that the address holds; new ones come by themselves."""
    async with parts.database.transaction() as tx:
        events, after = await reads.newest_events(tx, asked, types_called(asked.slug), ROWS_MAX)
        heard = await reads.streams(tx)
    query = {"case": str(asked.case_id or ""), "type": asked.slug or "", "service": asked.source}
    chosen = {name: value for name, value in query.items() if value}
    return parts.pages.page(
        "stream.html",
        **frame(request, parts, viewer, heard),
        asked=asked,
        case=case.strip(),
        rows=[StreamRow.of_logged(event) for event in events],
        feed=f"/stream/events?{urlencode({**chosen, 'after': write_vector(after)})}",
        rows_max=ROWS_MAX,
        slugs=SLUGS,
        services=[s for s in Service if s is not Service.CONSOLE],
    )


@router.get("/stream/events", response_class=EventSourceResponse)
async def stream_events(
    request: Request,
    parts: Parts,
    viewer: Viewer,
    free: Annotated[None, Depends(free_place)],
    asked: Asked,
    after: Annotated[str | None, Query(max_length=VECTOR_LENGTH_MAX)] = None,
    last_event_id: Annotated[str | None, Header(max_length=VECTOR_LENGTH_MAX)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Every event after the place that `Last-Event-ID` (or `after`) names, else from now on.

    The id of each event is the vector of next offsets behind it. The stream ends after a minute,
    and a browser comes back by itself.
    """
    place = _place(last_event_id, after)
    clinical, times = sees_clinical(viewer), times_for(request, parts)
    yield ServerSentEvent(comment="events of all services", retry=RETRY_MS)
    async for seen in parts.live.watch(place, seconds=STREAM_SECONDS):
        yield _event(parts, seen, asked, times, clinical=clinical)


def _place(last_event_id: str | None, after: str | None) -> Vector | None:
    text = last_event_id or after  # a browser that has seen no event may send an empty id
    return None if text is None else read_vector(text)


def _event(
    parts: ConsoleParts, seen: Seen, asked: reads.EventFilter, times: Times, *, clinical: bool
) -> ServerSentEvent:
    if seen.trouble:
        return ServerSentEvent(event="trouble", raw_data="Kafka cannot be reached", id=seen.places)
    if seen.missing:
        return ServerSentEvent(event="missing", raw_data=str(seen.missing), id=seen.places)
    row = None if seen.record is None else StreamRow.of_record(seen.record)
    if row is None or not row.fits(asked):
        # no data: the browser only learns where it stands
        return ServerSentEvent(id=seen.places)
    html = parts.pages.text("stream_row.html", row=row, times=times, clinical=clinical)
    return ServerSentEvent(event="row", raw_data=html, id=seen.places)
