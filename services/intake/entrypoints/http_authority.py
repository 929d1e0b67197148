"""The authority over HTTP: holds, their release, a case's clearance, start permits.

Every refusal says why; a hold's answer says whether it is effective, and if not, where and until
when something may still start.
"""

from typing import Annotated, Any, Final, Protocol
from uuid import UUID, uuid5

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, Field

from services.intake.application.authority_ports import Authority, MayBeRunning, R
from services.intake.application.place_hold import (
    HoldAnswer,
    HoldIdTakenError,
    UnknownCaseError,
    insisting,
    record_hold,
    tell_holders,
)
from services.intake.application.read_clearance import Clearance, GateSeen, read_clearance
from services.intake.application.release_hold import (
    ReleaseRefusedError,
    UnknownHoldError,
    present_hold,
    release_in,
)
from services.intake.domain.holds import (
    ALL_GATES,
    POLICY,
    REPORTABLE_KINDS,
    Hold,
    HoldOrder,
    HoldScope,
)
from services.intake.entrypoints.http_permits import add_permits
from services.intake.entrypoints.parts import ALSO_200
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Gate, HoldKind, Role
from shared.messaging.unit_of_work import Cause, Work
from shared.permits.clearance import HOLDERS
from shared.web.idempotency import Answer, RequestKey, answer_once, request_key
from shared.web.problems import FieldError, Problem, not_found
from shared.web.requests import RequestModel, cause_of
from shared.web.security import Rate, requires, signed_in

NOBODY_WAS_PAGED: Final = "nobody was paged: telephone"
_WORDS_MAX: Final = 2_000
_DOSES_MAX: Final = 200
#: whoever looks after a patient may close a step; those who only watch systems may not
_REPORTERS: Final = tuple(r for r in Role if r not in {Role.OPS, Role.AUDITOR})
_RELEASERS: Final = tuple(sorted({role for policy in POLICY.values() for role in policy.releasers}))
_REFUSED_AS: Final = {"released-by-its-cause": 409, "not-your-hold": 403, "second-person": 409}


class MaySee(Protocol):
    """Whether a caller may know of a case (site limits)."""

    async def __call__(self, principal: Principal, case_id: UUID) -> bool:
        """True for a case that exists and that the caller may see."""
        ...


class HoldBody(RequestModel):
    """A hold to record. `hold_id` makes a repetition harmless; so does an Idempotency-Key."""

    hold_id: UUID | None = None
    kind: HoldKind
    gates: Annotated[frozenset[Gate], Field(min_length=1)] = ALL_GATES
    dose_ids: Annotated[frozenset[UUID], Field(min_length=1, max_length=_DOSES_MAX)] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=_WORDS_MAX)] | None = None
    reported_by: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="for services alone: the person on whose word they act"
    )
    review_at: AwareDatetime | None = None
    expected_until: AwareDatetime | None = None


class ReleaseBody(RequestModel):
    """Why the hold is over, in the releasing person's words."""

    reason: Annotated[str, Field(min_length=1, max_length=_WORDS_MAX)]


def hold_json(hold: Hold) -> dict[str, Any]:
    """A hold as the API shows it."""
    doses = hold.scope.dose_ids
    return {
        "hold_id": hold.hold_id,
        "case_id": hold.case_id,
        "kind": hold.kind,
        "rule": hold.rule,
        "episode": hold.episode,
        "gates": sorted(hold.scope.gates),
        "dose_ids": None if doses is None else sorted(doses),
        "state": hold.state,
        "effective_by": hold.effective_by,
        "on_running": hold.on_running,
        "epoch": hold.clearance.epoch,
        "version": hold.clearance.version,
        "recorded_at": hold.recorded_at,
        "review_at": hold.review_at,
        "reporter": hold.reporter,
        "released_by": hold.releaser,
    }


def running_json(one: MayBeRunning) -> dict[str, Any]:
    """A step that may be under way, with the bay to telephone."""
    return {
        "gate": one.gate,
        "holder": one.holder,
        "subject_id": one.subject_id,
        "dose_id": one.dose_id,
        "permit_id": one.permit_id,
        "start_id": one.start_id,
        "bay": one.place,
        "state": one.state,
        "since": one.since,
        "until": one.until,
    }


def hold_answer(answer: HoldAnswer) -> Answer:
    """201 for a new hold, 200 for one that was on record, in its present state."""
    body = {
        **hold_json(answer.hold),
        "may_start_until": answer.may_start_until,
        "may_be_running": [running_json(one) for one in answer.may_be_running],
        "warning": NOBODY_WAS_PAGED if answer.nobody_was_paged else None,
    }
    return Answer(201 if answer.is_new else 200, body, {"ETag": answer.hold.clearance.etag})


def authority_router(authority: Authority[R], may_see: MaySee) -> APIRouter:
    """The authority's endpoints."""
    router = APIRouter(tags=["authority"])
    _add_holds(router, authority, may_see)
    _add_clearance(router, authority, may_see)
    add_permits(router, authority)
    return router


