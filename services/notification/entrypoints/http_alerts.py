"""Alerts over HTTP: read them, answer them, watch them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field

from services.notification.application.answer_alert import (
    OverrideReason,
    Seen,
    acknowledge_alert,
    override_alert,
    snooze_alert,
)
from services.notification.application.ports import AlertRows
from services.notification.application.views import AlertFilter, AlertView
from services.notification.domain.alert import Alert
from services.notification.domain.levels import URGENCY_OF, Level
from services.notification.entrypoints.feed import changes
from services.notification.entrypoints.parts import NotificationParts, parts_of
from services.notification.entrypoints.shown import AlertShown, shown
from shared.auth.principal import Principal
from shared.contracts.notification import Urgency
from shared.contracts.vocabulary import Role
from shared.messaging.unit_of_work import Work
from shared.web.etags import etag, if_match
from shared.web.idempotency import Answer, RequestKey, answer_once, request_key
from shared.web.pages import Page, Paged, page_of
from shared.web.problems import Problem, not_found
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires, signed_in

router = APIRouter(tags=["alerts"])
#: who can be named by a route: everybody but the auditor, who only reads
ANSWERING = tuple(role for role in Role if role is not Role.AUDITOR)
Person = Annotated[Principal, Depends(signed_in())]
Answering = Annotated[Principal, Depends(requires(*ANSWERING))]
Parts = Annotated[NotificationParts, Depends(parts_of)]
Key = Annotated[RequestKey, Depends(request_key)]
Version = Annotated[tuple[int, ...], Depends(if_match)]
States = Annotated[list[Literal["open", "acknowledged", "overridden", "closed"]] | None, Query()]
Urgencies = Annotated[list[Urgency] | None, Query()]
#: a coded reason says the most; the note is for what it leaves open
NOTE_CHARACTERS_MAX = 500


class OverrideBody(RequestModel):
    """Why the alert is set aside. The note stays in this service."""

    reason: OverrideReason
    note: Annotated[str, Field(max_length=NOTE_CHARACTERS_MAX)] | None = None


class SnoozeBody(RequestModel):
    """For how long the next escalation waits, from now."""

    minutes: Annotated[int, Field(ge=1, le=1440)]


@router.get("/alerts")
async def list_alerts(
    person: Person,
    parts: Parts,
    paged: Paged,
    state: States = None,
    urgency: Urgencies = None,
    case_id: UUID | None = None,
    role: Role | None = None,
    mine: bool = False,
) -> Page[AlertShown]:
    """Alerts, newest first. `mine`: those that name one of the caller's roles."""
    roles = tuple(person.roles) if mine else ((role,) if role else None)
    chosen = AlertFilter(
        states=None if state is None else tuple(state),
        levels=None if urgency is None else tuple(_levels(urgency)),
        case_id=case_id,
        roles=roles,
    )
    async with parts.uow.database.transaction() as tx:
        rows = await parts.views(tx).page(chosen, _after(paged.after), paged.limit + 1)
    return page_of(
        rows, paged, item=lambda view: _shown(view, person, parts),
        key=lambda v: (v.alert.file.raised_at.isoformat(), v.alert.file.alert_id),
    )  # fmt: skip


@router.get("/alerts/stream", response_class=EventSourceResponse)
async def watch_alerts(
    person: Person,
    parts: Parts,
    last_event_id: Annotated[str | None, Header(max_length=50)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Every change of every alert, in commit order (Server-Sent Events).

    Sends ids, version, state and urgency only. The stream ends after a minute so that the reader
    signs in again; a browser comes back by itself with `Last-Event-ID`, and nothing is missed.
    """
    async for event in changes(parts, last_event_id):
        yield event


@router.get("/alerts/{alert_id}")
async def read_alert(
    alert_id: UUID, person: Person, parts: Parts, response: Response
) -> AlertShown:
    """One alert, with facts, times and sources, what is blocked, and who was told."""
    view = await _view(parts, alert_id)
    response.headers["ETag"] = etag(view.alert.file.version)
    return _shown(view, person, parts)


@router.post("/alerts/{alert_id}/acknowledge", response_model=AlertShown)
async def acknowledge(
    alert_id: UUID, request: Request, person: Answering, parts: Parts, key: Key, seen: Version
) -> Response:
    """Acknowledges the version in `If-Match`. It stops escalation and releases no hold."""

    async def act(work: Work[AlertRows]) -> Alert:
        return await acknowledge_alert(parts.policy, work, Seen(alert_id, seen, person))

    return await _answered(request, person, parts, key, act)


@router.post("/alerts/{alert_id}/override", response_model=AlertShown)
async def override(
    alert_id: UUID, body: OverrideBody, request: Request, person: Answering, parts: Parts,
    key: Key, seen: Version,
) -> Response:  # fmt: skip
    """Sets the alert aside with a coded reason; refused for hard stops."""

    async def act(work: Work[AlertRows]) -> Alert:
        about = Seen(alert_id, seen, person)
        return await override_alert(parts.policy, work, about, body.reason, body.note)

    return await _answered(request, person, parts, key, act)


@router.post("/alerts/{alert_id}/snooze", response_model=AlertShown)
async def snooze(
    alert_id: UUID, body: SnoozeBody, request: Request, person: Answering, parts: Parts,
    key: Key, seen: Version,
) -> Response:  # fmt: skip
    """Lets the next escalation of a warning wait; a critical alert cannot be snoozed."""

    async def act(work: Work[AlertRows]) -> Alert:
        return await snooze_alert(parts.policy, work, Seen(alert_id, seen, person), body.minutes)

    return await _answered(request, person, parts, key, act)


async def _answered(
    request: Request,
    person: Principal,
    parts: NotificationParts,
    key: RequestKey,
    act: Callable[[Work[AlertRows]], Awaitable[Alert]],
) -> Response:
    async with parts.uow.begin(cause_of(request, person)) as work:

        async def once() -> Answer:
            alert = await act(work)
            view = await parts.views(work.tx).one(alert.file.alert_id)
            assert view is not None  # noqa: S101 - it was changed in this transaction
            body = _shown(view, person, parts)
            return Answer(200, body, {"ETag": etag(alert.file.version)})

        answer = await answer_once(work, key, once)
    return answer.response()


async def _view(parts: NotificationParts, alert_id: UUID) -> AlertView:
    async with parts.uow.database.transaction() as tx:
        view = await parts.views(tx).one(alert_id)
    if view is None:
        raise not_found("alert")
    return view


def _shown(view: AlertView, person: Principal, parts: NotificationParts) -> AlertShown:
    now = parts.world.machine_clock.now()
    return shown(view, person, parts.policy, parts.texts, now)


def _levels(urgencies: list[Urgency]) -> list[Level]:
    return [level for level in Level if URGENCY_OF[level] in urgencies]


def _after(cursor: tuple[str, ...] | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    try:
        raised_at, alert_id = cursor
        return datetime.fromisoformat(raised_at), UUID(alert_id)
    except ValueError as error:
        raise Problem(
            400, "cursor-malformed", "Use the cursor from the last page as it is."
        ) from error
