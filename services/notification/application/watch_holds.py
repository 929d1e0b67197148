"""Pages when a recorded hold is not told to be effective in time: a belt to intake's own paging.

A hold is effective at most 20 s after its commit while intake is up. If intake dies in between,
nobody else would say that a start may be happening under this hold.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.notification.application.absorb_evidence import absorb_evidence
from services.notification.application.deliver_due import ACTOR
from services.notification.application.ports import AlertRows, DoubtfulHold, Origin, Policy
from services.notification.domain.evidence import Evidence, EvidenceKind
from services.notification.domain.heard import hold_key
from shared.messaging.unit_of_work import Cause, UnitOfWork

#: start permit, invariant I8; machine time
EFFECTIVE_WITHIN_SECONDS: Final = 20.0
HOLDS_PER_ROUND_MAX: Final = 100


async def watch_holds(
    policy: Policy,
    units: UnitOfWork[AlertRows],
    *,
    within_seconds: float = EFFECTIVE_WITHIN_SECONDS,
) -> Sequence[UUID]:
    """Makes an emergency of every hold that is recorded for too long; returns their ids."""
    before = units.world.machine_clock.now() - timedelta(seconds=within_seconds)
    async with units.database.transaction() as tx:
        doubtful = await units.repository(tx).holds_not_effective(before, HOLDS_PER_ROUND_MAX)
    for hold in doubtful:
        async with units.begin(Cause(actor=ACTOR, correlation_id=hold.chain)) as work:
            await work.rows.lock_case(hold.case_id)
            # told meanwhile? A released hold has closed its alert; an effective one is named in
            # it, and the statement asks again under the lock
            still = await work.rows.holds_not_effective(before, HOLDS_PER_ROUND_MAX)
            if hold in still:
                evidence = _evidence(hold, work.world.clock.now())
                await absorb_evidence(policy, work, evidence, Origin(None, None))
    return [hold.hold_id for hold in doubtful]


def _evidence(hold: DoubtfulHold, now: datetime) -> Evidence:
    return Evidence(
        case_id=hold.case_id,
        kind=EvidenceKind.HOLD_NOT_EFFECTIVE,
        subject=f"{EvidenceKind.HOLD_NOT_EFFECTIVE.value}:{hold.hold_id}",
        chain=hold.chain,
        occurred_at=now,
        keys=frozenset({hold_key(hold.hold_id)}),
        detail={"hold_id": str(hold.hold_id)},
    )
