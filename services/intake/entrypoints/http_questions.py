"""Questions to the record over HTTP: decisions, timelines, what-if, due items, the checklist."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, Field

from services.intake.application import answer_questions as questions
from services.intake.entrypoints.parts import GateReader, Parts, Reader, Supposer, case_or_404
from services.intake.entrypoints.statements import facts_of
from shared.contracts.vocabulary import Gate
from shared.protocol import WhatIf, Window
from shared.web.idempotency import Answer
from shared.web.problems import Problem
from shared.web.requests import RequestModel, cause_of

FACTS_PER_REQUEST_MAX: Final = 200
TIMELINE_DAYS: Final = 120

router = APIRouter()


class WhatIfBody(RequestModel):
    """Hypothetical facts, and for which gates and from when to when their timelines are asked."""

    facts: Annotated[list[dict[str, Any]], Field(max_length=FACTS_PER_REQUEST_MAX)]
    assume_other_evidence_current: bool = False
    gates: Annotated[tuple[Gate, ...], Field(max_length=len(Gate))] = (
        Gate.COLLECTION,
        Gate.INFUSION,
    )
    at: AwareDatetime | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


@router.get("/cases/{case_id}/decisions/{gate}")
async def get_decision(
    request: Request, case_id: UUID, gate: Gate, principal: GateReader, parts: Parts,
    at: AwareDatetime | None = None, as_of: AwareDatetime | None = None,
) -> Response:  # fmt: skip
    """The decision of a gate, with every finding, and the least that must change for it to open."""
    question = questions.Question(case_id, at or parts.world.clock.now(), as_of)
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        found = await questions.explained_for(work.rows, parts.rulebooks, question, gate)
        work.note("decision-read", case_id, gate=gate.value)
    blockers = [blocker.to_json(found.protocol.zone) for blocker in found.blockers]
    body = {"mode": parts.mode, **found.decision.to_json(), "blockers": blockers}
    return Answer(200, body).response()


@router.get("/cases/{case_id}/timeline/{gate}")
async def get_timeline(
    request: Request, case_id: UUID, gate: Gate, principal: Reader, parts: Parts,
    since: AwareDatetime | None = None, until: AwareDatetime | None = None,
) -> Response:  # fmt: skip
    """The intervals of a gate with `start` and `plan` verdicts and what is due."""
    begin = since or parts.world.clock.now()
    end = _bounded(begin, until)
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        intervals = await questions.timeline_for(
            work.rows, parts.protocol, questions.Question(case_id, begin), gate, end
        )
    body = {"gate": gate.value, "intervals": [interval.to_json() for interval in intervals]}
    return Answer(200, {"mode": parts.mode, **body}).response()


def _bounded(begin: datetime, until: datetime | None) -> datetime:
    end = until or begin + timedelta(days=TIMELINE_DAYS)
    if not begin < end <= begin + timedelta(days=3 * 366):
        raise Problem(422, "range-malformed", "A timeline spans up to three years, forwards.")
    return end


@router.post("/cases/{case_id}/what-if")
async def post_what_if(
    request: Request, case_id: UUID, principal: Supposer, parts: Parts, body: WhatIfBody
) -> Response:
    """What hypothetical facts would change; nothing is stored and no event leaves."""
    facts, problems = facts_of(parts, body.facts, hypothetical=True)
    if problems:
        raise Problem(422, "statements-unreadable", "Some statements are refused.", errors=problems)
    window = _window(body, parts.world.clock.now())
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        found = await questions.what_if_for(
            work.rows, parts.protocol, case_id, facts, window,
            assume_other_evidence_current=body.assume_other_evidence_current,
        )  # fmt: skip
    return Answer(200, {"mode": parts.mode, **_what_if_json(found)}).response()


def _window(body: WhatIfBody, now: datetime) -> Window:
    at = body.at or now
    begin = body.since or at
    return Window(at, begin, _bounded(begin, body.until), frozenset(body.gates))


def _what_if_json(found: WhatIf) -> dict[str, Any]:
    """`before` and `after`: every gate at the instant; `timelines`: after; `changes`: where not
    as before."""
    return {
        "before": {gate.value: d.code for gate, d in found.before.items()},
        "after": {gate.value: d.to_json() for gate, d in found.after.items()},
        "timelines": {
            gate.value: [i.to_json() for i in intervals]
            for gate, intervals in found.timelines.items()
        },
        "changes": {
            gate.value: [difference.to_json() for difference in differences]
            for gate, differences in found.changes.items()
        },
    }


@router.get("/cases/{case_id}/due")
async def get_due(
    request: Request, case_id: UUID, principal: Reader, parts: Parts,
    at: AwareDatetime | None = None,
) -> Response:  # fmt: skip
    """What must be drawn, asked or signed before each gate opens."""
    question = questions.Question(case_id, at or parts.world.clock.now())
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        found = await questions.due_for(work.rows, parts.protocol, question)
    return Answer(200, {"at": question.at, "due": list(found)}).response()


@router.get("/cases/{case_id}/checklist")
async def get_checklist(
    request: Request, case_id: UUID, principal: Reader, parts: Parts
) -> Response:
    """The evaluation checklist: present, missing, too old, contradictory; with the advice."""
    question = questions.Question(case_id, parts.world.clock.now())
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        found = await questions.checklist_for(work.rows, parts.protocol, question)
    return Answer(200, {"mode": parts.mode, **found}).response()
