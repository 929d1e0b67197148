"""Entering: an empty form, and the form sent. Intake decides; the console passes on."""

from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.console.entry.desk import IntakeRefusedError
from services.console.entry.forms import filled
from services.console.entry.sheets import KEY, Desktop, desktop, refusal, typed_in, zone_of
from services.console.pages.viewer import Parts, Viewer

router = APIRouter(include_in_schema=False)


@router.get("/cases/{case_id}/enter/{form}")
async def get_form(
    request: Request, parts: Parts, viewer: Viewer, case_id: UUID, form: str
) -> Response:
    """An empty form about a case."""
    at = await desktop(request, parts, viewer, case_id)
    try:
        return await at.sheet_page(await at.blank(form))
    except IntakeRefusedError as error:
        raise refusal(error) from error


@router.post("/cases/{case_id}/enter/{form}")
async def post_form(
    request: Request, parts: Parts, viewer: Viewer, case_id: UUID, form: str
) -> Response:
    """Sends the form on; leads to the entry once intake has it, else back to the form."""
    typed = await typed_in(request, parts)
    at = await desktop(request, parts, viewer, case_id)
    try:
        return await _entered(at, form, typed)
    except IntakeRefusedError as error:
        raise refusal(error) from error


async def _entered(at: Desktop, name: str, typed: dict[str, str]) -> Response:
    sheet = await at.sent_sheet(name, typed)
    if sheet.form is None or sheet.told is not None:
        return await at.sheet_page(sheet)
    body, wrong = filled(sheet.form, typed, zone_of(sheet))
    if wrong:
        return await at.sheet_page(sheet.with_wrong(wrong))
    sent = await at.parts.desk.enter(at.token, at.case_id, body, key=typed.get(KEY, "none"))
    return await at.answered(sheet, sent)
