"""How an endpoint runs a use case: once per key, in one transaction, refusals as problems."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response

from services.manufacturing.application.place_hold import find_order, put_on_record
from services.manufacturing.application.ports import (
    AuthorityUnreachableError,
    DoNotStart,
    Go,
    StartView,
)
from services.manufacturing.application.press_start import Pressed
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.application.shell import Shell
from services.manufacturing.domain.holds import HoldOrder
from services.manufacturing.entrypoints.answers import hold_json, problems, unreachable
from shared.auth.principal import Principal
from shared.messaging.unit_of_work import Cause, Work
from shared.web.etags import if_match
from shared.web.idempotency import (
    REPLAYED_HEADER,
    Answer,
    RequestKey,
    answer_once,
    claim_permit_id,
)
from shared.web.problems import Problem
from shared.web.requests import RequestModel, cause_of

Act = Callable[[Work[Rows]], Awaitable[Answer]]
PressStart = Callable[[Pressed, Cause], Awaitable[Go | DoNotStart]]
OrderHold = Callable[[Work[Rows]], Awaitable[HoldOrder | None]]

_PAIR = 2


class PressBody(RequestModel):
    """What every press of start carries besides If-Match with the clearance that was seen."""

    second_checker: str
    scanned_band: str | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks, with which key."""

    shell: Shell
    request: Request
    principal: Principal
    key: RequestKey

    @property
    def cause(self) -> Cause:
        """Why the work is done."""
        return cause_of(self.request, self.principal)


async def run(call: Call, act: Act) -> Response:
    """The answer of a use case that is one transaction."""
    with problems():
        async with call.shell.unit_of_work.begin(call.cause) as work:
            answer = await answer_once(work, call.key, lambda: act(work))
    return answer.response()


async def read(shell: Shell, request: Request, principal: Principal, act: Act) -> Response:
    """The answer to a question."""
    with problems():
        async with shell.unit_of_work.begin(cause_of(request, principal)) as work:
            answer = await act(work)
    return answer.response()


async def run_with_hold(call: Call, order: OrderHold, shown: Act) -> Response:
    """The answer of a use case whose hold must be on record at the authority before a 2xx.

    The first transaction orders the hold; a repetition with the same key finds that order and
    goes on where the first attempt stopped. 503 means: kept, sent again by itself, not done yet.
    """

    async def act(work: Work[Rows]) -> Answer:
        made = await order(work)
        return Answer(202, {"hold_id": None if made is None else str(made.hold_id)})

    with problems():
        async with call.shell.unit_of_work.begin(call.cause, urgent=True) as work:
            ordered = await answer_once(work, call.key, lambda: act(work))
    hold = await settled(call, _hold_id(ordered))
    with problems():
        async with call.shell.unit_of_work.begin(call.cause) as work:
            answer = await shown(work)
    body = answer.body if hold is None else {**_members(answer.body), "hold": hold_json(hold)}
    headers = {**answer.headers, **_replayed(ordered)}
    return Answer(answer.status, body, headers).response()


async def settled(call: Call, hold_id: UUID | None) -> HoldOrder | None:
    """The order, on record. Raises `Problem` 503."""
    if hold_id is None:
        return None
    order = await find_order(call.shell, hold_id, call.cause)
    try:
        return await put_on_record(call.shell, order, call.cause)
    except AuthorityUnreachableError as error:
        raise unreachable(hold_id=str(hold_id), on_record=False) from error


async def press(call: Call, body: PressBody, start: PressStart) -> Response:
    """GO, or why not. A repeated press is answered with the present state, never with a GO."""
    seen = clearance_seen(call.request)
    unit_of_work = call.shell.unit_of_work
    permit_id, is_repetition = await claim_permit_id(unit_of_work, call.key, call.cause)
    if is_repetition:
        return await _present(call, permit_id)
    pressed = Pressed(permit_id, seen, body.second_checker, body.scanned_band, body.place)
    with problems():
        outcome = await start(pressed, call.cause)
    if isinstance(outcome, DoNotStart):
        raise Problem(outcome.status, outcome.code, outcome.title, extra=outcome.extra)
    go = {
        "go": True,
        "start_id": outcome.start_id,
        "permit_id": permit_id,
        "go_at": outcome.go_at,
        "show_ms": outcome.show_ms,
    }
    return Answer(200, go).response()


def clearance_seen(request: Request) -> tuple[int, int]:
    """The case's clearance that the person saw. Raises `Problem` for a missing or other tag."""
    seen = if_match(request)
    if len(seen) != _PAIR:
        raise Problem(400, "version-malformed", "If-Match must be the case's clearance ETag.")
    return seen[0], seen[1]


async def _present(call: Call, permit_id: UUID) -> Response:
    async with call.shell.unit_of_work.begin(call.cause) as work:
        start = await call.shell.permits.asked(work, permit_id)
    if start is None:
        raise Problem(
            409, "permit-asked", "This start was asked for and did not begin; press anew."
        )
    return Answer(200, _start_json(start), {REPLAYED_HEADER: "true"}).response()


def _start_json(start: StartView) -> dict[str, object]:
    return {
        "go": False,
        "start_id": start.start_id,
        "permit_id": start.permit_id,
        "state": start.state,
        "go_at": start.go_at,
    }


def _hold_id(answer: Answer) -> UUID | None:
    text = _members(answer.body).get("hold_id")
    return None if text is None else UUID(str(text))


def _members(body: object) -> dict[str, object]:
    return dict(body) if isinstance(body, dict) else {}


def _replayed(answer: Answer) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k == REPLAYED_HEADER}
