"""What people entered about a case, for its page; asked of intake when the page is opened.

Invariant: the page of a case never fails for want of it. Where intake does not answer, it says so.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fastapi import Request
from markupsafe import Markup

from services.console.entry.desk import Entry, IntakeRefusedError
from services.console.entry.forms import EntryForm
from services.console.entry.words import brief, form_of
from services.console.pages.viewer import ConsoleParts, sees_clinical, times_for
from shared.auth.principal import Principal
from shared.ports import HttpUnreachableError

#: older ones are counted
ROWS_MAX: Final = 20
_AWAY: Final = (
    "Intake does not answer, so what people entered is not shown. Nothing can be entered."
)
_NOT_THERE: Final = "Intake does not show what was entered for this case."


@dataclass(frozen=True, slots=True)
class Row:
    """An entry in the list."""

    entry: Entry
    title: str
    brief: tuple[str | Markup, ...]
    may_enter: bool


@dataclass(frozen=True, slots=True)
class EnteredSection:
    """The section: forms that the viewer may fill in, entries; `told` says why there are none."""

    offered: tuple[EntryForm, ...] = ()
    rows: tuple[Row, ...] = ()
    total: int = 0
    told: str | None = None


async def entered_section(
    request: Request, parts: ConsoleParts, viewer: Principal, case_id: UUID, *, is_open: bool
) -> EnteredSection | None:
    """The section; None for whoever sees nothing clinical, and for a page that refreshes itself."""
    if not sees_clinical(viewer) or "hx-request" in request.headers:
        return None
    token = await parts.own_forms.token(request)
    try:
        forms, entries = await parts.desk.entries(token, case_id)
    except HttpUnreachableError:
        return EnteredSection(told=_AWAY)
    except IntakeRefusedError:
        return EnteredSection(told=_NOT_THERE)
    mine = [form for form in forms.items if form.entered_by & viewer.roles]
    times = times_for(request, parts)
    rows = []
    for entry in entries[:ROWS_MAX]:
        form = form_of(forms.items, entry)
        rows.append(Row(entry, form.title, tuple(brief(form, entry, times)), form in mine))
    return EnteredSection(tuple(mine) if is_open else (), tuple(rows), len(entries))
