"""The coordination record over HTTP: referrals, facts, questions and signed acts.

Endpoints parse, check who asks, call one use case and word the answer; nothing is decided here.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, Field

from services.intake.application import answer_questions as questions
from services.intake.application import sign_decisions as signing
from services.intake.application.import_bundle import Imported, import_bundle
from services.intake.application.incoming import IncomingBundle
from services.intake.application.open_case import IdentityConflictError, Referral
from services.intake.application.ports import IntakeRows
from services.intake.application.record_facts import record_facts
from services.intake.application.record_ports import CaseSummary, PatientIdentity
from services.intake.domain.reporting import CLINICAL, PHYSICIANS, roles_for
from services.intake.entrypoints.parts import IntakeParts, case_or_404, parts_of
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Gate, Role, Service
from shared.messaging.unit_of_work import Work
from shared.protocol import Fact, parse_statement
from shared.web.idempotency import Answer, RequestKey, answer_once, request_key
from shared.web.pages import Paged, cursor_of
from shared.web.problems import FieldError, Problem
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires, signed_in

#: security INP1: a bundle is at most 32 MB
BUNDLE_BYTES_MAX: Final = 32_000_000
FACTS_PER_REQUEST_MAX: Final = 200
TIMELINE_DAYS: Final = 120

router = APIRouter()
Person = Annotated[Principal, Depends(signed_in(services=tuple(Service)))]
Reporter = Annotated[
    Principal,
    Depends(
        requires(*sorted(CLINICAL), services=(Service.INFUSION_SCHEDULING, Service.MANUFACTURING))
    ),
]
Referrer = Annotated[Principal, Depends(requires(Role.COORDINATOR, *sorted(PHYSICIANS)))]
Physician = Annotated[Principal, Depends(requires(*sorted(PHYSICIANS)))]
Signer = Annotated[Principal, Depends(requires(*sorted(CLINICAL)))]
Parts = Annotated[IntakeParts, Depends(parts_of)]
Key = Annotated[RequestKey, Depends(request_key)]


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


class WhatIfBody(RequestModel):
    """Hypothetical facts."""

    facts: Annotated[list[dict[str, Any]], Field(max_length=FACTS_PER_REQUEST_MAX)]
    assume_other_evidence_current: Literal[False] = False


class ReviewBody(RequestModel):
    """A clinician's answer to a review finding."""

    gate: Gate
    rule: str
    decision: Literal["proceed", "wait"]
    reason: Annotated[str, Field(min_length=3, max_length=500)]
    facts: list[str] | None = None
    valid_until: AwareDatetime


class OverrideBody(RequestModel):
    """A soft rule set aside; the second signer proves presence by a token of their own."""

    gate: Gate
    rule: str
    reason: Annotated[str, Field(min_length=3, max_length=500)]
    valid_until: AwareDatetime
    second_signer_token: Annotated[str, Field(max_length=8_000)]


class EligibilityBody(RequestModel):
    """A physician's eligibility decision."""

    outcome: signing.Outcome
    reevaluate_on: date | None = None
    reason: Annotated[str | None, Field(max_length=500)] = None


@router.post("/fhir/Bundle", max_body_size=BUNDLE_BYTES_MAX)
async def post_bundle(request: Request, principal: Referrer, parts: Parts) -> Response:
    """Imports a FHIR R4/mCODE bundle: a report per resource, the case, and what was new."""
    body = await request.body()
    incoming = parts.read_bundle(body, parts.world.clock.now())
    if incoming.referral is None:
        raise _refused_bundle(incoming)
    facts, problems = _facts_of(parts, incoming.statements)
    if problems:
        raise Problem(422, "statements-unreadable", "Some statements are refused.", errors=problems)
    done = await _imported(request, principal, parts, incoming.referral, facts)
    answer = {
        "case_id": done.case_id,
        "opened": done.opened,
        "facts": {"recorded": done.recorded, "unchanged": done.unchanged},
        "resources": incoming.counts,
        "report": incoming.report,
    }
    return Answer(201 if done.opened else 200, answer).response()


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


async def _imported(
    request: Request,
    principal: Principal,
    parts: IntakeParts,
    referral: Referral,
    facts: Sequence[Fact],
) -> Imported:
    cause = cause_of(request, principal)
    try:
        return await import_bundle(parts.uow, parts.protocol, cause, referral, facts)
    except IdentityConflictError as error:
        raise Problem(
            409,
            "identity-conflict",
            "The identifiers belong to several cases; a person must look at it.",
            extra={"case_ids": sorted(str(c) for c in error.case_ids)},
        ) from error