def _add_holds(router: APIRouter, authority: Authority[R], may_see: MaySee) -> None:
    reporter = requires(*_REPORTERS, services=HOLDERS, rate=Rate.HOLD)
    releaser = requires(*_RELEASERS)

    @router.post("/cases/{case_id}/holds", status_code=201, responses=ALSO_200)
    async def post_hold(
        case_id: UUID,
        body: HoldBody,
        request: Request,
        principal: Annotated[Principal, Depends(reporter)],
        key: Annotated[RequestKey, Depends(request_key)],
    ) -> Response:
        """Records a hold at once, and says whether it is effective."""
        if not await may_see(principal, case_id):
            raise not_found("case")
        order = _order(case_id, body, principal, key, authority)
        answer = await _placed(authority, order, key, cause_of(request, principal))
        return answer.response()

    @router.post("/holds/{hold_id}/release")
    async def post_release(
        hold_id: UUID,
        body: ReleaseBody,
        request: Request,
        principal: Annotated[Principal, Depends(releaser)],
        key: Annotated[RequestKey, Depends(request_key)],
    ) -> Response:
        """Releases a person's hold; the answer is the hold as it is now."""

        async def allowed(case_id: UUID) -> bool:
            return await may_see(principal, case_id)

        async def release(work: Work[R]) -> Answer:
            hold = await release_in(
                work, hold_id, roles=principal.roles, reason=body.reason, allowed=allowed
            )
            return Answer(200, hold_json(hold))

        async def present(work: Work[R]) -> Answer:
            return Answer(200, hold_json(await present_hold(work, hold_id)))

        try:
            async with authority.unit_of_work.begin(
                cause_of(request, principal), urgent=True
            ) as work:
                answer = await answer_once(
                    work, key, lambda: release(work), present=lambda _: present(work)
                )
        except UnknownHoldError:
            raise not_found("hold") from None
        except ReleaseRefusedError as error:
            code, title = error.refusal.code, error.refusal.title
            raise Problem(_REFUSED_AS[code], code, title) from None
        return answer.response()


async def _placed(
    authority: Authority[R], order: HoldOrder, key: RequestKey, cause: Cause
) -> Answer:
    """The hold's answer, once per key; a repetition tells the hold as it is now."""
    placed: list[HoldAnswer] = []

    async def record(work: Work[R]) -> Answer:
        placed[:] = [await record_hold(work, order)]
        return hold_answer(placed[0])

    async def once(work: Work[R]) -> Answer:
        return await answer_once(work, key, lambda: record(work), present=lambda _: record(work))

    try:
        answer = await insisting(authority, cause, once)
    except UnknownCaseError:
        raise not_found("case") from None
    except HoldIdTakenError:
        raise Problem(
            422, "hold-id-taken", "This id names another hold; take a fresh one."
        ) from None
    if placed[0].is_new:
        await tell_holders(authority, placed[0])
    return answer


def _add_clearance(router: APIRouter, authority: Authority[R], may_see: MaySee) -> None:
    @router.get("/cases/{case_id}/clearance")
    async def get_clearance(
        case_id: UUID,
        request: Request,
        principal: Annotated[Principal, Depends(signed_in(services=HOLDERS))],
    ) -> Response:
        """What may start now at each gate, the open holds, and what may be under way."""
        if not await may_see(principal, case_id):
            raise not_found("case")
        seen = await read_clearance(authority, case_id, cause_of(request, principal))
        if seen is None:
            raise not_found("case")
        return Answer(200, clearance_json(seen), {"ETag": seen.view.etag}).response()


def clearance_json(seen: Clearance) -> dict[str, Any]:
    """A case's clearance as the API shows it."""
    return {
        "case_id": seen.case_id,
        "epoch": seen.view.epoch,
        "version": seen.view.version,
        "at": seen.at,
        "gates": {gate.value: _gate_json(one) for gate, one in seen.gates.items()},
        "holds": [hold_json(hold) for hold in seen.holds],
        "may_be_running": [running_json(one) for one in seen.may_be_running],
        "behind": list(seen.behind),
    }


def _gate_json(seen: GateSeen) -> dict[str, Any]:
    return {
        "may_start": seen.may_start,
        "verdict": seen.decision.verdict,
        "rules": list(seen.decision.rules),
        "valid_until": seen.decision.valid_until,
        "protocol_version": seen.decision.protocol_version,
        "hold_ids": list(seen.hold_ids),
    }


def _order(
    case_id: UUID, body: HoldBody, principal: Principal, key: RequestKey, authority: Authority[R]
) -> HoldOrder:
    if body.kind not in REPORTABLE_KINDS:
        wrong = FieldError("#/kind", "not-reportable", "Tandem itself places holds of this kind.")
        raise Problem(422, "malformed-request", "This kind is not reported.", errors=(wrong,))
    if body.reported_by is not None and principal.service is None:
        wrong = FieldError("#/reported_by", "services-only", "You report for yourself.")
        raise Problem(422, "malformed-request", "Leave out reported_by.", errors=(wrong,))
    return HoldOrder(
        hold_id=body.hold_id or _hold_id(key, authority),
        case_id=case_id,
        kind=body.kind,
        scope=HoldScope(body.gates, body.dose_ids),
        on_running=POLICY[body.kind].on_running,
        reporter=body.reported_by or principal.subject,
        reason=body.reason,
        review_at=body.review_at,
        expected_until=body.expected_until,
    )


#: names the holds that follow from an Idempotency-Key
_KEYED_HOLDS: Final = UUID("5b3b1f0a-7d5e-5c7e-9a61-2f7c4f3f8f11")


def _hold_id(key: RequestKey, authority: Authority[R]) -> UUID:
    if key.key is None:
        return authority.world.ids.new()
    return uuid5(_KEYED_HOLDS, f"{key.principal}\n{key.route}\n{key.key}")
