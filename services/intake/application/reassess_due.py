"""Durable timers: decisions that changed by the passing of time, or by another protocol, alone.

The boundary is stored with the timeline, so one that passed while the service was down is found at
the next round.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

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
    await _reassess(uow, rulebooks, due)
    return len(due)


async def follow_protocol(uow: UnitOfWork[IntakeRows], rulebooks: Rulebooks) -> int:
    """The number of cases that were assessed anew because another protocol is in force now."""
    done = 0
    while True:
        await rulebooks.refresh(uow)
        async with uow.begin(Cause("service:intake", uow.world.ids.new())) as work:
            others = await work.rows.record.cases_made_by_others(
                rulebooks.protocol.identity, CASES_PER_ROUND_MAX
            )
        await _reassess(uow, rulebooks, others)
        done += len(others)
        if len(others) < CASES_PER_ROUND_MAX:
            return done


async def _reassess(
    uow: UnitOfWork[IntakeRows], rulebooks: Rulebooks, cases: Sequence[UUID]
) -> None:
    for case_id in cases:
        async with uow.begin(Cause("service:intake", uow.world.ids.new())) as work:
            await work.rows.authority.lock_case(case_id)
            await reassess_case(work, rulebooks.protocol, case_id)
