"""Answer one press of start in shadow mode: what it would have been answered, and nothing granted.

Invariant: the judgement is that of a grant, made under the same lock by the same code, and no
permit comes of it: the authority of shadow mode has no way to one (`grant_permit` refuses it).
"""

from services.intake.application.authority_ports import Authority, R
from services.intake.application.grant_permit import PermitAskedError, judged, locked
from services.intake.domain.permits import PermitRequest
from services.intake.domain.shadow import Advice
from shared.messaging.unit_of_work import Cause, Work
from shared.persistence.database import ConstraintError

_SAME_ID = "permit_advice_pkey"


async def advise_permit(authority: Authority[R], request: PermitRequest, cause: Cause) -> Advice:
    """The advice, which is on record. Raises what `grant_permit` raises for a press."""
    try:
        async with authority.unit_of_work.begin(cause, urgent=True) as work:
            view = await locked(work.rows.authority, request)
            found = await judged(authority, work, request, view)
            advice = Advice(
                request, view, found.reasons, found.decision.protocol_version,
                work.world.clock.now(),
            )  # fmt: skip
            await _keep(work, advice)
            return advice
    except ConstraintError as error:
        if error.constraint == _SAME_ID:
            raise PermitAskedError(request.permit_id) from None
        raise


async def _keep(work: Work[R], advice: Advice) -> None:
    await work.rows.authority.insert_advice(advice)
    work.note(
        "permit-advised",
        advice.request.case_id,
        permit_id=str(advice.request.permit_id),
        gate=advice.request.gate.value,
        requested_by=advice.request.requested_by,
        would_be=advice.would_be.value,
        protocol_version=advice.protocol_version,
    )
