"""A report that a merge was wrong: both cases are held again until two people have decided.

An unmerge of a merge that nobody confirmed yet asks for nothing new: that merge is declined.
"""

from services.intake.application.merge_identity import (
    MovedMeanwhileError,
    hold_change,
    recorded,
)
from services.intake.application.ports import IntakeRows
from services.intake.domain.identity import ChangeKind, IdentityChange, RecordedChange
from shared.messaging.unit_of_work import Work


class NotMergedError(Exception):
    """These records were not merged here: nothing can be taken apart."""


async def unmerge_identity(work: Work[IntakeRows], told: IdentityChange) -> RecordedChange:
    """The change that is now pending; told twice, the one on record.

    The retired identifiers are the surviving case's since the merge, so one case is found for both.
    Raises `NotMergedError`, and `RetryableError`: then begin anew.
    """
    merge = await _merge_meant(work, told)
    for case_id in sorted(merge.case_ids):
        await work.rows.authority.lock_case(case_id)
    if await _merge_meant(work, told) != merge:
        raise MovedMeanwhileError
    change = recorded(
        work,
        told,
        ChangeKind.UNMERGE,
        merge.case_ids,
        surviving=merge.surviving_case,
        retired=merge.retired_case,
    )
    return await hold_change(work, change, told)


async def _merge_meant(work: Work[IntakeRows], told: IdentityChange) -> RecordedChange:
    rows = work.rows.identity
    for case_id in await rows.cases_of([*told.surviving, *told.retired]):
        merge = await rows.merge_bringing(case_id, told.retired)
        if merge is not None:
            return merge
    raise NotMergedError
