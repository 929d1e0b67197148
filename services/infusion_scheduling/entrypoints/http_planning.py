"""Chairs, courses, proposals and follow-ups over HTTP."""

from collections.abc import Mapping
from datetime import date, time
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field

from services.infusion_scheduling.application.accept_proposal import accept_proposal
from services.infusion_scheduling.application.finish_follow_up import finish_follow_up
from services.infusion_scheduling.application.plan_course import PlanCourse, plan_course
from services.infusion_scheduling.application.planning import NotPlannableError
from services.infusion_scheduling.application.ports import (
    CourseRow,
    FollowUpRow,
    InfusionRow,
    ProposalRow,
)
from services.infusion_scheduling.application.propose_plan import propose_plan
from services.infusion_scheduling.domain.chairs import Chair
from services.infusion_scheduling.entrypoints.parts import SchedulingParts, parts_of
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.permits.rows import lock_fences
from shared.persistence.database import ConstraintError
from shared.web.etags import etag
from shared.web.idempotency import Answer, RequestKey, answer_once, request_key
from shared.web.pages import Paged, cursor_of
from shared.web.problems import Problem, not_found
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires, signed_in

router = APIRouter(tags=["planning"])
Person = Annotated[Principal, Depends(signed_in())]
Planner = Annotated[
    Principal,
    Depends(
        requires(Role.COORDINATOR, Role.NURSE_LEAD, Role.TREATING_PHYSICIAN, Role.MEDICAL_DIRECTOR)
    ),
]
Nurse = Annotated[
    Principal,
    Depends(requires(Role.INFUSION_NURSE, Role.NURSE_LEAD, Role.COORDINATOR)),
]
Parts = Annotated[SchedulingParts, Depends(parts_of)]
Key = Annotated[RequestKey, Depends(request_key)]


class ChairBody(RequestModel):
    """A chair and when it can be used, in clinic-local time."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    weekdays: Annotated[frozenset[Annotated[int, Field(ge=1, le=7)]], Field(min_length=1)]
    opens_at: time
    closes_at: time
    visit_minutes: Annotated[int, Field(ge=30, le=720)]


class CourseBody(RequestModel):
    """A course by a schedule template of the protocol."""

    case_id: UUID
    schedule: str
    not_before: date


class FollowUpBody(RequestModel):
    """When a follow-up was carried out."""

    done_on: date


def _problem(error: NotPlannableError) -> Problem:
    missing = error.code.startswith("no-such")
    status = 404 if missing else 409
    return Problem(status, error.code, error.title, extra={"reasons": error.reasons})


@router.post("/chairs", status_code=201)
async def post_chair(
    request: Request,
    principal: Annotated[Principal, Depends(requires(Role.NURSE_LEAD, Role.COORDINATOR))],
    parts: Parts,
    key: Key,
    body: ChairBody,
) -> Response:
    """Adds a chair."""
    if body.opens_at >= body.closes_at:
        raise Problem(422, "malformed-request", "A chair opens before it closes.")
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            chair = Chair(
                chair_id=parts.world.ids.new(),
                name=body.name,
                weekdays=tuple(sorted(body.weekdays)),
                opens_at=body.opens_at,
                closes_at=body.closes_at,
                visit_minutes=body.visit_minutes,
            )
            await work.rows.insert_chair(chair)
            work.note("chair-added", None, chair_id=str(chair.chair_id))
            return Answer(201, {"chair_id": chair.chair_id})

        answer = await answer_once(work, key, act)
    return answer.response()


@router.get("/chairs")
async def get_chairs(request: Request, principal: Person, parts: Parts) -> Response:
    """All chairs."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        chairs = await work.rows.chairs()
    return Answer(
        200,
        {
            "items": [
                {
                    "chair_id": chair.chair_id,
                    "name": chair.name,
                    "weekdays": chair.weekdays,
                    "opens_at": chair.opens_at,
                    "closes_at": chair.closes_at,
                    "visit_minutes": chair.visit_minutes,
                }
                for chair in chairs
            ]
        },
    ).response()


