"""Shadow mode over HTTP: a press that is advised, and the daily list."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.intake.application.list_shadow_day import ShadowDay, list_shadow_day
from services.intake.domain.permits import leading_code
from services.intake.domain.shadow import Advice, PlacedHold, WouldBe, WouldHold, day_of
from services.intake.entrypoints.parts import Parts
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.web.idempotency import Answer
from shared.web.problems import Problem
from shared.web.requests import cause_of
from shared.web.security import requires

router = APIRouter(prefix="/shadow", tags=["shadow"])
#: those who tune the protocol, and nobody else: the list is of all cases
Tuner = Annotated[Principal, Depends(requires(Role.COORDINATOR, Role.MEDICAL_DIRECTOR))]


def advised(advice: Advice) -> Problem:
    """The answer to a press in shadow mode: a refusal to whoever knows no advice."""
    would = "have granted" if advice.would_be is WouldBe.GRANTED else "have refused"
    title = (
        f"Advisory only (shadow mode): Tandem would {would} this step."
        " It permits nothing; your own way of working decides."
    )
    return Problem(
        409, "advisory", title, extra=_advice_json(advice), headers={"ETag": advice.view.etag}
    )


def _advice_json(advice: Advice) -> dict[str, Any]:
    return {
        "mode": "shadow",
        "permit_id": str(advice.request.permit_id),
        "would_be": advice.would_be.value,
        "would_be_code": leading_code(advice.reasons).value if advice.reasons else None,
        "epoch": advice.view.epoch,
        "version": advice.view.version,
        "protocol_version": advice.protocol_version,
        "reasons": [reason.to_json() for reason in advice.reasons],
    }


@router.get("/daily")
async def get_daily(
    request: Request, principal: Tuner, parts: Parts, date: date | None = None
) -> Response:
    """What would have been held on a day of the clinic (today unless named), and its holds."""
    if parts.mode != "shadow":
        raise Problem(
            409, "not-shadow-mode", f"This installation runs in {parts.mode} mode; it has no list."
        )
    zone = parts.protocol.zone
    day = day_of(date or parts.world.clock.now().astimezone(zone).date(), zone)
    async with parts.uow.begin(cause_of(request, principal)) as work:
        found = await list_shadow_day(work.rows, day, principal.site)
    return Answer(200, {"mode": parts.mode, **_day_json(found)}).response()


def _day_json(found: ShadowDay) -> dict[str, Any]:
    return {
        "date": found.day.day,
        "from": found.day.begins,
        "until": found.day.ends,
        "asked": found.asked,
        "would_be_granted": found.would_be_granted,
        "would_be_refused": found.asked - found.would_be_granted,
        "would_have_held": [_line_json(line) for line in found.lines],
        "holds": [_hold_json(hold) for hold in found.holds],
        "is_cut": found.is_cut,
    }


def _line_json(line: WouldHold) -> dict[str, Any]:
    return {
        "case_id": line.case_id,
        "gate": line.gate,
        "subject_id": line.subject_id,
        "code": line.obstacle.code,
        "rule": line.obstacle.rule,
        "times": line.times,
        "first_at": line.first_at,
        "last_at": line.last_at,
    }


def _hold_json(hold: PlacedHold) -> dict[str, Any]:
    return {
        "hold_id": hold.hold_id,
        "case_id": hold.case_id,
        "kind": hold.kind,
        "rule": hold.rule,
        "gates": list(hold.gates),
        "recorded_at": hold.recorded_at,
        "released_at": hold.released_at,
    }
