"""An entry: what it says, what it closes, who entered it; correct it; take it back as an error."""

from dataclasses import replace
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from services.console.entry.desk import Entry, IntakeRefusedError, Recorded
from services.console.entry.forms import Forms, filled, typed_of
from services.console.entry.sheets import (
    KEY,
    Desktop,
    Sheet,
    desktop,
    refusal,
    seen_version,
    told,
    typed_in,
    zone_of,
)
from services.console.entry.words import ends, form_of, said, with_assumed
from services.console.pages.viewer import Parts, Viewer, times_for
from shared.web.problems import not_found

router = APIRouter(include_in_schema=False)
REASON: Final = "reason"
REASON_LENGTH: Final = (3, 500)
HERE: Final = "/cases/{case_id}/entries/{entry_id}"


@router.get(HERE)
async def get_entry(
    request: Request, parts: Parts, viewer: Viewer, case_id: UUID, entry_id: UUID,
    done: Annotated[str, Query(max_length=10)] = "",
) -> Response:  # fmt: skip
    """The entry as it is on record."""
    at = await desktop(request, parts, viewer, case_id)
    entry, forms = await _found(at, entry_id)
    form, times = form_of(forms.items, entry), times_for(request, parts)
    return await at.page(
        "entry.html", entry=entry, form=form, lines=said(form, entry, times), ends=ends,
        done=bool(done), may_enter=bool(form.entered_by & viewer.roles),
    )  # fmt: skip


@router.get(HERE + "/correct")
async def get_correction(
    request: Request, parts: Parts, viewer: Viewer, case_id: UUID, entry_id: UUID
) -> Response:
    """The form as it was filled in, to be corrected."""
    at = await desktop(request, parts, viewer, case_id)
    entry, _ = await _standing(at, entry_id)
    sheet = await at.blank(entry.form)
    if sheet.form is None:
        return await at.sheet_page(sheet)
    typed = typed_of(sheet.form, with_assumed(entry), zone_of(sheet))
    sheet = replace(sheet, typed=typed).correcting(entry_id, entry.version)
    return await at.sheet_page(sheet)


@router.post(HERE + "/correct")
async def post_correction(
    request: Request, parts: Parts, viewer: Viewer, case_id: UUID, entry_id: UUID
) -> Response:
    """Sends the whole form again, for the version that was shown."""
    typed = await typed_in(request, parts)
    seen = seen_version(typed)
    at = await desktop(request, parts, viewer, case_id)
    try:
        sheet = await at.sent_sheet(typed.get("form", ""), typed)
    except IntakeRefusedError as error:
        raise refusal(error) from error
    sheet = sheet.correcting(entry_id, seen)
    if sheet.form is None or sheet.told is not None:
        return await at.sheet_page(sheet)
    body, wrong = filled(sheet.form, typed, zone_of(sheet))
    if wrong:
        return await at.sheet_page(sheet.with_wrong(wrong))
    sent = await parts.desk.correct(
        at.token, case_id, entry_id, body, seen=seen, key=typed.get(KEY, "none")
    )
    return await at.answered(sheet, sent)


@router.get(HERE + "/withdraw")
async def get_withdrawal(
    request: Request, parts: Parts, viewer: Viewer, case_id: UUID, entry_id: UUID
) -> Response:
    """Asks why an entry was an error."""
    at = await desktop(request, parts, viewer, case_id)
    entry, forms = await _standing(at, entry_id)
    sheet = Sheet(None, str(parts.world.ids.new()), forms.zone).correcting(entry_id, entry.version)
    return await _withdrawal_page(at, sheet)


@router.post(HERE + "/withdraw")
async def post_withdrawal(
    request: Request, parts: Parts, viewer: Viewer, case_id: UUID, entry_id: UUID
) -> Response:
    """Takes the entry back, with the reason."""
    typed = await typed_in(request, parts)
    at = await desktop(request, parts, viewer, case_id)
    seen, reason = seen_version(typed), typed.get(REASON, "").strip()
    sheet = Sheet(None, typed.get(KEY, "none"), "", typed).correcting(entry_id, seen)
    least, most = REASON_LENGTH
    if not least <= len(reason) <= most:
        text = f"Say in {least} to {most} characters why it was an error."
        return await _withdrawal_page(at, sheet.with_wrong({REASON: text}))
    sent = await parts.desk.withdraw(at.token, case_id, entry_id, reason, seen=seen, key=sheet.key)
    if isinstance(sent, Recorded):
        return await at.answered(sheet, sent)
    return await _withdrawal_page(at, told(sheet, sent))


async def _withdrawal_page(at: Desktop, sheet: Sheet) -> Response:
    return await at.page("withdraw.html", status=sheet.status, sheet=sheet)


async def _found(at: Desktop, entry_id: UUID) -> tuple[Entry, Forms]:
    """The entry with the forms. Raises `Problem`, `HttpUnreachableError`."""
    try:
        forms = await at.parts.desk.forms(at.token, at.case_id)
        return await at.parts.desk.entry(at.token, at.case_id, entry_id), forms
    except IntakeRefusedError as error:
        raise refusal(error) from error


async def _standing(at: Desktop, entry_id: UUID) -> tuple[Entry, Forms]:
    """The entry, unless it was taken back. Raises as `_found`."""
    entry, forms = await _found(at, entry_id)
    if entry.withdrawn:
        raise not_found("entry that still counts")
    return entry, forms