@router.post("/cases", status_code=201)
async def post_case(
    request: Request, principal: Referrer, parts: Parts, key: Key, body: CaseBody
) -> Response:
    """Opens a case without a bundle, or answers with the case that the patient has."""
    referral = Referral(
        body.identifiers, PatientIdentity(body.family_name, body.given_names, body.birth_date)
    )
    done = await _imported(request, principal, parts, referral, ())
    status = 201 if done.opened else 200
    return Answer(status, {"case_id": done.case_id, "opened": done.opened}).response()


@router.get("/cases")
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


@router.get("/cases/{case_id}")
async def get_case(request: Request, case_id: UUID, principal: Person, parts: Parts) -> Response:
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
        "gates": {t.gate: {"start": t.verdict, "until": t.next_boundary} for t in timelines},
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


@router.get("/cases/{case_id}/facts/{fact_id}")
async def get_fact(
    request: Request, case_id: UUID, fact_id: UUID, principal: Person, parts: Parts
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


@router.post("/cases/{case_id}/facts", status_code=201)
async def post_facts(
    request: Request, case_id: UUID, principal: Reporter, parts: Parts, key: Key,
    body: StatementsBody,
) -> Response:  # fmt: skip
    """Records facts as entered by this person (or measured by this service)."""
    _check_reporter(principal, body.facts)
    facts, problems = _facts_of(parts, [_entered(parts, s) for s in body.facts])
    if problems:
        raise Problem(422, "statements-unreadable", "Some statements are refused.", errors=problems)
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            await case_or_404(work, case_id, principal)
            done = await record_facts(work, parts.protocol, case_id, facts, origin="entered")
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


def _entered(parts: IntakeParts, statement: Mapping[str, Any]) -> dict[str, Any]:
    """An entered statement is the record's own: its id is ours and it is known from now on."""
    now = parts.world.clock.now().isoformat()
    own = {key: value for key, value in statement.items() if key not in {"recorded", "source"}}
    own.setdefault("effective", now)
    return {"id": f"entered/{parts.world.ids.new()}", **own, "source": "entered"}


def _check_reporter(principal: Principal, statements: Sequence[Mapping[str, Any]]) -> None:
    for index, statement in enumerate(statements):
        if principal.service is not None:
            if statement.get("kind") != "vital":
                raise Problem(403, "not-allowed", "A service records vital signs only.")
            continue
        allowed = roles_for(statement)
        if not principal.roles & allowed:
            raise Problem(
                403 if allowed else 422,
                "not-your-kind-of-fact" if allowed else "not-entered-as-fact",
                f"Statement {index} is not entered by your role.",
                extra={"allowed_roles": sorted(allowed)},
            )


def _facts_of(
    parts: IntakeParts, statements: Sequence[Mapping[str, Any]]
) -> tuple[list[Fact], list[FieldError]]:
    facts: list[Fact] = []
    errors: list[FieldError] = []
    for index, statement in enumerate(statements):
        read = parse_statement(statement, zone=parts.protocol.zone, where=f"/facts/{index}")
        if isinstance(read, tuple):
            errors += [FieldError(pointer=p.where, code="refused", detail=p.message) for p in read]
        else:
            facts.append(read)
    return facts, errors


@router.post("/cases/{case_id}/facts/{fact_id}/corrections", status_code=201)
async def post_correction(
    request: Request, case_id: UUID, fact_id: UUID, principal: Reporter, parts: Parts, key: Key,
    body: CorrectionBody,
) -> Response:  # fmt: skip
    """Corrects or withdraws a fact; its history stays."""
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            await case_or_404(work, case_id, principal)
            fact = await work.rows.record.fact_by_id(case_id, fact_id)
            if fact is None:
                raise Problem(404, "no-such-fact", "There is no such fact.")
            statement = {
                "kind": "correction",
                "of": fact.source_id,
                **body.model_dump(exclude_none=True),
            }
            facts, problems = _facts_of(parts, [_entered(parts, statement)])
            if problems:
                raise Problem(422, "statements-unreadable", "Refused.", errors=problems)
            done = await record_facts(work, parts.protocol, case_id, facts, origin="entered")
            return Answer(201, {"recorded": done.recorded})

        answer = await answer_once(work, key, act)
    return answer.response()


@router.get("/cases/{case_id}/decisions/{gate}")
async def get_decision(
    request: Request, case_id: UUID, gate: Gate, principal: Person, parts: Parts,
    at: AwareDatetime | None = None, as_of: AwareDatetime | None = None,
) -> Response:  # fmt: skip
    """The decision of a gate, with every finding."""
    question = questions.Question(case_id, at or parts.world.clock.now(), as_of)
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        decision = await questions.decision_for(work.rows, parts.protocol, question, gate)
        work.note("decision-read", case_id, gate=gate.value)
    return Answer(200, {"mode": parts.mode, **decision.to_json()}).response()


@router.get("/cases/{case_id}/timeline/{gate}")
async def get_timeline(
    request: Request, case_id: UUID, gate: Gate, principal: Person, parts: Parts,
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
    request: Request, case_id: UUID, principal: Person, parts: Parts, body: WhatIfBody
) -> Response:
    """What hypothetical facts would change; nothing is stored."""
    facts, problems = _facts_of(parts, body.facts)
    if problems:
        raise Problem(422, "statements-unreadable", "Some statements are refused.", errors=problems)
    now = parts.world.clock.now()
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        found = await questions.what_if(
            work.rows, parts.protocol, questions.Question(case_id, now), facts, _bounded(now, None)
        )
    answer = {
        "mode": parts.mode,
        "before": {gate.value: d.code for gate, d in found.before.items()},
        "after": {gate.value: d.to_json() for gate, d in found.after.items()},
        "timelines": {
            gate.value: [i.to_json() for i in intervals]
            for gate, intervals in found.timelines.items()
        },
    }
    return Answer(200, answer).response()


@router.get("/cases/{case_id}/due")
async def get_due(
    request: Request, case_id: UUID, principal: Person, parts: Parts,
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
    request: Request, case_id: UUID, principal: Person, parts: Parts
) -> Response:
    """The evaluation checklist: present, missing, too old, contradictory; with the advice."""
    question = questions.Question(case_id, parts.world.clock.now())
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        found = await questions.checklist_for(work.rows, parts.protocol, question)
    return Answer(200, {"mode": parts.mode, **found}).response()


@router.post("/cases/{case_id}/reviews", status_code=201)
async def post_review(
    request: Request, case_id: UUID, principal: Signer, parts: Parts, key: Key, body: ReviewBody
) -> Response:
    """A clinician's review decision: proceed or wait."""
    order = signing.ReviewOrder(
        case_id, body.gate, body.rule, body.decision, body.reason, body.valid_until,
        None if body.facts is None else tuple(body.facts),
    )  # fmt: skip

    async def sign(work: Work[IntakeRows]) -> UUID:
        return await signing.sign_review(work, parts.protocol, order, principal)

    return await _signed(request, case_id, principal, parts, key, sign)


@router.post("/cases/{case_id}/overrides", status_code=201)
async def post_override(
    request: Request, case_id: UUID, principal: Signer, parts: Parts, key: Key, body: OverrideBody
) -> Response:
    """Sets a soft rule aside, with two signatures, for at most a day."""
    second = await parts.second_person(body.second_signer_token)
    order = signing.OverrideOrder(case_id, body.gate, body.rule, body.reason, body.valid_until)

    async def sign(work: Work[IntakeRows]) -> UUID:
        return await signing.sign_override(work, parts.protocol, order, principal, second)

    return await _signed(request, case_id, principal, parts, key, sign)


@router.post("/cases/{case_id}/eligibility", status_code=201)
async def post_eligibility(
    request: Request, case_id: UUID, principal: Physician, parts: Parts, key: Key,
    body: EligibilityBody,
) -> Response:  # fmt: skip
    """A physician's signed eligibility decision."""

    async def sign(work: Work[IntakeRows]) -> UUID:
        return await signing.sign_eligibility(
            work,
            parts.protocol,
            case_id,
            outcome=body.outcome,
            reevaluate_on=body.reevaluate_on,
            reason=body.reason,
            signer=principal,
        )

    return await _signed(request, case_id, principal, parts, key, sign)


async def _signed(
    request: Request,
    case_id: UUID,
    principal: Principal,
    parts: IntakeParts,
    key: RequestKey,
    sign: Callable[[Work[IntakeRows]], Awaitable[UUID]],
) -> Response:
    """The answer to a signed act, once per key; a refused one is a problem that says who may."""
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            await case_or_404(work, case_id, principal)
            try:
                return Answer(201, {"id": await sign(work)})
            except signing.NotSignableError as error:
                status = 403 if error.code == "not-your-rule" else 409
                raise Problem(status, error.code, error.title, extra={"by": error.by}) from error

        answer = await answer_once(work, key, act)
    return answer.response()
