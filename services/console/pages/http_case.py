"""The page of one case: can the infusion go ahead and why not, then everything that led there."""

from functools import partial
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from services.console.entry.entered import entered_section
from services.console.pages import go_ahead, reads
from services.console.pages.chains import chains
from services.console.pages.viewer import ConsoleParts, Parts, Viewer, frame, note_case_read
from services.console.projections.detail import visible_detail
from shared.contracts.vocabulary import Gate
from shared.persistence.database import Tx
from shared.protocol import Protocol
from shared.web.problems import not_found

router = APIRouter(include_in_schema=False)

#: events on the page unless more are asked for
EVENTS_SHOWN: Final = 200
Zoom = Literal["compact", "full"]


@router.get("/cases")
async def find_case(
    parts: Parts, viewer: Viewer, code: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """Leads from a case code, as messages carry it, to the case's page."""
    async with parts.database.transaction() as tx:
        case_id = await reads.case_by_code(tx, code.strip().upper())
    if case_id is None:
        raise not_found("case")
    return RedirectResponse(f"/cases/{case_id}", status_code=303)


@router.get("/cases/{case_id}")
async def case_page(
    request: Request,
    parts: Parts,
    viewer: Viewer,
    case_id: UUID,
    zoom: Zoom = "compact",
    events: Annotated[int, Query(ge=1, le=reads.LOG_ROWS_MAX)] = EVENTS_SHOWN,
) -> Response:
    """The case as the events of all services tell of it."""
    async with parts.database.transaction() as tx:
        card = await reads.case_card(tx, case_id)
        if card is None:
            raise not_found("case")
        heard = await reads.streams(tx)
        around = frame(request, parts, viewer, heard)
        state = await _state(tx, parts, card, around["silent"])
        log = await reads.log_of_case(tx, case_id, events + 1)
    await note_case_read(request, parts, viewer, case_id)
    is_open = card.closed_at is None
    entered = await entered_section(request, parts, viewer, case_id, is_open=is_open)
    return parts.pages.refreshed(
        request,
        "case.html",
        **around,
        **state,
        card=card,
        entered=entered,
        zoom=zoom,
        chains=chains(log[:events], together=zoom == "compact"),
        visible=partial(visible_detail, clinical=around["clinical"]),
        events=events,
        more=len(log) > events,
    )


async def _state(
    tx: Tx, parts: ConsoleParts, card: reads.CaseCard, silent: tuple[str, ...]
) -> dict[str, Any]:
    now = parts.world.clock.now()
    case_id = card.case_id
    intervals = await reads.intervals(tx, case_id, now)
    words = rule_words(parts.protocol)
    gates = [go_ahead.gate_state(gate.value, intervals, now, words) for gate in Gate]
    infusion_gate = next(gate for gate in gates if gate.gate == Gate.INFUSION.value)
    holds = await reads.open_holds(tx, case_id)
    parkings = await reads.parkings(tx, case_id)
    own = await reads.own_parkings(tx, case_id)
    blocking = [hold for hold in holds if Gate.INFUSION.value in hold.gates]
    known = go_ahead.Known(
        closed_because=(card.close_reason or "closed") if card.closed_at else None,
        open_holds=len(blocking),
        holds_not_effective=sum(hold.effective_at is None for hold in blocking),
        parked_at=[*(p.consumer for p in parkings), *("console" for _ in own)],
        waiting_events=await reads.waiting_events(tx, case_id),
        silent=silent,
        gate=infusion_gate,
    )
    return {
        "answer": go_ahead.go_ahead(known),
        "gates": gates,
        "infusion_gate": infusion_gate,
        "holds": holds,
        "rule_words": words,
        "timelines": await reads.timelines(tx, case_id),
        "infusions": await reads.infusions(tx, case_id),
        "batches": await reads.batches(tx, case_id),
        "permits": await reads.permits_out(tx, case_id),
        "proposals": await reads.proposals(tx, case_id),
        "alerts": await reads.alerts(tx, case_id, closed=False),
        "parkings": parkings,
        "own_parkings": own,
        "silent_sources": await reads.silent_sources(tx, case_id),
    }


def rule_words(protocol: Protocol) -> dict[str, go_ahead.RuleWords]:
    """What the rulebook says of each rule."""
    items = {evidence.rule.id: evidence.item for evidence in protocol.evidence}
    subjects = _subjects(protocol)
    return {
        name: go_ahead.RuleWords(
            rule.title or subjects.get(name, ""),
            rule.override.value,
            tuple(rule.by),
            items.get(name),
        )
        for name, rule in protocol.rules.items()
    }


def _subjects(protocol: Protocol) -> dict[str, str]:
    """What a rule of a table is about: its rows have no title of their own."""
    word = protocol.sentences.word
    return {
        **{row.rule.id: word(row.treatment_class) for row in protocol.washouts},
        **{row.rule.id: word(row.metric) for row in protocol.labs},
        **{row.rule.id: word(row.item) for row in protocol.evidence},
    }