@router.post("/courses", status_code=201)
async def post_course(
    request: Request, principal: Planner, parts: Parts, key: Key, body: CourseBody
) -> Response:
    """Plans a whole course around the standard treatment, or nothing."""
    try:
        async with parts.uow.begin(cause_of(request, principal)) as work:

            async def act() -> Answer:
                command = PlanCourse(body.case_id, body.schedule, body.not_before)
                course_id = await plan_course(work, parts.site, command)
                course = await work.rows.course_by_id(course_id)
                if course is None:
                    raise AssertionError("a booked course is there")
                infusions = await work.rows.infusions_of_course(course_id)
                return Answer(201, course_json(course, infusions), {"ETag": etag(1)})

            answer = await answer_once(work, key, act)
    except NotPlannableError as error:
        raise _problem(error) from error
    except ConstraintError as error:
        if error.constraint not in {"infusion_chair", "course_open"}:
            raise
        raise Problem(409, "just-taken", "A chair was just taken; nothing was booked.") from error
    return answer.response()


def course_json(course: CourseRow, infusions: Any) -> dict[str, Any]:  # noqa: ANN401
    """A course as the API shows it."""
    return {
        "course_id": course.course_id,
        "case_id": course.case_id,
        "schedule": course.schedule,
        "status": course.status,
        "plan_version": course.plan_version,
        "infusions": [infusion_json(row) for row in infusions],
    }


def infusion_json(row: InfusionRow) -> dict[str, Any]:
    """An infusion as the API shows it."""
    return {
        "infusion_id": row.infusion_id,
        "course_id": row.course_id,
        "case_id": row.case_id,
        "number": row.number,
        "state": row.state,
        "chair_id": row.chair_id,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "dose_id": row.dose_id,
        "cause": row.cause,
        "rules": list(row.rules),
        "attempt": row.attempt,
        "start_id": row.start_id,
    }


@router.get("/courses")
async def get_courses(
    request: Request, principal: Person, parts: Parts, page: Paged, case_id: UUID | None = None
) -> Response:
    """Courses, newest first, or the open course of one case."""
    before = UUID(page.after[0]) if page.after else None
    async with parts.uow.begin(cause_of(request, principal)) as work:
        if case_id is not None:
            course = await work.rows.open_course_of_case(case_id)
            found = [] if course is None else [course]
        else:
            found = list(await work.rows.courses_page(before, page.limit + 1))
        shown = [
            course_json(course, await work.rows.infusions_of_course(course.course_id))
            for course in found[: page.limit]
        ]
    following = cursor_of(found[page.limit - 1].course_id) if len(found) > page.limit else None
    return Answer(200, {"items": shown, "next": following}).response()


@router.get("/cases/{case_id}/timeline")
async def get_timeline(
    request: Request, case_id: UUID, principal: Person, parts: Parts
) -> Response:
    """Intake's timeline of the infusion gate as it is known here: planning rests on this copy."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        version = await work.rows.timeline_version(case_id)
        found = await work.rows.timeline_of_case(case_id)
    if version is None or found is None:
        raise not_found("timeline")
    intervals = [
        {"from": p.starts_at, "to": p.ends_at, "start": p.start, "plan": p.plan, "rules": p.rules}
        for p in found
    ]
    return Answer(200, {"timeline_version": version, "intervals": intervals}).response()


@router.get("/courses/{course_id}")
async def get_course(
    request: Request, course_id: UUID, principal: Person, parts: Parts
) -> Response:
    """A course with its infusions."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        course = await work.rows.course_by_id(course_id)
        if course is None:
            raise not_found("course")
        infusions = await work.rows.infusions_of_course(course_id)
    headers = {"ETag": etag(course.plan_version)}
    return Answer(200, course_json(course, infusions), headers).response()


