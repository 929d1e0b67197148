"""Merges, unmerges and questions of identity over HTTP; two people decide each of them.

Answers name cases, never a person and never an identifier.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, Field

from services.intake.application.answer_identity_question import (
    AnsweredOtherwiseError,
    answer_identity_question,
)
from services.intake.application.decide_identity import (
    DecisionRefusedError,
    UnknownChangeError,
    decide_identity,
)
from services.intake.application.merge_identity import merge_identity
from services.intake.application.place_hold import insisting
from services.intake.application.ports import IntakeRows
from services.intake.application.unmerge_identity import NotMergedError, unmerge_identity
from services.intake.domain.identity import (
    CONFIRMERS,
    ChangeKind,
    IdentityChange,
    RecordedChange,
    Signatures,
)
from services.intake.domain.reporting import CLINICAL
from services.intake.entrypoints.parts import ALSO_200, IntakeParts, Key, Parts, case_or_404
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.messaging.unit_of_work import Work
from shared.web.idempotency import Answer, RequestKey, answer_once
from shared.web.pages import Paged, cursor_of
from shared.web.problems import Problem, not_found
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires

router = APIRouter(tags=["identity"])
_REPORTERS: Final = (Role.COORDINATOR, *sorted(CONFIRMERS))
Reporter = Annotated[Principal, Depends(requires(*_REPORTERS))]
Confirmer = Annotated[Principal, Depends(requires(*sorted(CONFIRMERS)))]
#: a second signature is a colleague's who knows the patient or the material
_SECOND: Final = frozenset(CLINICAL | CONFIRMERS)
_IDENTIFIERS_MAX: Final = 20
_QUESTIONS_MAX: Final = 200
_REFUSED_AS: Final = {"not-your-decision": 403}

Identifiers = Annotated[
    list[tuple[str, str]],
    Field(min_length=1, max_length=_IDENTIFIERS_MAX, description="(system, value)"),
]


class ChangeBody(RequestModel):
    """Two sets of identifiers that are, or are not, of one patient."""

    surviving: Identifiers
    retired: Identifiers
    source: Annotated[str, Field(min_length=1, max_length=200)]
    at: AwareDatetime
    reason: Annotated[str, Field(min_length=3, max_length=500)]


class DecisionBody(RequestModel):
    """What was compared, and the second signer's own token."""

    checked: Annotated[list[Literal["record_number", "birth_date", "name", "national_id",
        "wristband", "container_label", "blood_group"]], Field(max_length=7)]  # fmt: skip
    second_signer_token: Annotated[str, Field(max_length=8_000)]


class QuestionBody(RequestModel):
    """Whether the two cases are one person. `same` holds both until two people decide."""

    answer: Literal["same", "different"]


@router.post("/identity/merges", status_code=201, responses=ALSO_200)
async def post_merge(
    request: Request, principal: Reporter, parts: Parts, key: Key, body: ChangeBody
) -> Response:
    """Records that two records are told to be one patient: both are held."""
    told = _told(ChangeKind.MERGE, body)

    async def act(work: Work[IntakeRows]) -> Answer:
        await _seen_by(work, told, principal)
        change = await merge_identity(work, told)
        if change is None:
            return Answer(200, {"change_id": None, "state": "nothing-to-decide"})
        return Answer(201, change_json(change))

    return await _once(request, principal, parts, key, act)


@router.post("/identity/unmerges", status_code=201)
async def post_unmerge(
    request: Request, principal: Reporter, parts: Parts, key: Key, body: ChangeBody
) -> Response:
    """Records that a merge was wrong: both cases are held again."""
    told = _told(ChangeKind.UNMERGE, body)

    async def act(work: Work[IntakeRows]) -> Answer:
        await _seen_by(work, told, principal)
        try:
            return Answer(201, change_json(await unmerge_identity(work, told)))
        except NotMergedError:
            title = "No confirmed merge brought these identifiers together."
            raise Problem(409, "not-merged", title) from None

    return await _once(request, principal, parts, key, act)


@router.get("/identity/changes")
async def get_changes(request: Request, principal: Reporter, parts: Parts, page: Paged) -> Response:
    """Changes of identity, newest first."""
    before = UUID(page.after[0]) if page.after else None
    async with parts.uow.begin(cause_of(request, principal)) as work:
        found = await work.rows.identity.changes(before, page.limit + 1)
        shown = found[: page.limit]
        items = [change_json(c) for c in shown if await _may_see(work, c, principal)]
    following = cursor_of(shown[-1].change_id) if len(found) > page.limit else None
    return Answer(200, {"items": items, "next": following}).response()


