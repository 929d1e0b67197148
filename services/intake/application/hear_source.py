"""A word from a source: a message, an import or a heartbeat moves its watermark, one row, no case.

Invariant: a watermark never moves backwards, and never ahead of our clock: a sender whose clock is
fast does not count as heard for longer.
"""

from datetime import datetime

from services.intake.application.ports import IntakeRows
from shared.messaging.unit_of_work import Work


class UnknownSourceError(Exception):
    """No source of this name is configured."""


async def heard(work: Work[IntakeRows], source: str, at: datetime) -> datetime:
    """The source's watermark after this word from it. Raises `UnknownSourceError`.

    Call it last in a transaction: the source's row is locked until it ends, and whoever holds it
    must not wait for a case.
    """
    after = await work.rows.sources.hear(source, min(at, work.world.clock.now()))
    if after is None:
        raise UnknownSourceError(source)
    return after
