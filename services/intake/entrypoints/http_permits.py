"""Start permits over HTTP, for the holders alone: ask once, say what became of it.

201 is the permit; 409 and 412 list all reasons; a second PUT of an id is 409 `permit-asked`. In
shadow mode every judged press is 409 `advisory`, which no holder can take for a permit.
"""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from services.intake.application.advise_permit import advise_permit
from services.intake.application.authority_ports import Authority, R
from services.intake.application.consume_permit import OutcomeReport, consume_permit
from services.intake.application.grant_permit import (
    AuthorityRestoredError,
    Granted,
    PermitAskedError,
    Refused,
    grant_permit,
)
from services.intake.application.place_hold import UnknownCaseError
from services.intake.application.recover import hold_cases_of_restored_holder
from services.intake.domain.holds import Hold
from services.intake.domain.permits import GATES_OF_A_DOSE, Outcome, PermitRequest
from services.intake.entrypoints.http_shadow import advised
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Gate, RefusalCode, Service
from shared.permits.clearance import HOLDER_OF, HOLDERS, ClearanceVersion
from shared.web.etags import if_match
from shared.web.idempotency import Answer
from shared.web.problems import FieldError, Problem, not_found
from shared.web.requests import RequestModel, cause_of
from shared.web.security import Rate, service_only

_ATTEMPT_MAX: Final = 1_000
_MINUTES_MAX: Final = 24 * 60
_TITLE: Final = "The step may not start; all reasons are listed."
_EPOCH_AND_VERSION: Final = 2

_Word = Annotated[str, Field(min_length=1, max_length=200)]


class PermitBody(RequestModel):
    """What a holder asks for a person who presses start."""

    gate: Gate
    subject_id: UUID
    attempt: Annotated[int, Field(ge=1, le=_ATTEMPT_MAX)]
    dose_id: UUID | None = None
    requested_by: _Word
    second_checker: _Word | None = None
    band_scanned: _Word | None = None
    place: _Word | None = Field(default=None, description="the bay to telephone")
    planned_minutes: Annotated[int, Field(ge=0, le=_MINUTES_MAX)] | None = None


class OutcomeBody(RequestModel):
    """Which start the outcome is about."""

    start_id: UUID
    gate: Gate
    subject_id: UUID
    attempt: Annotated[int, Field(ge=1, le=_ATTEMPT_MAX)]
    dose_id: UUID | None = None


def add_permits(router: APIRouter, authority: Authority[R]) -> None:
    """Adds the endpoints of permits to the authority's router."""
    holder_alone = service_only(*HOLDERS, rate=Rate.UNLIMITED)

    @router.put("/cases/{case_id}/permits/{permit_id}", status_code=201)
    async def put_permit(
        case_id: UUID,
        permit_id: UUID,
        body: PermitBody,
        request: Request,
        principal: Annotated[Principal, Depends(holder_alone)],
        seen: Annotated[tuple[int, ...], Depends(if_match)],
    ) -> Response:
        """The permit, granted for a few seconds, or why not. Asked once and never again."""
        asked = _request(case_id, permit_id, body, _holder(principal, body.gate), seen)
        try:
            cause = cause_of(request, principal)
            if authority.advises_only:
                raise advised(await advise_permit(authority, asked, cause))
            answer = await grant_permit(authority, asked, cause)
        except UnknownCaseError:
            raise not_found("case") from None
        except AuthorityRestoredError:
            raise Problem(
                503, "authority-restored", "Nothing is granted until `tandem recover` has run."
            ) from None
        except PermitAskedError:
            raise Problem(
                409, RefusalCode.PERMIT_ASKED.value, "This permit was asked for before."
            ) from None
        return _permit_answer(answer).response()

    @router.post("/cases/{case_id}/permits/{permit_id}/{outcome}")
    async def post_outcome(
        case_id: UUID,
        permit_id: UUID,
        outcome: Outcome,
        body: OutcomeBody,
        request: Request,
        principal: Annotated[Principal, Depends(holder_alone)],
    ) -> Response:
        """What became of the permit; the same comes by event, and twice is once."""
        report = OutcomeReport(
            case_id=case_id,
            permit_id=permit_id,
            start_id=body.start_id,
            gate=body.gate,
            holder=_holder(principal, body.gate),
            subject_id=body.subject_id,
            dose_id=body.dose_id,
            attempt=body.attempt,
            outcome=outcome,
        )
        try:
            state = await consume_permit(authority, report, cause_of(request, principal))
        except UnknownCaseError:
            raise not_found("case") from None
        return Answer(200, {"permit_id": permit_id, "state": state}).response()

    @router.post("/internal/holders/restored")
    async def post_restored(
        request: Request, principal: Annotated[Principal, Depends(holder_alone)]
    ) -> Response:
        """Holds every case in which the caller may have lost a start; answers all open holds."""
        assert principal.service is not None  # noqa: S101 - service_only
        cause = cause_of(request, principal)
        holds = await hold_cases_of_restored_holder(authority, principal.service, cause)
        return Answer(200, {"holds": [_replica(hold) for hold in holds]}).response()


