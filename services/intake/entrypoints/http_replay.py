"""Replay and shadow over HTTP: stored decisions made again, page by page. Nothing is written."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, Field

from services.intake.application.ports import IntakeRows
from services.intake.application.replay_decisions import PAGE_MAX, Replay, Replayed, Stretch, replay
from services.intake.application.rulebooks import Rulebooks
from services.intake.application.shadow_protocol import Said, Shift, shadow
from services.intake.entrypoints.parts import Parts, case_or_404
from services.intake.entrypoints.rulebook_text import (
    RulebookBody,
    Text,
    rulebook_of,
    rulebook_refusals,
)
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.protocol import Protocol, read_texts
from shared.web.idempotency import Answer
from shared.web.problems import Problem, not_found
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires

router = APIRouter(tags=["protocol"])
#: who proves what was decided, and who answers for it; decisions of all cases, so nobody else
Prover = Annotated[
    Principal, Depends(requires(Role.MEDICAL_DIRECTOR, Role.COORDINATOR, Role.AUDITOR))
]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


class ShadowBody(RequestModel):
    """Another rulebook: a version that decided here, or the texts of one.

    Of texts the coordination file is needed; without the others, the packaged ones count.
    """

    version: Annotated[str | None, Field(max_length=100)] = None
    coordination: Text | None = None
    codes: Text | None = None
    sentences: Text | None = None


@router.get("/replay")
async def get_replay(
    request: Request, principal: Prover, parts: Parts, case_id: UUID | None = None,
    as_of: AwareDatetime | None = None, after: UUID | None = None, limit: Limit = PAGE_MAX,
) -> Response:  # fmt: skip
    """Makes stored decisions again and says which are equal to the byte; `next` asks for more."""
    stretch = Stretch(case_id, as_of, after, limit)
    async with parts.uow.begin(cause_of(request, principal)) as work:
        if case_id is not None:
            await case_or_404(work, case_id, principal)
        found = await replay(work.rows, parts.rulebooks, stretch)
    counts = {outcome.value: sum(r.outcome is outcome for r in found) for outcome in Replay}
    body = {
        "mode": parts.mode,
        "decisions": len(found),
        "counts": counts,
        "unequal": [_shown(one) for one in found if one.outcome is not Replay.EQUAL],
        "next": found[-1].decision.decision_id if len(found) == limit else None,
    }
    return Answer(200, body).response()


def _shown(one: Replayed) -> dict[str, Any]:
    stored = one.decision
    return {
        "decision_id": stored.decision_id,
        "case_id": stored.case_id,
        "gate": stored.gate,
        "at": stored.decided_at,
        "protocol_version": stored.protocol_version,
        "outcome": one.outcome.value,
        "stored": stored.body,
        "now": one.now,
    }


@router.post("/protocol/shadow")
async def post_shadow(
    request: Request, principal: Prover, parts: Parts, body: ShadowBody,
    case_id: UUID | None = None, as_of: AwareDatetime | None = None, after: UUID | None = None,
    limit: Limit = PAGE_MAX,
) -> Response:  # fmt: skip
    """Says which past decisions another rulebook would have changed; `next` asks for more."""
    stretch = Stretch(case_id, as_of, after, limit)
    async with parts.uow.begin(cause_of(request, principal)) as work:
        other = await _other(work.rows, parts.rulebooks, body)
        if case_id is not None:
            await case_or_404(work, case_id, principal)
        found = await shadow(work.rows, other, stretch)
    answer = {
        "mode": parts.mode,
        "protocol": {"id": other.id, "version": other.version},
        "decisions": len(found.asked),
        "changed": [_shift_json(shift) for shift in found.shifts],
        "next": found.asked[-1].decision_id if len(found.asked) == limit else None,
    }
    return Answer(200, answer).response()


async def _other(rows: IntakeRows, rulebooks: Rulebooks, body: ShadowBody) -> Protocol:
    match body:
        case ShadowBody(version=str() as version, coordination=None):
            digest = await rows.protocols.digest_of_version(version)
            kept = None if digest is None else await rulebooks.kept(rows.protocols, digest, "draft")
            if kept is None:
                raise not_found("rulebook version")
            return kept
        case ShadowBody(version=None, coordination=str() as coordination):
            sent = RulebookBody(
                coordination=coordination, codes=body.codes, sentences=body.sentences
            )
            with rulebook_refusals():
                return read_texts(rulebook_of(rulebooks.packaged, sent))
        case _:
            raise Problem(422, "rulebook-unnamed", "Name a version, or send a coordination file.")


def _shift_json(shift: Shift) -> dict[str, Any]:
    return {
        "decision_id": shift.stored.decision_id,
        "case_id": shift.stored.case_id,
        "gate": shift.stored.gate,
        "at": shift.stored.decided_at,
        "protocol_version": shift.stored.protocol_version,
        "from": _said_json(shift.before),
        "to": _said_json(shift.after),
    }


def _said_json(said: Said) -> dict[str, Any]:
    return {"decision": said.decision, "blocking": list(said.blocking)}
