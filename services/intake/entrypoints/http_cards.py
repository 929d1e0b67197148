"""The red-flag card over HTTP: print it, and record into whose hands it went."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from services.intake.application.information_ports import Handover
from services.intake.domain.red_flag_card import (
    POLICY,
    CardRefusedError,
    CardTemplate,
    rendered,
    usable,
)
from services.intake.domain.reporting import CLINICAL
from services.intake.entrypoints.http_information import Language, Version
from services.intake.entrypoints.parts import IntakeParts, Key, Parts, case_or_404
from shared.auth.principal import Principal
from shared.web.idempotency import Answer, answer_once
from shared.web.problems import Problem
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires

router = APIRouter()
Clinician = Annotated[Principal, Depends(requires(*sorted(CLINICAL)))]


class HandoverBody(RequestModel):
    """Which card went into whose hands."""

    language: Language
    version: Version
    given_to: Literal["patient", "caregiver"]


@router.get("/cases/{case_id}/red-flag-card", response_class=HTMLResponse)
async def get_card(
    request: Request, case_id: UUID, principal: Clinician, parts: Parts,
    language: Annotated[Language, Query()] = "en",
) -> Response:  # fmt: skip
    """The printable card: warning signs, what to do, the centre's 24-hour number."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        work.note("red-flag-card-printed", case_id, language=language)
    template = _template(parts, language)
    with _refusals_told():
        page = rendered(
            template, parts.protocol.plans.red_flags, parts.centre_phone, is_demo=_is_demo(parts)
        )
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(page, headers=headers)


@router.post("/cases/{case_id}/red-flag-card/handed-over", status_code=201)
async def post_handed_over(
    request: Request, case_id: UUID, principal: Clinician, parts: Parts, key: Key,
    body: HandoverBody,
) -> Response:  # fmt: skip
    """Records that the card was handed to the patient or a caregiver, by this person, now."""
    template = _template(parts, body.language)
    with _refusals_told():
        usable(template, parts.protocol.plans.red_flags, is_demo=_is_demo(parts))
    if template.version != body.version:
        raise Problem(
            409, "card-not-current", "The card has another version now; print it again.",
            extra={"current_version": template.version},
        )  # fmt: skip
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def once() -> Answer:
            await case_or_404(work, case_id, principal)
            handover = Handover(
                handover_id=work.world.ids.new(),
                case_id=case_id,
                template=template.id,
                version=template.version,
                language=template.language,
                given_to=body.given_to,
                handed_over_by=principal.subject,
                handed_over_at=work.world.clock.now(),
            )
            await work.rows.information.insert_handover(handover)
            work.note("red-flag-card-handed-over", case_id, version=template.version)
            return Answer(201, handover)

        answer = await answer_once(work, key, once)
    return answer.response()


def _is_demo(parts: IntakeParts) -> bool:
    return parts.mode == "demo"


def _template(parts: IntakeParts, language: str) -> CardTemplate:
    """The text in this language, or in the language without its region."""
    primary = language.partition("-")[0].lower()
    found = parts.card_templates.get(language) or parts.card_templates.get(primary)
    if found is None:
        raise Problem(
            404, "no-card-in-language", "There is no card in this language.",
            extra={"languages": sorted(parts.card_templates)},
        )  # fmt: skip
    return found


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except CardRefusedError as error:
        raise Problem(409, error.code, error.title) from error
