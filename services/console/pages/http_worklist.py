"""The first page: all open cases, the most urgent and longest waiting first."""

from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from services.console.pages import reads, words
from services.console.pages.viewer import Parts, Viewer, frame
from shared.contracts.vocabulary import Role

router = APIRouter(include_in_schema=False)

UrgencyName = Literal["critical", "warning", "information", "quiet"]
KindName = Literal[
    "parked", "hold-recorded", "hold", "alert", "alert-acknowledged", "suspended", "proposal"
]
_NUMBERS = {name: number for number, name in words.URGENCIES.items()}
_PAGES_MAX = 10_000


@router.get("/")
async def worklist(
    request: Request,
    parts: Parts,
    viewer: Viewer,
    urgency: UrgencyName | None = None,
    kind: KindName | None = None,
    owner: Role | None = None,
    code: Annotated[str, Query(max_length=20)] = "",
    closed: bool = False,
    page: Annotated[int, Query(ge=1, le=_PAGES_MAX)] = 1,
) -> Response:
    """The worklist under a filter that the address holds."""
    asked = reads.WorklistFilter(
        None if urgency is None else _NUMBERS[urgency], kind, owner.value if owner else None,
        code.strip().upper() or None, closed, page,
    )  # fmt: skip
    now = parts.world.clock.now()
    async with parts.database.transaction() as tx:
        found = await reads.worklist(tx, asked)
        cases = [row.case_id for row in found.rows]
        gates = await reads.infusion_gates(tx, cases, now)
        infusions = await reads.next_infusions(tx, cases)
        silences = await reads.all_silent_sources(tx)
        heard = await reads.streams(tx)
    return parts.pages.refreshed(
        request,
        "worklist.html",
        **frame(request, parts, viewer, heard),
        asked=asked,
        urgency=urgency,
        kind=kind,
        owner=owner,
        found=found,
        owner_choices=[role.value for role in Role],
        filtered=bool(urgency or kind or owner or code or closed),
        gates=gates,
        infusions=infusions,
        silences=silences,
        counters=_counters(found, kind=kind, owner=owner, code=code, closed=closed),
        last=(found.count(asked.urgency) - 1) // reads.WORKLIST_ROWS + 1,
        page_address=lambda number: _address(
            urgency=urgency, kind=kind, owner=owner, code=code, closed=closed, page=number
        ),
    )


def _counters(found: reads.Worklist, **asked: object) -> list[tuple[str | None, int, str]]:
    """Each counter with the address of exactly the rows that it counts."""
    counted: list[tuple[str | None, int, str]] = [
        (None, found.all_cases, _address(urgency=None, **asked))
    ]
    counted += [
        (name, found.count(number), _address(urgency=name, **asked))
        for number, name in words.URGENCIES.items()
    ]
    return counted


def _address(**asked: object) -> str:
    chosen = {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in asked.items() if v}
    if chosen.get("page") == "1":
        del chosen["page"]
    return f"/?{urlencode(chosen)}" if chosen else "/"
