"""The two ways out of parking over HTTP: redrive and skip, for operations staff by name.

What may be done, and in which order, is `shared.messaging.redrive`; here its calls are worded.
Payloads are not shown: what a parked record is about stands in its case.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field

from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role, Service
from shared.messaging.redrive import (
    CaseReport,
    NotParkedError,
    Redrive,
    SecondPersonNeededError,
    Signature,
    parked_cases,
    parked_records,
)
from shared.messaging.unit_of_work import UnitOfWork
from shared.persistence.database import Database, Row
from shared.web.idempotency import Answer, RequestKey, answer_once_in_steps, request_key
from shared.web.problems import Problem, not_found
from shared.web.requests import RequestModel, cause_of
from shared.web.security import requires

R = TypeVar("R")
SecondPerson = Callable[[str], Awaitable[Principal]]

Operator = Annotated[Principal, Depends(requires(Role.OPS))]
Key = Annotated[RequestKey, Depends(request_key)]
Reason = Annotated[str, Field(min_length=3, max_length=500)]
Token = Annotated[str, Field(max_length=8_000)]


class RedriveBody(RequestModel):
    """Why the case is tried again. A dry run does everything and rolls it back."""

    reason: Reason
    dry_run: bool = False


class SkipBody(RequestModel):
    """Why a record is given up; a safety-relevant one needs the token of a second person."""

    reason: Reason
    record_id: Annotated[int, Field(ge=1)]
    second_signer_token: Token | None = None


class GapBody(RequestModel):
    """Why what is missing is given up; always signed by two people."""

    reason: Reason
    second_signer_token: Token


def ops_router(
    consumer: Service, redrive: Redrive[R], unit_of_work: UnitOfWork[R], second_person: SecondPerson
) -> APIRouter:
    """The endpoints of /ops/parked for one consumer."""
    router = APIRouter(prefix="/ops", tags=["operations"])
    _add_reading(router, consumer, unit_of_work.database)
    _add_redrive(router, redrive, unit_of_work)
    _add_giving_up(router, consumer, redrive, unit_of_work, second_person)
    return router


def _add_reading(router: APIRouter, consumer: Service, database: Database) -> None:
    @router.get("/parked")
    async def get_parked(principal: Operator) -> Response:
        """Cases whose events wait here, the oldest first."""
        async with database.transaction() as tx:
            found = await parked_cases(tx, consumer.value)
        return Answer(200, {"items": [_case_json(row) for row in found]}).response()

    @router.get("/parked/{case_id}")
    async def get_parked_case(case_id: UUID, principal: Operator) -> Response:
        """The waiting records of a case, in the order in which they are settled."""
        async with database.transaction() as tx:
            found = await parked_records(tx, consumer.value, case_id)
        if not found:
            raise not_found("parked case")
        return Answer(200, {"items": [dict(row) for row in found]}).response()


def _add_redrive(router: APIRouter, redrive: Redrive[R], unit_of_work: UnitOfWork[R]) -> None:
    @router.post("/parked/{case_id}/redrive")
    async def post_redrive(
        request: Request, case_id: UUID, principal: Operator, key: Key, body: RedriveBody
    ) -> Response:
        """Applies the waiting records in order, as far as it goes."""
        signature = Signature(principal.subject, body.reason)

        async def act() -> Answer:
            report = await redrive.case(case_id, signature, dry_run=body.dry_run)
            return Answer(200, _report_json(report))

        cause = cause_of(request, principal)
        return (await answer_once_in_steps(unit_of_work, key, cause, act)).response()


def _add_giving_up(
    router: APIRouter,
    consumer: Service,
    redrive: Redrive[R],
    unit_of_work: UnitOfWork[R],
    second_person: SecondPerson,
) -> None:
    @router.post("/parked/{case_id}/accept-gap")
    async def post_accept_gap(
        request: Request, case_id: UUID, principal: Operator, key: Key, body: GapBody
    ) -> Response:
        """Declares what is missing before the next record lost, and redrives the case."""
        other = await second_person(body.second_signer_token)
        signature = Signature(principal.subject, body.reason, other.subject)

        async def act() -> Answer:
            return Answer(200, _report_json(await _signed(redrive.accept_gap(case_id, signature))))

        cause = cause_of(request, principal)
        return (await answer_once_in_steps(unit_of_work, key, cause, act)).response()

    @router.post("/parked/{case_id}/skip")
    async def post_skip(
        request: Request, case_id: UUID, principal: Operator, key: Key, body: SkipBody
    ) -> Response:
        """Gives up one record, which must be the next of its case; the others stay."""
        second = body.second_signer_token
        other = None if second is None else (await second_person(second)).subject
        signature = Signature(principal.subject, body.reason, other)

        async def act() -> Answer:
            async with unit_of_work.database.transaction() as tx:
                waiting = await parked_records(tx, consumer.value, case_id)
            if body.record_id not in {row["id"] for row in waiting}:
                raise not_found("parked record")
            return Answer(200, _report_json(await _signed(redrive.skip(body.record_id, signature))))

        cause = cause_of(request, principal)
        return (await answer_once_in_steps(unit_of_work, key, cause, act)).response()


async def _signed(act: Awaitable[CaseReport]) -> CaseReport:
    try:
        return await act
    except SecondPersonNeededError as error:
        raise Problem(
            409, "second-person", "This is given up by two different people only."
        ) from error
    except NotParkedError as error:
        raise not_found("parked record") from error


def _case_json(row: Row) -> dict[str, Any]:
    names = ("case_id", "reason", "parked_at", "records", "safety_records", "first_id")
    return {name: row[name] for name in names}


def _report_json(report: CaseReport) -> dict[str, Any]:
    return {
        "case_id": report.case_id,
        "dry_run": report.dry_run,
        "unparked": report.unparked,
        "records": [
            {"record_id": one.record_id, "outcome": one.outcome.value, "detail": one.detail}
            for one in report.records
        ],
    }
