"""Messages handed in by a person, and those that wait for one, over HTTP.

Invariant: the list names feed, kind, place and reason, never what is in a message; a message is
read again or discarded by a person, with an entry in the audit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field

from services.intake.application.feed_ports import WaitingMessage
from services.intake.application.incoming_messages import Profile
from services.intake.application.ports import IntakeRows
from services.intake.application.receive_message import (
    RECORDED,
    Feeds,
    Received,
    receive_message,
)
from services.intake.application.settle_message import settle
from services.intake.domain.reporting import PHYSICIANS
from services.intake.entrypoints.parts import Key, Parts
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.messaging.unit_of_work import Work
from shared.web.idempotency import Answer, answer_once, answer_once_in_steps
from shared.web.pages import Paged, cursor_of
from shared.web.problems import Problem, not_found
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires

#: the feed of messages that a person hands in
BY_HAND: Final = "by-hand"
MESSAGE_LENGTH_MAX: Final = 500_000

router = APIRouter(prefix="/feeds", tags=["feeds"])
Watcher = Annotated[Principal, Depends(requires(Role.OPS, Role.COORDINATOR, *sorted(PHYSICIANS)))]
Settler = Annotated[Principal, Depends(requires(Role.COORDINATOR, *sorted(PHYSICIANS)))]


@dataclass(frozen=True, slots=True)
class FeedParts:
    """What reading a message again needs."""

    feeds: Feeds
    profiles: Mapping[str, Profile]


def feed_parts(request: Request) -> FeedParts:
    """A dependency: the service's feeds."""
    parts = request.app.state.feeds
    if not isinstance(parts, FeedParts):
        raise TypeError("the app was built without its feeds")
    return parts


FeedsHere = Annotated[FeedParts, Depends(feed_parts)]


class MessageBody(RequestModel):
    """One HL7 v2 message as text; its line ends may be any."""

    message: Annotated[str, Field(min_length=8, max_length=MESSAGE_LENGTH_MAX)]


class DiscardBody(RequestModel):
    """Why the message is not needed, or how it was dealt with."""

    reason: Annotated[str, Field(min_length=3, max_length=500)]


@router.post("/messages")
async def post_message(
    request: Request, principal: Settler, parts: Parts, here: FeedsHere, key: Key,
    body: MessageBody,
) -> Response:  # fmt: skip
    """Takes one HL7 v2 message by hand, as if the feed `by-hand` had sent it."""
    if not body.message.isascii() and "UNICODE UTF-8" not in body.message.splitlines()[0]:
        said = "Beyond ASCII, the message must name UNICODE UTF-8 in MSH-18."
        raise Problem(422, "message-unreadable", said)

    async def act() -> Answer:
        raw = body.message.encode()
        received = await receive_message(here.feeds, here.profiles[BY_HAND], raw)
        report = [
            {"segment": o.segment, "outcome": o.outcome, "reason": o.reason, "place": o.place}
            for o in received.message.report
        ]
        return Answer(200, {**_became(received), "segments": report})

    cause = cause_of(request, principal)
    return (await answer_once_in_steps(parts.uow, key, cause, act)).response()


@router.get("/quarantine")
async def get_quarantine(
    request: Request, principal: Watcher, parts: Parts, page: Paged
) -> Response:
    """Messages that wait for a person, oldest first, without their content."""
    after = UUID(page.after[0]) if page.after else None
    async with parts.uow.begin(cause_of(request, principal)) as work:
        found = await work.rows.feeds.waiting_messages(after, page.limit + 1)
    shown = found[: page.limit]
    following = cursor_of(shown[-1].quarantine_id) if len(found) > page.limit else None
    return Answer(200, {"items": [_told(one) for one in shown], "next": following}).response()


def _told(waiting: WaitingMessage) -> dict[str, object]:
    return {
        "quarantine_id": waiting.quarantine_id,
        "feed": waiting.feed,
        "message_kind": waiting.message_kind,
        "case_id": waiting.case_id,
        "code": waiting.code,
        "place": waiting.place,
        "received_at": waiting.received_at,
    }


@router.post("/quarantine/{quarantine_id}/retry")
async def post_retry(
    request: Request, quarantine_id: UUID, principal: Settler, parts: Parts, here: FeedsHere,
    key: Key,
) -> Response:  # fmt: skip
    """Reads the message again; it is settled when nothing in it is refused any more."""
    cause = cause_of(request, principal)

    async def act() -> Answer:
        async with parts.uow.begin(cause) as work:
            waiting = await work.rows.feeds.waiting_message(quarantine_id)
            raw = await work.rows.feeds.waiting_bytes(quarantine_id)
        if waiting is None or raw is None:
            raise not_found("message")
        profile = here.profiles.get(waiting.feed)
        if profile is None:
            raise Problem(409, "feed-gone", "The feed is not set up: discard the message.")
        received = await receive_message(here.feeds, profile, raw, again=True)
        settled = received.outcome == RECORDED
        if settled:
            async with parts.uow.begin(cause) as work:
                await settle(work, waiting, "read", None)
        return Answer(200, {"settled": settled, **_became(received)})

    return (await answer_once_in_steps(parts.uow, key, cause, act)).response()


def _became(received: Received) -> dict[str, object]:
    return {
        "answer": received.answer,
        "outcome": received.outcome,
        "case_id": received.case_id,
        "facts": {"recorded": received.recorded, "unchanged": received.unchanged},
        "problems": [
            {"code": p.code, "place": p.place, "message": p.message} for p in received.problems
        ],
    }


@router.post("/quarantine/{quarantine_id}/discard")
async def post_discard(
    request: Request, quarantine_id: UUID, principal: Settler, parts: Parts, key: Key,
    body: DiscardBody,
) -> Response:  # fmt: skip
    """Ends the wait of a message that is not needed; its bytes are gone, its entry stays."""
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            return await _discarded(work, quarantine_id, body.reason)

        answer = await answer_once(work, key, act)
    return answer.response()


async def _discarded(work: Work[IntakeRows], quarantine_id: UUID, reason: str) -> Answer:
    waiting = await work.rows.feeds.waiting_message(quarantine_id)
    if waiting is None:
        raise not_found("message")
    await settle(work, waiting, "discarded", reason)
    return Answer(200, {"outcome": "discarded"})
