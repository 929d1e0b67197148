"""Sources over HTTP: when each was last heard, and the heartbeat of its interface engine."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from services.intake.application.hear_source import UnknownSourceError, heard
from services.intake.domain.sources import Watermark, silent_since
from services.intake.entrypoints.parts import IntakeParts, Key, Parts, Person
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.messaging.unit_of_work import Cause
from shared.web.idempotency import Answer, answer_once
from shared.web.problems import Problem, not_found
from shared.web.requests import cause_of
from shared.web.security import requires

NAME_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,39}$"

router = APIRouter(prefix="/sources", tags=["sources"])
Operator = Annotated[Principal, Depends(requires(Role.OPS))]
Name = Annotated[str, Path(pattern=NAME_PATTERN)]


@router.get("")
async def get_sources(request: Request, principal: Person, parts: Parts) -> Response:
    """The configured sources: when each was last heard, its limit, and since when it is silent."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        found = await work.rows.sources.watermarks(None)
    items = [_shown(parts, mark) for mark in found if _may_see(principal, mark)]
    return Answer(200, {"mode": parts.mode, "items": items}).response()


def _may_see(principal: Principal, mark: Watermark) -> bool:
    return principal.site is None or mark.site in (None, principal.site)


def _shown(parts: IntakeParts, mark: Watermark) -> dict[str, object]:
    row = parts.protocol.feeds.get(mark.feed)
    return {
        "name": mark.name,
        "feed": mark.feed,
        "site": mark.site,
        "heard_at": mark.heard_at,
        "silent_after_hours": None if row is None else row.silent_after_hours,
        "silent_since": silent_since(parts.protocol, mark, parts.world.clock.now()),
    }


@router.post("/{name}/heartbeat")
async def post_heartbeat(
    request: Request, name: Name, principal: Operator, parts: Parts, key: Key
) -> Response:
    """The source's interface engine is alive and has nothing unsent; moves its watermark to now."""
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            try:
                at = await heard(work, name, parts.world.clock.now())
            except UnknownSourceError:
                raise not_found("source") from None
            return Answer(200, {"name": name, "heard_at": at})

        answer = await answer_once(work, key, act)
    return answer.response()


async def check_source(parts: IntakeParts, cause: Cause, name: str) -> None:
    """Raises `Problem` 422 when no source of that name is configured."""
    async with parts.uow.begin(cause) as work:
        known = {mark.name for mark in await work.rows.sources.watermarks(None)}
    if name not in known:
        raise Problem(422, "no-such-source", "No source of this name is configured.")


async def hear_source(parts: IntakeParts, cause: Cause, name: str) -> None:
    """The source was heard now."""
    async with parts.uow.begin(cause) as work:
        await heard(work, name, parts.world.clock.now())
