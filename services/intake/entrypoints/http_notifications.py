"""Where FHIR servers send the notifications of their subscriptions.

Invariants: only the feed's own secret opens this endpoint, and that secret opens no other. A
notification is answered 200 when what it says is committed, never before; sent again, it changes
nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from services.intake.application.note_notification import note_notification
from services.intake.application.recognise_sender import Sender
from services.intake.application.subscription_ports import (
    FhirFeed,
    NotificationProblem,
    ReadNotification,
)
from services.intake.domain.fhir_addresses import ForeignAddressError
from services.intake.entrypoints.http_record import BUNDLE_BYTES_MAX
from services.intake.entrypoints.parts import Parts
from shared.auth.principal import Principal
from shared.web.idempotency import Answer
from shared.web.problems import FieldError, Problem
from shared.web.requests import cause_of
from shared.web.security import Access

#: how the caller of this endpoint is called where roles are listed
SENDER: Final = "feed"

router = APIRouter(prefix="/fhir", tags=["feeds"])


class SenderAccess(Access):
    """Only a FHIR server with its feed's secret; no person and no service."""

    def allows(self, principal: Principal) -> bool:
        """Whether the caller is such a server."""
        return isinstance(principal, Sender)

    @property
    def labels(self) -> frozenset[str]:
        """The name of who may call."""
        return frozenset({SENDER})


@dataclass(frozen=True, slots=True)
class SubscriptionParts:
    """What noting a notification needs: the feeds that are set up, by name, and the reader."""

    feeds: Mapping[str, FhirFeed]
    read: ReadNotification


def subscription_parts(request: Request) -> SubscriptionParts:
    """A dependency: the service's FHIR feeds."""
    parts = request.app.state.subscriptions
    if not isinstance(parts, SubscriptionParts):
        raise TypeError("the app was built without its subscriptions")
    return parts


Subscribed = Annotated[SubscriptionParts, Depends(subscription_parts)]
OneSender = Annotated[Principal, Depends(SenderAccess())]
Name = Annotated[str, Path(max_length=40)]


@router.post("/notifications/{feed}", max_body_size=BUNDLE_BYTES_MAX)
async def post_notification(
    request: Request, feed: Name, principal: OneSender, parts: Parts, here: Subscribed
) -> Response:
    """Notes one notification of a FHIR R4 subscription (Subscriptions R5 Backport).

    Handshake, heartbeat, events and status. What it tells of is fetched afterwards.
    """
    if not isinstance(principal, Sender) or principal.feed != feed:
        raise Problem(403, "not-allowed", "This secret is of another feed.")
    told = here.read(await request.body())
    if isinstance(told, NotificationProblem):
        raise _refused(told)
    try:
        async with parts.uow.begin(cause_of(request, principal)) as work:
            noted = await note_notification(work, here.feeds[feed], told)
    except ForeignAddressError as error:
        where = "/entry/0/resource/parameter"
        raise _refused(NotificationProblem("foreign-address", str(error), where)) from None
    answer = {
        "outcome": "repeated" if noted.repeated and told.events else "noted",
        "subscription": noted.subscription,
        "fetches": noted.fetches,
        "gaps": noted.gaps,
    }
    return Answer(200, answer).response()


def _refused(problem: NotificationProblem) -> Problem:
    error = FieldError(pointer=problem.pointer, code=problem.code, detail=problem.message)
    said = "The notification is refused; nothing of it was noted."
    return Problem(422, "notification-refused", said, errors=[error])