def _replica(hold: Hold) -> dict[str, object]:
    """A hold as a restored holder takes it over."""
    doses = hold.scope.dose_ids
    return {
        "hold_id": hold.hold_id,
        "case_id": hold.case_id,
        "epoch": hold.clearance.epoch,
        "version": hold.clearance.version,
        "gates": sorted(hold.scope.gates),
        "dose_ids": None if doses is None else sorted(doses),
        "on_running": hold.on_running,
    }


def _holder(principal: Principal, gate: Gate) -> Service:
    """The caller, if the gate is its own."""
    if principal.service is None or HOLDER_OF.get(gate) is not principal.service:
        raise Problem(403, "not-your-gate", "Another service acts at this gate.")
    return principal.service


def _request(
    case_id: UUID, permit_id: UUID, body: PermitBody, holder: Service, seen: tuple[int, ...]
) -> PermitRequest:
    if len(seen) != _EPOCH_AND_VERSION:
        raise Problem(400, "version-malformed", "If-Match must be the ETag of the clearance.")
    errors = _missing(body)
    if errors:
        raise Problem(422, "malformed-request", "The checks are not complete.", errors=errors)
    return PermitRequest(
        permit_id=permit_id,
        case_id=case_id,
        gate=body.gate,
        holder=holder,
        subject_id=body.subject_id,
        attempt=body.attempt,
        dose_id=body.dose_id,
        seen=ClearanceVersion(*seen),
        requested_by=body.requested_by,
        second_checker=body.second_checker,
        band_scanned=body.band_scanned,
        place=body.place,
        planned_minutes=body.planned_minutes,
    )


def _missing(body: PermitBody) -> tuple[FieldError, ...]:
    """A dose is named at its gates; an infusion has its band scanned and two people at it."""
    found = []
    if body.gate in GATES_OF_A_DOSE and body.dose_id is None:
        found.append(FieldError("#/dose_id", "missing", "Name the dose."))
    if body.gate is Gate.INFUSION and body.band_scanned is None:
        found.append(FieldError("#/band_scanned", "missing", "Scan the patient's band."))
    if body.gate is Gate.INFUSION and body.second_checker is None:
        found.append(FieldError("#/second_checker", "missing", "Two people check."))
    if body.second_checker == body.requested_by:
        found.append(
            FieldError("#/second_checker", "same-person", "The second checker is another person.")
        )
    return tuple(found)


def _permit_answer(answer: Granted | Refused) -> Answer:
    if isinstance(answer, Refused):
        raise Problem(
            412 if answer.code is RefusalCode.STALE_VIEW else 409,
            answer.code.value,
            _TITLE,
            extra=_refusal_json(answer),
            headers={"ETag": answer.view.etag},
        )
    body = {
        "permit_id": answer.permit_id,
        "epoch": answer.view.epoch,
        "version": answer.view.version,
        "ttl_ms": answer.ttl_ms,
        "expires_at": answer.expires_at,
        "protocol_version": answer.decision.protocol_version,
        "answered": list(answer.decision.answered),
    }
    return Answer(201, body, {"ETag": answer.view.etag})


def _refusal_json(refused: Refused) -> dict[str, Any]:
    return {
        "permit_id": str(refused.permit_id),
        "epoch": refused.view.epoch,
        "version": refused.view.version,
        "reasons": [reason.to_json() for reason in refused.reasons],
    }
