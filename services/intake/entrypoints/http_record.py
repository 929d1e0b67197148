"""Referrals, cases and facts over HTTP.

Endpoints parse, check who asks, call one use case and word the answer; nothing is decided here.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response
from pydantic import Field

from services.intake.application.hold_conflict import hold_conflict
from services.intake.application.import_bundle import import_bundle, refer
from services.intake.application.incoming import IncomingBundle
from services.intake.application.open_case import (
    IdentityConflictError,
    Referral,
    ReferredTwiceError,
)
from services.intake.application.place_hold import insisting
from services.intake.application.record_facts import record_facts
from services.intake.application.record_ports import CaseSummary, Origin, PatientIdentity
from services.intake.domain.reporting import (
    CLINICAL,
    OWN_ENDPOINT,
    PHYSICIANS,
    may_report,
    roles_for,
)
from services.intake.entrypoints import answers
from services.intake.entrypoints.http_sources import NAME_PATTERN, check_source, hear_source
from services.intake.entrypoints.parts import (
    IntakeParts,
    Key,
    Parts,
    Person,
    Reader,
    also_200,
    case_for_report,
    case_or_404,
)
from services.intake.entrypoints.statements import facts_of
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role, Service
from shared.messaging.unit_of_work import Cause
from shared.web.idempotency import Answer, RequestKey, answer_once, answer_once_in_steps
from shared.web.pages import Paged, cursor_of
from shared.web.problems import FieldError, Problem
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires

#: security INP1: a bundle is at most 32 MB
BUNDLE_BYTES_MAX: Final = 32_000_000
FACTS_PER_REQUEST_MAX: Final = 200

router = APIRouter()
Reporter = Annotated[
    Principal,
    Depends(
        requires(*sorted(CLINICAL), services=(Service.INFUSION_SCHEDULING, Service.MANUFACTURING))
    ),
]
Referrer = Annotated[Principal, Depends(requires(Role.COORDINATOR, *sorted(PHYSICIANS)))]


class StatementsBody(RequestModel):
    """Facts in the form of the `--facts` files."""

    facts: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=FACTS_PER_REQUEST_MAX)]


class CaseBody(RequestModel):
    """A referral without a bundle."""

    identifiers: Annotated[
        list[tuple[str, str]], Field(min_length=1, max_length=20, description="(system, value)")
    ]
    family_name: str | None = None
    given_names: str | None = None
    birth_date: date | None = None


class CorrectionBody(RequestModel):
    """What is wrong with a fact: withdrawn, or its value corrected."""

    status: Literal["entered-in-error", "corrected"]
    value: float | str | None = None
    unit: str | None = None


@router.post(
    "/fhir/Bundle", max_body_size=BUNDLE_BYTES_MAX, response_model=answers.BundleImported,
    responses={201: {"description": "The case is new", "model": answers.BundleImported}},
)  # fmt: skip
async def post_bundle(
    request: Request, principal: Referrer, parts: Parts, key: Key,
    tandem_source: Annotated[str | None, Header(pattern=NAME_PATTERN)] = None,
) -> Response:  # fmt: skip
    """Imports a FHIR R4/mCODE bundle: a report per resource, the case, and what was new.

    With `Tandem-Source` it comes from that configured source, which counts as heard.
    """
    body, cause = await request.body(), cause_of(request, principal)
    if tandem_source is not None:
        await check_source(parts, cause, tandem_source)

    async def act() -> Answer:
        return await _bundle_imported(parts, cause, body)

    answer = await answer_once_in_steps(parts.uow, key, cause, act)
    if tandem_source is not None:
        await hear_source(parts, cause, tandem_source)
    return answer.response()


async def _bundle_imported(parts: IntakeParts, cause: Cause, body: bytes) -> Answer:
    incoming = parts.read_bundle(body, parts.world.clock.now())
    if incoming.referral is None:
        raise _refused_bundle(incoming)
    facts, problems = facts_of(parts, incoming.statements)
    if problems:
        raise Problem(422, "statements-unreadable", "Some statements are refused.", errors=problems)
    async with _conflicts_held(parts, cause, incoming.referral):
        done = await import_bundle(parts.uow, parts.protocol, cause, incoming.referral, facts)
    answer = {
        "case_id": done.case_id,
        "opened": done.opened,
        "facts": {"recorded": done.recorded, "unchanged": done.unchanged},
        "resources": incoming.counts,
        "report": incoming.report,
    }
    return Answer(201 if done.opened else 200, answer)


def _refused_bundle(incoming: IncomingBundle) -> Problem:
    errors = [
        FieldError(pointer=p.pointer, code=p.code, detail=p.message) for p in incoming.problems
    ]
    detail = [
        {"code": p.code, "entries": list(p.entries), "subjects": list(p.subjects)}
        for p in incoming.problems
    ]
    return Problem(
        422, "bundle-refused", "The bundle is refused as a whole; nothing was recorded.",
        errors=errors, extra={"problems": detail},
    )  # fmt: skip


@asynccontextmanager
async def _conflicts_held(
    parts: IntakeParts, cause: Cause, referral: Referral
) -> AsyncIterator[None]:
    """A conflict of identity is answered when every case that it names is held."""
    try:
        yield
    except IdentityConflictError as error:
        cases = error.case_ids
        change = await insisting(
            parts.authority, cause, lambda work: hold_conflict(work, cases, referral)
        )
        raise Problem(
            409,
            "identity-conflict",
            "The identifiers are not of one patient; the cases are held until people have decided."
            " Send the referral again then.",
            extra={
                "case_ids": sorted(str(c) for c in cases),
                "change_id": str(change.change_id),
            },
        ) from error


@router.post(
    "/cases", status_code=201, response_model=answers.CaseOpened,
    responses=also_200(answers.CaseOpened),
)  # fmt: skip
async def post_case(
    request: Request, principal: Referrer, parts: Parts, key: Key, body: CaseBody
) -> Response:
    """Opens a case without a bundle, or answers with the case that the patient has."""
    referral = Referral(
        body.identifiers, PatientIdentity(body.family_name, body.given_names, body.birth_date)
    )
    cause = cause_of(request, principal)
    async with _conflicts_held(parts, cause, referral):
        try:
            answer = await _referred(parts, cause, key, referral)
        except ReferredTwiceError:  # somebody was faster: now the case is found
            answer = await _referred(parts, cause, key, referral)
    return answer.response()


async def _referred(
    parts: IntakeParts, cause: Cause, key: RequestKey, referral: Referral
) -> Answer:
    async with parts.uow.begin(cause) as work:

        async def act() -> Answer:
            case_id, opened = await refer(work, parts.protocol, referral)
            return Answer(201 if opened else 200, {"case_id": case_id, "opened": opened})

        return await answer_once(work, key, act)


@router.get("/cases", response_model=answers.CasesPage)
async def get_cases(request: Request, principal: Person, parts: Parts, page: Paged) -> Response:
    """Cases, newest first, without anything that names the patient."""
    before = UUID(page.after[0]) if page.after else None
    async with parts.uow.begin(cause_of(request, principal)) as work:
        found = await work.rows.record.cases_page(before, principal.site, page.limit + 1)
    shown = found[: page.limit]
    following = cursor_of(shown[-1].case_id) if len(found) > page.limit else None
    return Answer(200, {"items": [_case(c) for c in shown], "next": following}).response()


def _case(case: CaseSummary) -> dict[str, object]:
    return {
        "case_id": case.case_id,
        "alias": case.alias,
        "status": case.status,
        "opened_at": case.opened_at,
    }


@router.get("/cases/{case_id}", response_model=answers.CaseAnswer)
async def get_case(request: Request, case_id: UUID, principal: Reader, parts: Parts) -> Response:
    """The case: its standing at each gate and its facts' ids, kinds and origins."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        case = await case_or_404(work, case_id, principal)
        timelines = await work.rows.record.timelines_of_case(case_id)
        facts = await work.rows.record.facts_of_case(case_id)
        holds = await work.rows.authority.open_holds(case_id)
        view = await work.rows.authority.view(case_id)
        work.note("case-read", case_id)
    answer = {
        **_case(case),
        "mode": parts.mode,
        "protocol": parts.protocol.ref.to_json(),
        "clearance": {"epoch": view.epoch, "version": view.version},
        "gates": {
            t.gate: {
                "start": t.verdict,
                "until": t.next_boundary,
                "timeline_version": t.timeline_version,
            }
            for t in timelines
        },
        "open_holds": [
            {
                "hold_id": hold.hold_id,
                "kind": hold.kind.value,
                "rule": hold.rule,
                "state": hold.state.value,
                "gates": sorted(gate.value for gate in hold.scope.gates),
                "since": hold.recorded_at,
            }
            for hold in holds
        ],
        "facts": [
            {
                "fact_id": fact.fact_id,
                "source_id": fact.source_id,
                "kind": fact.kind,
                "origin": fact.origin,
                "recorded_at": fact.recorded_at,
            }
            for fact in facts
        ],
    }
    return Answer(200, answer).response()


