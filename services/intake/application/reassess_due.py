"""A durable timer: decisions that changed by the passing of time alone.

The boundary is stored with the timeline, so one that passed while the service was down is found at
the next round.
"""

from typing import Final

from services.intake.application.ports import IntakeRows
from services.intake.application.reassess_case import reassess_case
from services.intake.application.rulebooks import Rulebooks
from shared.messaging.unit_of_work import Cause, UnitOfWork

#: one round works through so many cases, each in its own transaction
CASES_PER_ROUND_MAX: Final = 200


async def reassess_due(uow: UnitOfWork[IntakeRows], rulebooks: Rulebooks) -> int:
    """The number of cases that were assessed anew."""
    world = uow.world
    cause = Cause("service:intake", correlation_id=world.ids.new())
    async with uow.begin(cause) as work:
        due = await work.rows.record.cases_due(world.clock.now(), CASES_PER_ROUND_MAX)
    for case_id in due:
        async with uow.begin(Cause("service:intake", world.ids.new())) as work:
            await work.rows.authority.lock_case(case_id)
            await reassess_case(work, rulebooks.protocol, case_id)
    return len(due)
