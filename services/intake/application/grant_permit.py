"""Answer one press of start: GRANTED for a few seconds, or refused with all reasons.

Invariant I1: no grant while a hold in scope is open, the decision is not `go`, the dose is bad, or
outside the window. It rests on the order of statements: the case row is locked alone, and every
check is a later statement, which sees whatever a hold before us has committed. Lock and check in
one statement waits for the hold and then grants against it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.intake.application.authority_ports import Authority, AuthorityRows, R
from services.intake.application.place_hold import UnknownCaseError
from services.intake.domain.holds import Hold
from services.intake.domain.permits import (
    GATES_OF_A_DOSE,
    DecisionSeen,
    Permit,
    PermitRequest,
    ProductSeen,
    Reason,
    because,
    leading_code,
    life_ms,
)
from shared.contracts.coordination import PermitDenied, PermitGranted
from shared.contracts.vocabulary import Gate, RefusalCode, Verdict
from shared.messaging.unit_of_work import Cause, Work
from shared.permits.clearance import HOLDERS, ClearanceVersion
from shared.permits.times import PermitTimes
from shared.persistence.database import ConstraintError

_SAME_ID = "permit_pkey"


class PermitAskedError(Exception):
    """This permit id was asked before; a permit is asked once and never again."""


class AuthorityRestoredError(Exception):
    """The database was restored or failed over: nothing is granted until `recover` has run."""


class ShadowModeError(Exception):
    """The authority runs in shadow mode: it advises, and grants nothing."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The permit. `expires_at` is for display; the holder judges by its lease clock."""

    permit_id: UUID
    view: ClearanceVersion
    ttl_ms: int
    expires_at: datetime
    decision: DecisionSeen