@router.post("/identity/changes/{change_id}/{decision}")
async def post_decision(
    request: Request, change_id: UUID, decision: Literal["confirm", "decline"],
    principal: Confirmer, parts: Parts, key: Key, body: DecisionBody,
) -> Response:  # fmt: skip
    """Confirms the change or declines it as a mistake, with two signatures."""
    second = await parts.second_person(body.second_signer_token)
    if not second.roles & _SECOND:
        raise Problem(422, "second-signature", "Clinical staff or quality assurance signs second.")
    signed = Signatures(principal.subject, principal.roles, second.subject, tuple(body.checked))

    async def act(work: Work[IntakeRows]) -> Answer:
        change = await work.rows.identity.change(change_id)
        if change is None or not await _may_see(work, change, principal):
            raise not_found("change")
        if not await _may_see(work, change, second):
            raise Problem(422, "second-signature", "The second signer may not see these cases.")
        try:
            done = await decide_identity(
                work, parts.protocol, change_id, signed, confirmed=decision == "confirm"
            )
        except UnknownChangeError:
            raise not_found("change") from None
        except DecisionRefusedError as error:
            code = error.refusal.code
            raise Problem(_REFUSED_AS.get(code, 409), code, error.refusal.title) from None
        return Answer(200, change_json(done))

    return await _once(request, principal, parts, key, act)


@router.get("/identity/questions")
async def get_questions(request: Request, principal: Reporter, parts: Parts) -> Response:
    """Pairs of cases that may be one person, oldest question first."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        found = await work.rows.identity.questions(principal.site, _QUESTIONS_MAX)
    items = [
        {
            "question_id": q.question_id,
            "case_ids": [q.case_id, q.other_case],
            "asked_at": q.asked_at,
        }
        for q in found
    ]
    return Answer(200, {"items": items}).response()


@router.post("/identity/questions/{question_id}/answer")
async def post_answer(
    request: Request, question_id: UUID, principal: Reporter, parts: Parts, key: Key,
    body: QuestionBody,
) -> Response:  # fmt: skip
    """Answers a question; `same` holds both cases until two other people decide the merge."""

    async def act(work: Work[IntakeRows]) -> Answer:
        question = await work.rows.identity.question(question_id)
        if question is None:
            raise not_found("question")
        for case_id in (question.case_id, question.other_case):
            await case_or_404(work, case_id, principal)
        try:
            change = await answer_identity_question(work, question, body.answer)
        except AnsweredOtherwiseError:
            title = "The question was answered the other way."
            raise Problem(409, "already-decided", title) from None
        change_id = None if change is None else change.change_id
        return Answer(
            200, {"question_id": question_id, "answer": body.answer, "change_id": change_id}
        )

    return await _once(request, principal, parts, key, act)


def change_json(change: RecordedChange) -> dict[str, Any]:
    """A change as the API shows it."""
    return {
        "change_id": change.change_id,
        "kind": change.kind,
        "state": change.state,
        "case_ids": list(change.case_ids),
        "surviving_case": change.surviving_case,
        "retired_case": change.retired_case,
        "recorded_at": change.recorded_at,
    }


def _told(kind: ChangeKind, body: ChangeBody) -> IdentityChange:
    return IdentityChange(kind, body.surviving, body.retired, body.source, body.at, body.reason)


async def _seen_by(work: Work[IntakeRows], told: IdentityChange, principal: Principal) -> None:
    """Every case that is named is of the caller's site. Raises `Problem` 404."""
    for case_id in await work.rows.identity.cases_of([*told.surviving, *told.retired]):
        await case_or_404(work, case_id, principal)


async def _may_see(work: Work[IntakeRows], change: RecordedChange, principal: Principal) -> bool:
    if principal.site is None:
        return True
    cases = [await work.rows.record.case_summary(case_id) for case_id in change.case_ids]
    return all(c is not None and c.site in (None, principal.site) for c in cases)


async def _once(
    request: Request,
    principal: Principal,
    parts: IntakeParts,
    key: RequestKey,
    act: Callable[[Work[IntakeRows]], Awaitable[Answer]],
) -> Response:
    """The answer, once per key, in a transaction that is begun anew while others have the cases."""

    async def once(work: Work[IntakeRows]) -> Answer:
        return await answer_once(work, key, lambda: act(work))

    answer = await insisting(parts.authority, cause_of(request, principal), once)
    return answer.response()
