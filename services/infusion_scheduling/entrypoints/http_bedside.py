"""The bedside over HTTP: checks by two people, one press, vital signs, stop, completion.

Stop orders and reports of what is running are never refused for a hold, and never rate-limited.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, assert_never
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, Field

from services.infusion_scheduling.application.ports import InfusionRow, ScheduleRows, VitalsRow
from services.infusion_scheduling.application.record_vitals import (
    UnknownInfusionError,
    Vitals,
    grade_reaction,
    locked_infusion,
    record_vitals,
)
from services.infusion_scheduling.application.start_infusion import (
    BedsideCheck,
    NotReady,
    record_check,
    start_infusion,
)
from services.infusion_scheduling.entrypoints.http_planning import infusion_json
from services.infusion_scheduling.entrypoints.parts import SchedulingParts, parts_of
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Gate, Role
from shared.messaging.unit_of_work import Cause, Work
from shared.permits import after_start
from shared.permits.clearance import ClearanceVersion
from shared.permits.press_start import DoNotStart, Go, StartAnswer, StartRefused
from shared.permits.rows import HolderRows
from shared.permits.starts import Start
from shared.web.etags import if_match
from shared.web.idempotency import (
    REPLAYED_HEADER,
    Answer,
    RequestKey,
    answer_once,
    claim_permit_id,
    request_key,
)
from shared.web.problems import Problem, not_found
from shared.web.requests import RequestModel, cause_of
from shared.web.security import Rate, requires, signed_in

router = APIRouter(tags=["bedside"])
_BEDSIDE = (Role.INFUSION_NURSE, Role.NURSE_LEAD, Role.TREATING_PHYSICIAN)
Person = Annotated[Principal, Depends(signed_in())]
#: operations watch streams, never what is clinical
Reader = Annotated[Principal, Depends(requires(*(r for r in Role if r is not Role.OPS)))]
Nurse = Annotated[Principal, Depends(requires(*_BEDSIDE))]
Stopper = Annotated[Principal, Depends(requires(*_BEDSIDE, Role.ONCOLOGIST, rate=Rate.UNLIMITED))]
Parts = Annotated[SchedulingParts, Depends(parts_of)]
Key = Annotated[RequestKey, Depends(request_key)]
Seen = Annotated[tuple[int, ...], Depends(if_match)]
Measure = Annotated[dict[str, Any], Field(min_length=2, max_length=2)]
After = Callable[[Work[ScheduleRows], UUID, UUID], Awaitable[Start]]
_TWO = 2
_REFUSED = 409


class ChecksBody(RequestModel):
    """What two people scanned and confirmed at the bed."""

    band: Annotated[str, Field(min_length=1, max_length=80)]
    label: Annotated[str, Field(min_length=1, max_length=80)]
    emergency_kit: bool
    physician_on_site: bool
    second_checker_token: Annotated[str, Field(max_length=8_000)]


class VitalsBody(RequestModel):
    """Vital signs as measured. `measures` maps the metric to {value, unit}."""

    phase: Literal["before", "during", "after"]
    taken_at: AwareDatetime
    measures: Annotated[dict[str, Measure], Field(max_length=20)]
    signs: Annotated[frozenset[str], Field(max_length=20)] = frozenset()


class ReasonBody(RequestModel):
    """Why, in a few words."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class ReactionBody(RequestModel):
    """A reaction by a scale of the rulebook."""

    scale: str
    grade: Annotated[int, Field(ge=1, le=5)]


class StopBody(ReasonBody):
    """A stop for good, or a pause that may be resumed."""

    pause: bool = False


@router.get("/infusions")
async def get_infusions(
    request: Request, principal: Person, parts: Parts,
    since: AwareDatetime | None = None, case_id: UUID | None = None,
) -> Response:  # fmt: skip
    """The infusions of the next two weeks (or after `since`), in the order of time."""
    begin = since or parts.world.clock.now()
    async with parts.uow.begin(cause_of(request, principal)) as work:
        found = await work.rows.infusions_between(begin, begin + timedelta(days=14), case_id, 500)
    return Answer(200, {"items": [infusion_json(row) for row in found]}).response()


