"""A person decides about an errand that nobody could run: once more, or not needed.

Invariant: who decided and why stays with the errand and in the audit; of two people the first
counts.
"""

from uuid import UUID

from services.intake.application.ports import IntakeRows
from services.intake.application.subscription_ports import Errand, ErrandState, Settling
from shared.messaging.unit_of_work import Work


async def retry_errand(work: Work[IntakeRows], errand_id: UUID) -> Errand | None:
    """The errand, which is tried from now on as if it were new; None: it does not wait."""
    due = work.world.machine_clock.now()
    again = Settling(ErrandState.WAITING, "asked-again", next_try_at=due, by=work.cause.actor)
    return await _settled(work, errand_id, again, "errand-retried")


async def discard_errand(work: Work[IntakeRows], errand_id: UUID, reason: str) -> Errand | None:
    """The errand, which is not needed any more; None: it does not wait."""
    ended = Settling(ErrandState.DISCARDED, "discarded", by=work.cause.actor, reason=reason)
    return await _settled(work, errand_id, ended, "errand-discarded")


async def _settled(
    work: Work[IntakeRows], errand_id: UUID, settling: Settling, action: str
) -> Errand | None:
    errand = await work.rows.subscriptions.errand(errand_id)
    if errand is None:
        return None
    await work.rows.subscriptions.settle(errand, settling, work.world.clock.now())
    said = {} if settling.reason is None else {"reason": settling.reason}
    work.note(action, errand.case_id, feed=errand.feed, errand_id=str(errand_id), **said)
    return errand
