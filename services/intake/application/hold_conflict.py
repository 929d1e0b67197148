"""A referral whose identifiers are not of one patient: every case that it names is held.

Nothing of the bundle is recorded, because nobody can say whose facts they are; the sender is told
to send it again once two people have decided.
"""

from collections.abc import Collection
from uuid import UUID

from services.intake.application.merge_identity import hold_change, recorded
from services.intake.application.open_case import Referral
from services.intake.application.ports import IntakeRows
from services.intake.domain.identity import ChangeKind, IdentityChange, RecordedChange
from shared.messaging.unit_of_work import Work


async def hold_conflict(
    work: Work[IntakeRows], case_ids: Collection[UUID], referral: Referral
) -> RecordedChange:
    """The pending conflict about these cases; told again while it is pending, the same one."""
    cases = sorted(case_ids)
    for case_id in cases:
        await work.rows.authority.lock_case(case_id)
    told = IdentityChange(
        kind=ChangeKind.CONFLICT,
        surviving=referral.identifiers,
        retired=(),
        source="referral",
        at=work.world.clock.now(),
    )
    return await hold_change(work, recorded(work, told, ChangeKind.CONFLICT, cases), told)
