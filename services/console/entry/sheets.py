"""A form on its way between the person, this console and intake; shared by entering and correcting.

Invariant: what a person typed comes back with every answer that is not a recording.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.console.entry.desk import IntakeRefusedError, NotKnown, Recorded, Refused, Sent
from services.console.entry.forms import EntryForm, Forms, bare_form, without_case
from services.console.entry.own_forms import PROOF
from services.console.pages import reads, words
from services.console.pages.viewer import ConsoleParts, frame
from shared.auth.principal import Principal
from shared.ports import HttpUnreachableError
from shared.web.problems import Problem, not_found

#: hidden fields besides the proof: the key of this filling-in, the version that was shown
KEY: Final = "key"
SEEN: Final = "seen"
_HIDDEN: Final = frozenset({PROOF, KEY, SEEN, "form"})
_AWAY: Final = (
    "Intake does not answer, so nothing was sent. What you typed is kept below; send it again in a "
    "moment."
)
_NOT_KNOWN: Final = (
    "Intake did not answer in time. It is not known whether this was recorded. What you typed is "
    "kept below: send it again, unchanged. It is recorded only once."
)
_REUSED: Final = (
    "This form was recorded already with other words. Look at the case for what is on record, and "
    "correct it there."
)
_STALE: Final = (
    "Somebody has changed this entry since you opened it. Open it again to see what it says now."
)
_UNPROCESSABLE: Final = 422
_UNAVAILABLE: Final = 503
_SEE_OTHER: Final = 303


@dataclass(frozen=True, slots=True)
class Sheet:
    """A form with what was typed. `wrong` by field, `told` about the whole; `entry` is corrected.

    `form` None: there is nothing to fill in, `told` says why.
    """

    form: EntryForm | None
    key: str
    zone: str
    typed: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)
    told: str | None = None
    status: int = 200
    entry_id: UUID | None = None
    seen: int | None = None

    def with_wrong(self, wrong: Mapping[str, str]) -> "Sheet":
        """The sheet with what has to be typed otherwise."""
        return replace(self, wrong=wrong, status=_UNPROCESSABLE)

    def correcting(self, entry_id: UUID, seen: int) -> "Sheet":
        """The sheet for correcting this version of an entry."""
        return replace(self, entry_id=entry_id, seen=seen)


@dataclass(frozen=True, slots=True)
class Desktop:
    """One viewer at one case, with the token that calls intake in the viewer's name."""

    request: Request
    parts: ConsoleParts
    viewer: Principal
    case_id: UUID
    token: str

    async def page(self, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
        """The page in the frame of all pages."""
        async with self.parts.database.transaction() as tx:
            heard = await reads.streams(tx)
        around = frame(self.request, self.parts, self.viewer, heard)
        proof = self.parts.own_forms.proof(self.request)
        return self.parts.pages.page(
            name, status=status, **around, case_id=self.case_id, proof=proof, **values
        )

    async def sheet_page(self, sheet: Sheet) -> HTMLResponse:
        """The form as a page."""
        return await self.page("enter.html", status=sheet.status, sheet=sheet)

    async def blank(self, name: str) -> Sheet:
        """An empty form, with a key of its own."""
        key = str(self.parts.world.ids.new())
        try:
            forms = await self.parts.desk.forms(self.token, self.case_id)
        except HttpUnreachableError:
            return Sheet(None, key, "", told="Intake does not answer.", status=_UNAVAILABLE)
        form = forms.named(name)
        if form is None:
            raise not_found("form")
        if not form.entered_by & self.viewer.roles:
            told = f"{form.title}: {_entered_by(form.entered_by)}"
            return Sheet(None, key, forms.zone, told=told, status=403)
        return Sheet(form, key, forms.zone)

    async def sent_sheet(self, name: str, typed: Mapping[str, str]) -> Sheet:
        """The sheet that came back filled in; `told` where intake does not even describe it."""
        shown = {n: text for n, text in typed.items() if n not in _HIDDEN}
        key = typed.get(KEY, "")
        try:
            forms = await self.parts.desk.forms(self.token, self.case_id)
        except HttpUnreachableError:
            form = _remembered(self.parts.desk.known, name, shown)
            zone = str(self.parts.protocol.zone)
            return Sheet(form, key, zone, shown, told=_AWAY, status=_UNAVAILABLE)
        found = forms.named(name)
        if found is None:
            raise not_found("form")
        return Sheet(found, key, forms.zone, shown)

    async def answered(self, sheet: Sheet, sent: Sent) -> Response:
        """To the entry when it is on record, else the sheet again with the reason."""
        if isinstance(sent, Recorded):
            address = f"/cases/{self.case_id}/entries/{sent.entry_id}?done=yes"
            return RedirectResponse(address, status_code=_SEE_OTHER)
        return await self.sheet_page(told(sheet, sent))


async def desktop(
    request: Request, parts: ConsoleParts, viewer: Principal, case_id: UUID
) -> Desktop:
    """The viewer's desktop. Raises `Problem` 401."""
    return Desktop(request, parts, viewer, case_id, await parts.own_forms.token(request))


async def typed_in(request: Request, parts: ConsoleParts) -> dict[str, str]:
    """What a form of ours was filled in with. Raises `Problem` 403 for a form of others."""
    sent = await request.form()
    typed = {name: value for name, value in sent.items() if isinstance(value, str)}
    parts.own_forms.check(request, typed.get(PROOF, ""))
    return typed


def zone_of(sheet: Sheet) -> tzinfo:
    """The zone in which times were typed."""
    return ZoneInfo(sheet.zone)


def seen_version(typed: Mapping[str, str]) -> int:
    """The version that the page showed. Raises `Problem` 422."""
    text = typed.get(SEEN, "")
    if not (text.isascii() and text.isdecimal()):
        raise Problem(_UNPROCESSABLE, "malformed-request", "Open the entry again and correct it.")
    return int(text)


def told(sheet: Sheet, sent: Refused | NotKnown) -> Sheet:
    """The sheet with what intake said, each word beside the field that it is about."""
    if isinstance(sent, NotKnown):
        return replace(sheet, told=_NOT_KNOWN, status=_UNAVAILABLE)
    names = {f.name for f in sheet.form.fields} if sheet.form else set()
    wrong: dict[str, str] = {}
    rest: list[str] = []
    for pointer, detail in sent.wrong:
        place = next((part for part in pointer.split("/") if part in names), None)
        sentence = detail[:1].upper() + detail[1:]
        if place is None:
            rest.append(sentence)
        else:
            wrong[place] = sentence
    text = None if wrong and not rest else " ".join([_title(sent), *rest])
    return replace(sheet, wrong=wrong, told=text, status=sent.status)


def _title(sent: Refused) -> str:
    match sent.code:
        case "not-your-kind-of-fact":
            return _entered_by(frozenset(sent.roles))
        case "idempotency-key-reused":
            return _REUSED
        case "stale-version" | "no-such-entry":
            return _STALE
        case "store-unavailable" | "busy" | "identity-unavailable":
            return "Intake cannot record this now; nothing was recorded. Send it again in a moment."
        case _:
            return f"Nothing was recorded. {sent.title}"


def _entered_by(roles: frozenset[str]) -> str:
    names = ", ".join(words.role_words(role) for role in sorted(roles))
    return f"This is entered by {names}." if names else "This is not entered by your role."


def _remembered(known: Forms | None, name: str, typed: Mapping[str, str]) -> EntryForm:
    form = None if known is None else known.named(name)
    return bare_form(name, typed) if form is None else without_case(form)


def refusal(error: IntakeRefusedError) -> Problem:
    """What intake does not show, as a page says it."""
    if error.status == 404:  # noqa: PLR2004
        return not_found("case or entry")
    if error.status == 403:  # noqa: PLR2004
        return Problem(403, "not-allowed", "Your role does not read what was entered.")
    return Problem(_UNAVAILABLE, "neighbour-unreachable", "Intake does not show this now.")