@router.get("/courses/{course_id}/proposals")
async def get_proposals(
    request: Request, course_id: UUID, principal: Person, parts: Parts
) -> Response:
    """The latest proposals, newest first."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        found = await work.rows.proposals_of_course(course_id)
    return Answer(200, {"items": [_proposal_json(p) for p in found]}).response()


def _proposal_json(proposal: ProposalRow) -> Mapping[str, Any]:
    return {
        "proposal_id": proposal.proposal_id,
        "course_id": proposal.course_id,
        "base_version": proposal.base_version,
        "status": proposal.status,
        "created_at": proposal.created_at,
        **proposal.body,
    }


@router.post("/courses/{course_id}/proposals", status_code=201)
async def post_proposal(
    request: Request, course_id: UUID, principal: Planner, parts: Parts, key: Key
) -> Response:
    """Asks for a proposal for the rest of the series as things stand now."""
    try:
        async with parts.uow.begin(cause_of(request, principal)) as work:

            async def act() -> Answer:
                course = await work.rows.course_by_id(course_id)
                if course is None:
                    raise not_found("course")
                await lock_fences(work.tx, [course.case_id])
                proposal = await propose_plan(work, parts.site, course)
                if proposal is None:
                    return Answer(200, {"proposal": None, "because": "every infusion stands"})
                return Answer(201, _proposal_json(proposal))

            answer = await answer_once(work, key, act)
    except NotPlannableError as error:
        raise _problem(error) from error
    return answer.response()


@router.post("/courses/{course_id}/proposals/{proposal_id}/accept")
async def post_accept(
    request: Request, course_id: UUID, proposal_id: UUID, principal: Planner, parts: Parts,
    key: Key,
) -> Response:  # fmt: skip
    """Accepts a proposal: checked again, then booked as a whole or not at all."""
    try:
        async with parts.uow.begin(cause_of(request, principal)) as work:

            async def act() -> Answer:
                version = await accept_proposal(work, parts.site, course_id, proposal_id)
                return Answer(200, {"plan_version": version}, {"ETag": etag(version)})

            answer = await answer_once(work, key, act)
    except NotPlannableError as error:
        raise _problem(error) from error
    except ConstraintError as error:
        if error.constraint != "infusion_chair":
            raise
        raise Problem(409, "just-taken", "A chair was just taken; nothing has moved.") from error
    return answer.response()


@router.get("/follow-ups")
async def get_follow_ups(
    request: Request, principal: Person, parts: Parts, page: Paged,
    case_id: UUID | None = None, only_open: bool = False,
) -> Response:  # fmt: skip
    """Follow-ups by due day."""
    after = (date.fromisoformat(page.after[0]), UUID(page.after[1])) if page.after else None
    async with parts.uow.begin(cause_of(request, principal)) as work:
        found = await work.rows.follow_ups_page(case_id, only_open, after, page.limit + 1)
    shown = found[: page.limit]
    following = None
    if len(found) > page.limit:
        following = cursor_of(shown[-1].due_on.isoformat(), shown[-1].follow_up_id)
    return Answer(200, {"items": [_follow_up_json(f) for f in shown], "next": following}).response()


def _follow_up_json(row: FollowUpRow) -> Mapping[str, Any]:
    return {
        "follow_up_id": row.follow_up_id,
        "case_id": row.case_id,
        "infusion_id": row.infusion_id,
        "rule": row.rule,
        "due_on": row.due_on,
        "window_days": row.window_days,
        "items": list(row.items),
        "done_on": row.done_on,
    }


@router.post("/follow-ups/{follow_up_id}/done")
async def post_follow_up_done(
    request: Request, follow_up_id: UUID, principal: Nurse, parts: Parts, key: Key,
    body: FollowUpBody,
) -> Response:  # fmt: skip
    """Records that a follow-up was carried out."""
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            if not await finish_follow_up(work, follow_up_id, body.done_on):
                raise Problem(409, "not-open", "There is no such open follow-up.")
            return Answer(200, {"follow_up_id": follow_up_id, "done_on": body.done_on})

        answer = await answer_once(work, key, act)
    return answer.response()