@router.get("/infusions/{infusion_id}")
async def get_infusion(
    request: Request, infusion_id: UUID, principal: Reader, parts: Parts
) -> Response:
    """An infusion with its vital signs."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        row = await work.rows.infusion_by_id(infusion_id)
        if row is None:
            raise not_found("infusion")
        vitals = await work.rows.vitals_of_infusion(infusion_id)
        work.note("infusion-read", row.case_id, infusion_id=str(infusion_id))
    body = {**infusion_json(row), "vitals": [_vitals_json(v) for v in vitals]}
    return Answer(200, body).response()


def _vitals_json(row: VitalsRow) -> Mapping[str, Any]:
    return {
        "phase": row.phase,
        "taken_at": row.taken_at,
        "measures": row.measures,
        "triggers": list(row.triggers),
    }


@router.post("/infusions/{infusion_id}/checks", status_code=201)
async def post_checks(
    request: Request, infusion_id: UUID, principal: Nurse, parts: Parts, key: Key,
    body: ChecksBody,
) -> Response:  # fmt: skip
    """Records the bedside check of two people for the next attempt."""
    second = await parts.second_person(body.second_checker_token)
    if not second.has_any(*_BEDSIDE):
        raise Problem(422, "second-signature", "The second checker has no role at the bedside.")
    check = BedsideCheck(
        infusion_id, second.subject, body.band, body.label, body.emergency_kit,
        body.physician_on_site,
    )  # fmt: skip
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            faults = await _known(record_check(work, check))
            if faults:  # kept, not raised: that the check was refused is on the audit
                return Answer(409, {"codes": list(faults)})
            return Answer(201, {"infusion_id": infusion_id, "checked": True})

        answer = await answer_once(work, key, act)
    if answer.status == _REFUSED:
        codes = _members(answer)["codes"]
        extra = {"reasons": [{"code": code} for code in codes]}
        title = "The bedside check does not hold."
        raise Problem(answer.status, codes[0], title, extra=extra, headers=answer.headers)
    return answer.response()


def _members(answer: Answer) -> dict[str, Any]:
    return dict(answer.body) if isinstance(answer.body, dict) else {}


async def _known(call: Awaitable[Any]) -> Any:  # noqa: ANN401 - the awaited value's own type
    try:
        return await call
    except UnknownInfusionError:
        raise not_found("infusion") from None


@router.post("/infusions/{infusion_id}/start")
@router.post("/infusions/{infusion_id}/resume")
async def post_start(
    request: Request, infusion_id: UUID, principal: Nurse, parts: Parts, key: Key, seen: Seen
) -> Response:
    """One press: GO, or DO NOT START with all reasons. It is never repeated by the machine.

    An Idempotency-Key stands for one press and thereby for one permit, which is asked for once: a
    repetition is answered with what became of that press, and never with a GO.
    """
    if len(seen) != _TWO:
        raise Problem(422, "version-malformed", "Send the case's clearance: epoch and version.")
    cause = cause_of(request, principal)
    permit_id, is_repetition = await claim_permit_id(parts.uow, key, cause)
    if is_repetition:
        return await _present_start(parts, permit_id, cause)
    found = await _known(
        start_infusion(
            parts.holder, infusion_id, ClearanceVersion(*seen), cause,
            permit_id=permit_id, drip_minutes=parts.drip_minutes,
        )
    )  # fmt: skip
    return _start_answer(found)


async def _present_start(parts: SchedulingParts, permit_id: UUID, cause: Cause) -> Response:
    async with parts.uow.begin(cause) as work:
        start = await HolderRows(work.tx).start_of_permit(permit_id)
    if start is None:
        raise Problem(
            409, "permit-asked", "This start was asked for and did not begin; press anew."
        )
    body = {"answer": "ASKED BEFORE", **_start_json(start)}
    return Answer(200, body, {REPLAYED_HEADER: "true"}).response()


def _start_answer(found: StartAnswer | NotReady) -> Response:
    match found:
        case Go(start=start, show_ms=show_ms):
            body = {
                "answer": "GO",
                "start_id": start.start_id,
                "permit_id": start.permit_id,
                "attempt": start.attempt,
                "go_at": start.go_at,
                "show_ms": show_ms,
            }
            return Answer(200, body).response()
        case StartRefused(status=status, code=code, title=title, reasons=reasons, view=view):
            extra: dict[str, Any] = {"answer": "DO NOT START", "reasons": list(reasons)}
            if view is not None:
                extra["clearance"] = {"epoch": view.epoch, "version": view.version}
            raise Problem(status, code, title, extra=extra)
        case DoNotStart(code=code, title=title):
            extra = {"answer": "DO NOT START", "reasons": [{"code": code}]}
            raise Problem(503, code, title, extra=extra)
        case NotReady(codes=codes, reasons=reasons):
            extra = {"answer": "DO NOT START", "reasons": list(reasons)}
            raise Problem(409, codes[0], "The bedside is not ready.", extra=extra)
        case _ as never:
            assert_never(never)


@router.post("/infusions/{infusion_id}/never-opened")
async def post_never_opened(
    request: Request, infusion_id: UUID, principal: Stopper, parts: Parts, key: Key,
    body: ReasonBody,
) -> Response:  # fmt: skip
    """GO was shown and nothing began; the dose is free again."""

    async def act(work: Work[ScheduleRows], case_id: UUID, start_id: UUID) -> Start:
        return await after_start.never_opened(parts.holder, work, case_id, start_id, body.reason)

    return await _after(request, infusion_id, principal, parts, key, act)


@router.post("/infusions/{infusion_id}/stop")
async def post_stop(
    request: Request, infusion_id: UUID, principal: Stopper, parts: Parts, key: Key,
    body: StopBody,
) -> Response:  # fmt: skip
    """The drip was stopped, or paused."""
    do = after_start.pause if body.pause else after_start.stop

    async def act(work: Work[ScheduleRows], case_id: UUID, start_id: UUID) -> Start:
        return await do(parts.holder, work, case_id, start_id, body.reason)

    return await _after(request, infusion_id, principal, parts, key, act)


@router.post("/infusions/{infusion_id}/complete")
async def post_complete(
    request: Request, infusion_id: UUID, principal: Nurse, parts: Parts, key: Key
) -> Response:
    """The dose was given in full; follow-ups are placed."""

    async def act(work: Work[ScheduleRows], case_id: UUID, start_id: UUID) -> Start:
        return await after_start.complete(parts.holder, work, case_id, start_id)

    return await _after(request, infusion_id, principal, parts, key, act)


async def _after(
    request: Request,
    infusion_id: UUID,
    principal: Principal,
    parts: SchedulingParts,
    key: RequestKey,
    act: After,
) -> Response:
    cause = cause_of(request, principal)
    async with parts.uow.begin(cause, urgent=True) as work:

        async def once() -> Answer:
            infusion: InfusionRow = await _known(locked_infusion(work, infusion_id))
            if infusion.start_id is None:
                raise Problem(409, "not-running", "Nothing was started for this infusion.")
            try:
                start = await act(work, infusion.case_id, infusion.start_id)
            except after_start.WrongStateError as error:
                state = error.start.state.value
                raise Problem(409, "wrong-state", f"The start is {state}.") from error
            return Answer(200, _start_json(start))

        answer = await answer_once(work, key, once)
    return answer.response()


def _start_json(start: Start) -> Mapping[str, Any]:
    return {
        "start_id": start.start_id,
        "state": start.state.value,
        "go_at": start.go_at,
        "unpermitted": start.unpermitted,
    }


@router.post("/infusions/{infusion_id}/already-running", status_code=201)
async def post_already_running(
    request: Request, infusion_id: UUID, principal: Stopper, parts: Parts, key: Key
) -> Response:
    """It was started without us: always recorded, counted apart, and paged."""
    async with parts.uow.begin(cause_of(request, principal), urgent=True) as work:

        async def act() -> Answer:
            infusion: InfusionRow = await _known(locked_infusion(work, infusion_id))
            start = await after_start.already_running(
                parts.holder,
                work,
                start_id=parts.world.ids.new(),
                case_id=infusion.case_id,
                gate=Gate.INFUSION,
                subject_id=infusion_id,
                attempt=infusion.attempt + 1,
                dose_id=infusion.dose_id,
                place=str(infusion.chair_id),
            )
            return Answer(201, _start_json(start))

        answer = await answer_once(work, key, act)
    return answer.response()


@router.post("/infusions/{infusion_id}/vitals", status_code=201)
async def post_vitals(
    request: Request, infusion_id: UUID, principal: Nurse, parts: Parts, key: Key,
    body: VitalsBody,
) -> Response:  # fmt: skip
    """Vital signs: judged here against the stop triggers, and put on the patient's record."""
    vitals = Vitals(infusion_id, body.phase, body.taken_at, body.measures, body.signs)
    _check_time(parts, body.taken_at)
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            met = await _known(record_vitals(work, parts.triggers, vitals))
            row = await work.rows.infusion_by_id(infusion_id)
            return Answer(
                201,
                {
                    "case_id": None if row is None else row.case_id,
                    "triggers": [{"rule": t.rule, "action": t.action} for t in met],
                    "stop": any(trigger.stops for trigger in met),
                },
            )

        answer = await answer_once(work, key, act)
    body_out = answer.body if isinstance(answer.body, dict) else {}
    case_id = body_out.get("case_id")
    reached = case_id is not None and await parts.record.put_vitals(UUID(str(case_id)), vitals)
    return Answer(201, {**body_out, "on_record": reached}, answer.headers).response()


def _check_time(parts: SchedulingParts, taken_at: datetime) -> None:
    if taken_at > parts.world.clock.now() + timedelta(minutes=1):
        raise Problem(422, "future-time", "Vital signs are not taken in the future.")


@router.post("/infusions/{infusion_id}/reactions", status_code=201)
async def post_reaction(
    request: Request, infusion_id: UUID, principal: Nurse, parts: Parts, key: Key,
    body: ReactionBody,
) -> Response:  # fmt: skip
    """Grades a reaction by a scale of the rulebook; the answer says what the rulebook asks."""
    row = parts.reactions.get((body.scale, body.grade))
    if row is None:
        raise Problem(422, "no-such-grade", "The rulebook has no such scale and grade.")
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            reaction_id = await _known(
                grade_reaction(work, infusion_id, scale=body.scale, grade=body.grade, rule=row.rule)
            )
            answer = {"reaction_id": reaction_id, "rule": row.rule, "action": row.action}
            return Answer(201, answer)

        answer = await answer_once(work, key, act)
    return answer.response()
