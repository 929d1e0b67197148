"""A report that records are one patient, or that an identifier changed: hold first, decide later.

Invariant: a merge moves nothing. In one transaction, with the cases locked in ascending order,
every case it names is held at all gates, and stays so until two people have decided the change.
"""

from collections.abc import Sequence
from uuid import UUID, uuid5

from services.intake.application.place_hold import record_hold
from services.intake.application.ports import IntakeRows
from services.intake.domain.holds import ALL_GATES, POLICY, HoldOrder, HoldScope
from services.intake.domain.identity import (
    ChangeKind,
    ChangeState,
    IdentityChange,
    RecordedChange,
)
from shared.contracts.coordination import IdentityMerged, IdentityUnmerged
from shared.contracts.vocabulary import HoldKind
from shared.messaging.unit_of_work import Work
from shared.persistence.database import RetryableError

#: the space of the ids that reports of identity have
_NAMESPACE = UUID("5f0c1c3a-5a52-5d63-9a55-0a4d8f8a7f10")


class MovedMeanwhileError(RetryableError):
    """An identifier changed its case while the cases were locked: look again."""


async def merge_identity(work: Work[IntakeRows], told: IdentityChange) -> RecordedChange | None:
    """The change that is now pending; None when no case is concerned, or all is one case already.

    Told twice, it is the change on record. Raises `RetryableError`: then begin anew.
    """
    surviving, retired = await locked_cases(work, told)
    if len(set(surviving) | set(retired)) == 0:
        return None
    if len(surviving) > 1 or len(retired) > 1:
        cases = sorted({*surviving, *retired})
        return await hold_change(work, recorded(work, told, ChangeKind.CONFLICT, cases), told)
    if told.kind is ChangeKind.CHANGE and not (surviving and retired):
        await _learn(work, (*surviving, *retired)[0], told)
        return None
    if surviving == retired:
        return None
    change = recorded(
        work,
        told,
        ChangeKind.MERGE,
        sorted({*surviving, *retired}),
        surviving=next(iter(surviving), None),
        retired=next(iter(retired), None),
    )
    return await hold_change(work, change, told)


async def locked_cases(
    work: Work[IntakeRows], told: IdentityChange
) -> tuple[Sequence[UUID], Sequence[UUID]]:
    """The cases of the surviving and the retired identifiers, locked in ascending order."""
    rows = work.rows.identity
    before = (await rows.cases_of(told.surviving), await rows.cases_of(told.retired))
    for case_id in sorted({*before[0], *before[1]}):
        await work.rows.authority.lock_case(case_id)
    after = (await rows.cases_of(told.surviving), await rows.cases_of(told.retired))
    if after != before:
        raise MovedMeanwhileError
    return after


async def hold_change(
    work: Work[IntakeRows], change: RecordedChange, told: IdentityChange
) -> RecordedChange:
    """The change, pending, with a hold on each of its cases, which are locked."""
    rows = work.rows.identity
    known = await rows.change(change.change_id) or await rows.same_open_change(change)
    if known is not None:
        return known
    await rows.insert_change(change, told.reason)
    holds = {case_id: await place_change_hold(work, change, case_id) for case_id in change.case_ids}
    for case_id, hold_id in holds.items():
        _tell(work, change, case_id, hold_id)
        work.note(f"identity-{change.kind.value}-reported", case_id, change=str(change.change_id))
    return change


async def place_change_hold(work: Work[IntakeRows], change: RecordedChange, case_id: UUID) -> UUID:
    """The id of the change's hold on this case: all gates, released by its decision alone."""
    order = HoldOrder(
        hold_id=uuid5(change.change_id, f"hold:{case_id}"),
        case_id=case_id,
        kind=HoldKind.IDENTITY,
        scope=HoldScope(ALL_GATES),
        on_running=POLICY[HoldKind.IDENTITY].on_running,
        reporter=change.proposer,
        episode=change.hold_episode,
    )
    await record_hold(work, order)
    return order.hold_id


def _tell(work: Work[IntakeRows], change: RecordedChange, case_id: UUID, hold_id: UUID) -> None:
    others = [other for other in change.case_ids if other != case_id]
    if not others or change.kind is ChangeKind.CONFLICT:
        return  # the hold tells; there is no other case, or no one case that it is merged with
    event = IdentityUnmerged if change.kind is ChangeKind.UNMERGE else IdentityMerged
    work.emit(
        event(case_id=case_id, other_case_id=others[0], hold_id=hold_id),
        kind=f"identity:{change.change_id}:{case_id}",
    )


def recorded(
    work: Work[IntakeRows],
    told: IdentityChange,
    kind: ChangeKind,
    cases: Sequence[UUID],
    *,
    surviving: UUID | None = None,
    retired: UUID | None = None,
) -> RecordedChange:
    """The change as it will be on record."""
    return RecordedChange(
        change_id=change_id_of(told, kind),
        kind=kind,
        state=ChangeState.PENDING,
        case_ids=tuple(cases),
        surviving_case=surviving,
        retired_case=retired,
        retired_keys=tuple(sorted(set(told.retired))) if kind is ChangeKind.MERGE else (),
        moved=(),
        source=told.source,
        occurred_at=told.at,
        recorded_at=work.world.clock.now(),
        proposer=work.cause.actor,
    )


async def _learn(work: Work[IntakeRows], case_id: UUID, told: IdentityChange) -> None:
    """A changed record number of one patient: the case has the new identifiers as well."""
    for system, value in sorted({*told.surviving, *told.retired}):
        await work.rows.record.claim_identifier(system, value, case_id)
    work.note("identifier-changed", case_id, source=told.source)


def change_id_of(told: IdentityChange, kind: ChangeKind) -> UUID:
    """The id that this report has whenever it arrives."""
    words = [kind.value, told.source, told.at.isoformat()]
    words += [f"{s}|{v}" for s, v in sorted(told.surviving)] + ["<"]
    words += [f"{s}|{v}" for s, v in sorted(told.retired)]
    return uuid5(_NAMESPACE, "\x1f".join(words))
