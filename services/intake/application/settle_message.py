"""A message stops waiting for a person: it could be read now, or it was discarded.

Invariant: its bytes go with the settling; who did it and why stays, also in the audit.
"""

from typing import Literal

from services.intake.application.feed_ports import WaitingMessage
from services.intake.application.ports import IntakeRows
from shared.messaging.unit_of_work import Work


async def settle(
    work: Work[IntakeRows],
    waiting: WaitingMessage,
    how: Literal["read", "discarded"],
    reason: str | None,
) -> None:
    """Settles it; of two people who do so at one time the first counts."""
    settled = await work.rows.feeds.settle_message(
        waiting.quarantine_id, how, at=work.world.clock.now(), by=work.cause.actor, reason=reason
    )
    if settled:
        said = {} if reason is None else {"reason": reason}
        work.note(f"message-{how}", waiting.case_id, feed=waiting.feed, **said)