@router.get("/cases/{case_id}/facts/{fact_id}", response_model=answers.FactAnswer)
async def get_fact(
    request: Request, case_id: UUID, fact_id: UUID, principal: Reader, parts: Parts
) -> Response:
    """One fact with its value and where it comes from."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        fact = await work.rows.record.fact_by_id(case_id, fact_id)
        work.note("fact-read", case_id, fact_id=str(fact_id))
    if fact is None:
        raise Problem(404, "no-such-fact", "There is no such fact.")
    answer = {
        "fact_id": fact.fact_id,
        "statement": fact.statement,
        "origin": fact.origin,
        "reporter": fact.reporter,
        "recorded_at": fact.recorded_at,
    }
    return Answer(200, answer).response()


@router.post("/cases/{case_id}/facts", status_code=201, response_model=answers.FactsRecorded)
async def post_facts(
    request: Request, case_id: UUID, principal: Reporter, parts: Parts, key: Key,
    body: StatementsBody,
) -> Response:  # fmt: skip
    """Records facts as entered by this person (or measured by this service)."""
    _check_reporter(principal, body.facts, parts)
    origin: Origin = "entered" if principal.service is None else "event"
    facts, problems = facts_of(parts, [_entered(parts, s, principal) for s in body.facts])
    if problems:
        raise Problem(422, "statements-unreadable", "Some statements are refused.", errors=problems)
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            await case_for_report(work, case_id, principal)
            done = await record_facts(work, parts.protocol, case_id, facts, origin=origin)
            view = await work.rows.authority.view(case_id)
            return Answer(
                201,
                {
                    "recorded": done.recorded,
                    "unchanged": done.unchanged,
                    "clearance": {"epoch": view.epoch, "version": view.version},
                },
            )

        answer = await answer_once(work, key, act)
    return answer.response()


def _entered(
    parts: IntakeParts, statement: Mapping[str, Any], principal: Principal
) -> dict[str, Any]:
    """An entered statement is the record's own: its id is ours and it is known from now on."""
    now = parts.world.clock.now().isoformat()
    own = {key: value for key, value in statement.items() if key not in {"recorded", "source"}}
    own.setdefault("effective", now)
    source = "entered" if principal.service is None else principal.service.value
    return {"id": f"entered/{parts.world.ids.new()}", **own, "source": source}


