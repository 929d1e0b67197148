"""What feeds of FHIR servers owe, over HTTP: their state, and what waits for a person.

Invariant: a resource is named by its reference, and that only to those who may look it up; nothing
of its content stands here. A person's word about an errand has an entry in the audit.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.intake.application.settle_errand import discard_errand, retry_errand
from services.intake.application.subscription_ports import Errand, FeedState, Subscription
from services.intake.domain.reporting import PHYSICIANS
from services.intake.entrypoints.http_feeds import DiscardBody, FeedsHere
from services.intake.entrypoints.http_notifications import Subscribed
from services.intake.entrypoints.parts import Key, Parts
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.web.idempotency import Answer, answer_once
from shared.web.pages import Paged, cursor_of
from shared.web.problems import not_found
from shared.web.requests import cause_of
from shared.web.security import requires

_SETTLERS = frozenset({Role.COORDINATOR, *PHYSICIANS})

router = APIRouter(prefix="/feeds", tags=["feeds"])
Watcher = Annotated[Principal, Depends(requires(Role.OPS, *sorted(_SETTLERS)))]
Settler = Annotated[Principal, Depends(requires(*sorted(_SETTLERS)))]


@router.get("")
async def get_feeds(
    request: Request, principal: Watcher, parts: Parts, messages: FeedsHere, servers: Subscribed
) -> Response:
    """The feeds: when each was heard, how far it is whole, and what it still owes.

    A watermark that stays behind `heard_at` says since when something is missing.
    """
    async with parts.uow.begin(cause_of(request, principal)) as work:
        states = await work.rows.subscriptions.feed_states({*messages.profiles, *servers.feeds})
        known = await work.rows.subscriptions.subscriptions(None)
    return Answer(200, {"items": [_state(one, known) for one in states]}).response()


def _state(state: FeedState, known: Sequence[Subscription]) -> Mapping[str, object]:
    return {
        "name": state.name,
        "heard_at": state.heard_at,
        "watermark": state.watermark,
        "unknown_patients": state.unknown_patients,
        "fetches_waiting": state.waiting,
        "fetches_parked": state.parked,
        "gaps_open": state.gaps,
        "subscriptions": [_subscription(one) for one in known if one.feed == state.name],
    }


def _subscription(one: Subscription) -> Mapping[str, str | int | datetime | Sequence[str] | None]:
    return {
        "subscription": one.subscription,
        "status": one.status.value,
        "is_sound": one.status.is_sound,
        "errors": one.errors,
        "events": one.highest,
        "run": one.run,
        "heard_at": one.heard_at,
    }


@router.get("/errands")
async def get_errands(request: Request, principal: Watcher, parts: Parts, page: Paged) -> Response:
    """Resources that could not be had and gaps that could not be filled, oldest first.

    `not-here`: the resource is of somebody who has no case; after a referral it can be tried again.
    """
    after = UUID(page.after[0]) if page.after else None
    async with parts.uow.begin(cause_of(request, principal)) as work:
        found = await work.rows.subscriptions.listed(after, page.limit + 1)
    shown = found[: page.limit]
    following = cursor_of(shown[-1].errand_id) if len(found) > page.limit else None
    is_named = bool(principal.roles & _SETTLERS)
    items = [_told(one, is_named=is_named) for one in shown]
    return Answer(200, {"items": items, "next": following}).response()


def _told(errand: Errand, *, is_named: bool) -> Mapping[str, object]:
    return {
        "errand_id": errand.errand_id,
        "feed": errand.feed,
        "subscription": errand.subscription,
        "what": "gap" if errand.reference is None else "resource",
        "events": [errand.span.first, errand.span.last],
        "reference": errand.reference if is_named else None,
        "state": errand.state.value,
        "code": errand.code,
        "place": errand.place if is_named else None,
        "attempts": errand.attempts,
        "case_id": errand.case_id,
        "noticed_at": errand.noticed_at,
    }


@router.post("/errands/{errand_id}/retry")
async def post_errand_retry(
    request: Request, errand_id: UUID, principal: Settler, parts: Parts, key: Key
) -> Response:
    """Fetches the resource, or asks for the missing events, once more from now on."""
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            errand = await retry_errand(work, errand_id)
            if errand is None:
                raise not_found("errand")
            return Answer(200, {"outcome": "waiting"})

        answer = await answer_once(work, key, act)
    return answer.response()


@router.post("/errands/{errand_id}/discard")
async def post_errand_discard(
    request: Request, errand_id: UUID, principal: Settler, parts: Parts, key: Key,
    body: DiscardBody,
) -> Response:  # fmt: skip
    """Ends the wait for a resource that is not needed, or accepts a gap, with a reason."""
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            errand = await discard_errand(work, errand_id, body.reason)
            if errand is None:
                raise not_found("errand")
            return Answer(200, {"outcome": "discarded"})

        answer = await answer_once(work, key, act)
    return answer.response()