@dataclass(frozen=True, slots=True)
class Refused:
    """Why not. `view` is the present clearance; every reason is listed whatever the code."""

    permit_id: UUID
    code: RefusalCode
    reasons: tuple[Reason, ...]
    view: ClearanceVersion


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What was read after the lock, each part by a statement of its own."""

    view: ClearanceVersion
    holds: tuple[Hold, ...]
    decision: DecisionSeen
    product: ProductSeen | None
    is_issued: bool
    behind: tuple[str, ...]
    rivals: tuple[Permit, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """What stands against a press: no reason means that it may be granted for `ttl_ms`."""

    reasons: tuple[Reason, ...]
    decision: DecisionSeen
    ttl_ms: int


async def grant_permit(
    authority: Authority[R], request: PermitRequest, cause: Cause
) -> Granted | Refused:
    """The permit, or why there is none; either is on record and an event.

    Raises `UnknownCaseError`, `PermitAskedError`, `AuthorityRestoredError`, `ShadowModeError`, and
    the errors of the store: then there is no permit, and the press has to be repeated with a fresh
    id.
    """
    if authority.advises_only:
        raise ShadowModeError
    try:
        async with authority.unit_of_work.begin(cause, urgent=True) as work:
            view = await locked(work.rows.authority, request)
            return await _judge(authority, work, request, view)
    except ConstraintError as error:
        if error.constraint == _SAME_ID:
            raise PermitAskedError(request.permit_id) from None
    async with authority.unit_of_work.begin(cause, urgent=True) as work:
        view = await locked(work.rows.authority, request)
        return await _deny(work, request, view, (_out_elsewhere(),))


async def locked(rows: AuthorityRows, request: PermitRequest) -> ClearanceVersion:
    """The clearance of the case, locked; every check of the press is a later statement."""
    view = await rows.lock_case(request.case_id)
    if view is None:
        raise UnknownCaseError(request.case_id)
    if await rows.permit(request.permit_id) is not None:
        raise PermitAskedError(request.permit_id)
    if not await rows.is_own_history():
        raise AuthorityRestoredError
    return view


async def _judge(
    authority: Authority[R], work: Work[R], request: PermitRequest, view: ClearanceVersion
) -> Granted | Refused:
    found = await judged(authority, work, request, view)
    if found.reasons:
        return await _deny(work, request, view, found.reasons)
    return await _grant(work, request, view, found, authority.times)


async def judged(
    authority: Authority[R], work: Work[R], request: PermitRequest, view: ClearanceVersion
) -> Judged:
    """All that stands against the press now. The case is locked by the caller."""
    now = work.world.clock.now()
    evidence = await _gather(authority, work, request, view, now)
    ttl_ms = life_ms(now, evidence.decision, evidence.product, authority.times)
    reasons = _reasons(request, evidence, ttl_ms, authority.times)
    return Judged(reasons, evidence.decision, ttl_ms)


async def _gather(
    authority: Authority[R],
    work: Work[R],
    request: PermitRequest,
    view: ClearanceVersion,
    now: datetime,
) -> _Evidence:
    rows, tx = work.rows.authority, work.tx
    holds = [
        hold
        for hold in await rows.open_holds(request.case_id)
        if hold.scope.covers(request.gate, request.dose_id)
    ]
    decision = await authority.decide(tx, request.case_id, request.gate, now, request.dose_id)
    product, is_issued = None, True
    if request.gate in GATES_OF_A_DOSE:
        until = now + timedelta(minutes=request.planned_minutes or 0)
        product = await authority.products(tx, request, now, until)
    if request.gate is Gate.INFUSION:
        is_issued = request.dose_id is not None and await rows.issue_consumed(
            request.case_id, request.dose_id
        )
    behind = [
        holder.value
        for holder in HOLDERS
        if not await authority.streams.is_current(tx, holder, request.case_id)
    ]
    rivals = await rows.rivals(request)
    return _Evidence(view, tuple(holds), decision, product, is_issued, tuple(behind), tuple(rivals))


def _reasons(
    request: PermitRequest, evidence: _Evidence, ttl_ms: int, times: PermitTimes
) -> tuple[Reason, ...]:
    found: list[Reason] = []
    if evidence.view != request.seen:
        found.append(_stale(request, evidence))
    found += [_held(hold) for hold in evidence.holds]
    if evidence.decision.verdict is not Verdict.GO:
        found.append(_decided(evidence.decision))
    found += _product_faults(evidence)
    found += [_rival(permit) for permit in evidence.rivals]
    if evidence.behind:
        found.append(
            because(
                RefusalCode.UNKNOWN_SOURCE,
                "What these services have said lately is not applied yet.",
                services=list(evidence.behind),
            )
        )
    if ttl_ms < times.ttl_ms_min:
        found.append(
            because(
                RefusalCode.WINDOW_TOO_SHORT,
                "The decision or the dose ends before the step could begin.",
                window_ms=max(ttl_ms, 0),
            )
        )
    return tuple(found)


def _stale(request: PermitRequest, evidence: _Evidence) -> Reason:
    newer = [h for h in evidence.holds if h.clearance > request.seen]
    return because(
        RefusalCode.STALE_VIEW,
        "Something has changed since you saw this case; look again.",
        seen=request.seen.etag,
        present=evidence.view.etag,
        holds_since=[str(hold.hold_id) for hold in newer],
        verdict=evidence.decision.verdict.value,
    )


def _held(hold: Hold) -> Reason:
    return because(
        RefusalCode.HOLD_OPEN,
        "A hold is open.",
        rules=() if hold.rule is None else (hold.rule,),
        hold_id=hold.hold_id,
        kind=hold.kind.value,
        state=hold.state.value,
        since=hold.recorded_at.isoformat(),
    )


def _decided(decision: DecisionSeen) -> Reason:
    return because(
        RefusalCode.DECISION,
        "The protocol does not allow this step now.",
        rules=decision.rules,
        verdict=decision.verdict.value,
        protocol_version=decision.protocol_version,
        findings=[
            {"rule": f.rule, "effect": f.effect, "message": f.message} for f in decision.findings
        ],
    )


def _product_faults(evidence: _Evidence) -> list[Reason]:
    faults = [] if evidence.product is None else list(evidence.product.faults)
    if not evidence.is_issued:
        faults.append("not-issued")
    return [because(RefusalCode.PRODUCT, "The dose may not be used.", fault=f) for f in faults]


def _rival(permit: Permit) -> Reason:
    return because(
        RefusalCode.PERMIT_OUT,
        "Another permit for this step is out, or was used.",
        permit_id=str(permit.permit_id),
        state=permit.state.value,
        subject_id=str(permit.subject_id),
        attempt=permit.attempt,
    )


def _out_elsewhere() -> Reason:
    return because(RefusalCode.PERMIT_OUT, "Another permit for this subject or dose is out.")


async def _grant(
    work: Work[R],
    request: PermitRequest,
    view: ClearanceVersion,
    found: Judged,
    times: PermitTimes,
) -> Granted:
    ttl_ms, decision = found.ttl_ms, found.decision
    lease, machine_now = work.world.lease_clock, work.world.machine_clock.now()
    await work.rows.authority.insert_granted(
        request,
        view,
        lease.boot_id,
        lease.now_ns(),
        ttl_ms,
        machine_now,
        machine_now + timedelta(milliseconds=times.lapse_after_ms(ttl_ms)),
    )
    work.emit(
        PermitGranted(
            case_id=request.case_id,
            permit_id=request.permit_id,
            gate=request.gate,
            holder=request.holder,
            subject_id=request.subject_id,
            dose_id=request.dose_id,
            attempt=request.attempt,
            epoch=view.epoch,
            version=view.version,
            ttl_ms=ttl_ms,
        )
    )
    work.note(
        "permit-granted",
        request.case_id,
        permit_id=str(request.permit_id),
        gate=request.gate.value,
        requested_by=request.requested_by,
        second_checker=request.second_checker,
        version=view.version,
        protocol_version=decision.protocol_version,
        answered=",".join(decision.answered),
    )
    expires_at = machine_now + timedelta(milliseconds=ttl_ms)
    return Granted(request.permit_id, view, ttl_ms, expires_at, decision)


async def _deny(
    work: Work[R], request: PermitRequest, view: ClearanceVersion, reasons: tuple[Reason, ...]
) -> Refused:
    await work.rows.authority.insert_denied(request, reasons, work.world.machine_clock.now())
    code = leading_code(reasons)
    work.emit(
        PermitDenied(
            case_id=request.case_id,
            permit_id=request.permit_id,
            gate=request.gate,
            holder=request.holder,
            subject_id=request.subject_id,
            codes=tuple(dict.fromkeys(r.code for r in reasons)),
            rules=tuple(dict.fromkeys(rule for r in reasons for rule in r.rules)),
            hold_ids=tuple(r.hold_id for r in reasons if r.hold_id is not None),
        )
    )
    work.note(
        "permit-denied",
        request.case_id,
        permit_id=str(request.permit_id),
        gate=request.gate.value,
        requested_by=request.requested_by,
        code=code.value,
    )
    return Refused(request.permit_id, code, reasons, view)
