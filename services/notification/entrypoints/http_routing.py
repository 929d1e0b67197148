"""Routes, rosters and pages over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, Field

from services.notification.application.change_roster import add_roster_entry, end_roster_entry
from services.notification.application.take_page import Page as PageOrder
from services.notification.application.take_page import PageCause, take_page
from services.notification.domain.evidence import EvidenceKind
from services.notification.domain.levels import URGENCY_OF, Level
from services.notification.domain.routing import RosterEntry, Route
from services.notification.entrypoints.parts import NotificationParts, parts_of
from services.notification.entrypoints.shown import RosterEntryShown, roster_entry_shown
from shared.auth.principal import Principal
from shared.contracts.notification import Urgency
from shared.contracts.vocabulary import Role, Service
from shared.web.idempotency import Answer, RequestKey, answer_once, request_key
from shared.web.pages import Page, Paged, page_of
from shared.web.problems import Problem
from shared.web.requests import RequestModel, cause_of
from shared.web.security import Rate, requires, service_only, signed_in

router = APIRouter(tags=["routing"])
Person = Annotated[Principal, Depends(signed_in())]
Planner = Annotated[
    Principal,
    Depends(requires(Role.COORDINATOR, Role.NURSE_LEAD, Role.MEDICAL_DIRECTOR, Role.OPS)),
]
Sender = Annotated[
    Principal,
    # a page is never slowed down: it tells of a step that may be running against a hold
    Depends(
        service_only(
            Service.INTAKE,
            Service.MANUFACTURING,
            Service.INFUSION_SCHEDULING,
            rate=Rate.UNLIMITED,
        )
    ),
]
Parts = Annotated[NotificationParts, Depends(parts_of)]
Key = Annotated[RequestKey, Depends(request_key)]
#: `local@domain`, no white space, no list: what may stand in a To header
EMAIL = r"^[^\s@,;<>\"]{1,64}@[^\s@,;<>\"]{1,189}$"


class RouteShown(BaseModel):
    """How one kind of event is routed."""

    kind: EvidenceKind
    level: Level
    urgency: Urgency
    ack_minutes: int | None
    raises: bool
    roles: list[Role]
    escalate_to: list[list[Role]]
    override_by: list[Role]


class RoutesShown(BaseModel):
    """The routing table in force and who is told when nobody can be reached."""

    version: str
    fallback: str
    routes: list[RouteShown]


class RosterBody(RequestModel):
    """Puts a person on duty for a role; `case_id` null: for all cases."""

    role: Role
    subject: Annotated[str, Field(min_length=1, max_length=200)]
    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\r\n]*$")]
    email: Annotated[str, Field(max_length=254, pattern=EMAIL)]
    case_id: UUID | None = None
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None


class PageBody(RequestModel):
    """A page past the event stream. `page_id` makes a repetition harmless."""

    page_id: UUID
    case_id: UUID | None
    hold_id: UUID | None = None
    cause: PageCause
    code: Annotated[str, Field(pattern=r"^[a-z0-9_.:-]{1,80}$")] | None = None


@router.get("/routes")
async def read_routes(person: Person, parts: Parts) -> RoutesShown:
    """The routing table: who is told of what, how urgently, and who comes next."""
    routes = parts.policy.routes
    return RoutesShown(
        version=routes.version,
        fallback=parts.policy.fallback.name,
        routes=[_route(routes.by_kind[kind], parts) for kind in EvidenceKind],
    )


def _route(route: Route, parts: NotificationParts) -> RouteShown:
    return RouteShown(
        kind=route.kind,
        level=route.level,
        urgency=URGENCY_OF[route.level],
        ack_minutes=parts.policy.ack_times.minutes.get(route.level),
        raises=route.raises,
        roles=list(route.roles),
        escalate_to=[list(step) for step in route.escalate_to],
        override_by=list(route.override_by),
    )


@router.get("/rosters")
async def list_roster(
    person: Person,
    parts: Parts,
    paged: Paged,
    case_id: UUID | None = None,
    role: Role | None = None,
) -> Page[RosterEntryShown]:
    """Who is on duty now or later; with `case_id`, also who is named for that case."""
    now = parts.world.clock.now()
    async with parts.uow.database.transaction() as tx:
        rows = await parts.views(tx).roster_page(
            case_id, role, _after(paged.after), paged.limit + 1, now
        )
    return page_of(rows, paged, item=roster_entry_shown, key=lambda entry: (entry.entry_id,))


@router.post("/rosters", status_code=201, response_model=RosterEntryShown)
async def add_to_roster(
    body: RosterBody, request: Request, person: Planner, parts: Parts, key: Key
) -> Response:
    """Puts a person on duty; without `starts_at` from now on."""
    entry = RosterEntry(
        entry_id=parts.world.ids.new(),
        role=body.role,
        subject=body.subject,
        name=body.name,
        email=body.email,
        case_id=body.case_id,
        starts_at=body.starts_at or parts.world.clock.now(),
        ends_at=body.ends_at,
    )
    async with parts.uow.begin(cause_of(request, person)) as work:

        async def once() -> Answer:
            added = await add_roster_entry(work, entry)
            return Answer(201, roster_entry_shown(added))

        answer = await answer_once(work, key, once)
    return answer.response()


@router.delete("/rosters/{entry_id}", response_model=RosterEntryShown)
async def remove_from_roster(
    entry_id: UUID, request: Request, person: Planner, parts: Parts, key: Key
) -> Response:
    """Ends a duty now; the entry stays on record."""
    now: datetime = parts.world.clock.now()
    async with parts.uow.begin(cause_of(request, person)) as work:

        async def once() -> Answer:
            ended = await end_roster_entry(work, entry_id, now)
            return Answer(200, roster_entry_shown(ended))

        answer = await answer_once(work, key, once)
    return answer.response()


@router.post("/pages", status_code=202)
async def page(body: PageBody, request: Request, sender: Sender, parts: Parts) -> dict[str, bool]:
    """Raises a critical alert at once. The same page again changes nothing."""
    order = PageOrder(body.page_id, body.case_id, body.hold_id, body.cause, body.code)
    assert sender.service is not None  # noqa: S101 - only services may call
    async with parts.uow.begin(cause_of(request, sender), urgent=True) as work:
        alert_id = await take_page(parts.policy, work, order, sender.service)
    return {"taken": True, "new": alert_id is not None}


def _after(cursor: tuple[str, ...] | None) -> UUID | None:
    if cursor is None:
        return None
    try:
        (entry_id,) = cursor
        return UUID(entry_id)
    except ValueError as error:
        raise Problem(
            400, "cursor-malformed", "Use the cursor from the last page as it is."
        ) from error