def _check_reporter(
    principal: Principal, statements: Sequence[Mapping[str, Any]], parts: IntakeParts
) -> None:
    measured = frozenset(rule.metric for rule in parts.protocol.labs)
    for index, statement in enumerate(statements):
        if principal.service is not None:
            if not may_report(principal.service, statement, measured):
                raise Problem(
                    403, "not-allowed", "A service records what it measured or checked itself."
                )
            continue
        allowed = roles_for(statement)
        if not principal.roles & allowed:
            raise Problem(
                403 if allowed else 422,
                "not-your-kind-of-fact" if allowed else "not-entered-as-fact",
                f"Statement {index} is not entered by your role.",
                extra={
                    "allowed_roles": sorted(allowed),
                    "endpoint": OWN_ENDPOINT.get(str(statement.get("item"))),
                },
            )


@router.post(
    "/cases/{case_id}/facts/{fact_id}/corrections",
    status_code=201,
    response_model=answers.CorrectionRecorded,
)
async def post_correction(
    request: Request, case_id: UUID, fact_id: UUID, principal: Reporter, parts: Parts, key: Key,
    body: CorrectionBody,
) -> Response:  # fmt: skip
    """Corrects or withdraws a fact; its history stays."""
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            await case_for_report(work, case_id, principal)
            fact = await work.rows.record.fact_by_id(case_id, fact_id)
            if fact is None:
                raise Problem(404, "no-such-fact", "There is no such fact.")
            if fact.statement.get("withdrawn"):
                raise Problem(422, "not-entered-as-fact", "A withdrawn consent is signed anew.")
            statement = {
                "kind": "correction",
                "of": fact.source_id,
                **body.model_dump(exclude_none=True),
            }
            facts, problems = facts_of(parts, [_entered(parts, statement, principal)])
            if problems:
                raise Problem(422, "statements-unreadable", "Refused.", errors=problems)
            done = await record_facts(work, parts.protocol, case_id, facts, origin="entered")
            return Answer(201, {"recorded": done.recorded})

        answer = await answer_once(work, key, act)
    return answer.response()
