"""Two defects that look harmless and are not, and a COMMIT that takes longer than its limit.

Each interleaving is forced with two real sessions. The planted defect fails it, the product passes:
a guard must be seen to fail.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from permit_world import IntakeRows, Site, a_cause, an_order

from services.intake.adapters.authority import AuthorityStore, _hold
from services.intake.application.grant_permit import Granted, Refused, grant_permit
from services.intake.application.place_hold import place_hold, record_hold
from services.intake.domain.holds import Hold
from services.intake.domain.permits import PermitRequest
from shared.contracts.vocabulary import Gate, Service
from shared.permits.clearance import HOLDER_OF, ClearanceVersion
from shared.permits.press_start import DoNotStart, Go, StartAnswer
from shared.permits.rows import HolderRows
from shared.persistence.statements import Statement

pytestmark = pytest.mark.integration
INFUSION = Service.INFUSION_SCHEDULING


# ---- lock and check in one statement, at the authority


class LockAndCheckInOne(AuthorityStore):
    """PLANTED DEFECT: the lock is taken by the statement that reads the holds."""

    async def lock_case(self, case_id: UUID) -> ClearanceVersion | None:
        return await super().view(case_id)

    async def open_holds(self, case_id: UUID) -> list[Hold]:
        rows = await self._tx.rows(_LOCK_AND_CHECK, case_id)
        return [_hold(row) for row in rows if row["hold_id"] is not None]


_LOCK_AND_CHECK = Statement(
    "lock_and_check",
    """
    SELECT h.* FROM case_clearance c
    LEFT JOIN hold h ON h.case_id = c.case_id AND h.state <> 'RELEASED'
    WHERE c.case_id = $1 FOR UPDATE OF c
    """,
)


async def grant_while_a_hold_commits(site: Site) -> Granted | Refused:
    """The grant begins while the hold's transaction is open, and goes on when it has committed."""
    case_id = await site.open_case()
    press = await site.a_press(case_id)
    request = PermitRequest(
        permit_id=press.permit_id,
        case_id=case_id,
        gate=Gate.INFUSION,
        holder=HOLDER_OF[Gate.INFUSION],
        subject_id=press.subject_id,
        attempt=1,
        dose_id=press.dose_id,
        seen=press.seen,
        requested_by="nurse-1",
    )
    async with site.authority.unit_of_work.begin(a_cause()) as work:
        # the hold takes the case's lock in the correct way, whatever the grant does
        correct = AuthorityStore(work.tx)
        work.rows.authority = correct
        await record_hold(work, an_order(case_id))
        granting = asyncio.create_task(grant_permit(site.authority, request, a_cause()))
        await site.until_lock_waits(Service.INTAKE, times=1)
    return await granting


async def test_a_grant_that_waited_for_a_hold_sees_it(site: Site) -> None:
    answer = await grant_while_a_hold_commits(site)

    assert isinstance(answer, Refused)
    assert "hold-open" in {reason.code for reason in answer.reasons}


async def test_planted_lock_and_check_in_one_statement_grants_against_the_hold(
    site: Site,
) -> None:
    site.authority.unit_of_work.repository = lambda tx: IntakeRows(LockAndCheckInOne(tx))

    answer = await grant_while_a_hold_commits(site)

    codes = [r.code.value for r in answer.reasons] if isinstance(answer, Refused) else []
    assert "hold-open" not in codes, "the defect must bite: the concurrent hold is not seen"


# ---- the fence row is not ensured, at the holder


async def start_while_a_hold_is_acknowledged(site: Site) -> tuple[StartAnswer, bool]:
    """The answer to the press, and whether the hold was effective before `go_at` was written.

    The acknowledgement arrives while the start's transaction is open, all its checks done.
    """
    case_id = await site.open_case()
    hooked = site.hook()
    order = an_order(case_id)
    tasks: list[asyncio.Task[None]] = []
    was_effective: list[bool] = []

    async def hold_arrives() -> None:
        await place_hold(site.authority, order, a_cause())
        tasks.append(asyncio.create_task(site.deliver_to_holder(INFUSION, case_id)))
        await until_done_or_waiting(tasks[0])

    async def until_done_or_waiting(task: asyncio.Task[None]) -> None:
        waiting = asyncio.create_task(site.until_lock_waits(INFUSION, times=1))
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def acknowledgement_reaches_the_authority() -> None:
        await tasks[0]
        await site.deliver_to_intake(INFUSION, case_id)
        was_effective.append((await site.hold_row(order.hold_id))["state"] == "EFFECTIVE")

    hooked.at_commit[1] = hold_arrives
    hooked.before[2] = acknowledgement_reaches_the_authority
    answer = await site.press(case_id)
    return answer, was_effective[0]


async def test_an_acknowledgement_waits_for_the_start_and_ends_it(site: Site) -> None:
    answer, was_effective = await start_while_a_hold_is_acknowledged(site)

    assert was_effective
    assert isinstance(answer, DoNotStart)


async def test_planted_fence_not_ensured_lets_an_acknowledgement_slip_by(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_ensured(self: HolderRows, case_ids: Sequence[UUID]) -> None:
        """PLANTED DEFECT: a missing row is locked, which locks nothing."""

    monkeypatch.setattr(HolderRows, "ensure_fences", not_ensured)

    answer, was_effective = await start_while_a_hold_is_acknowledged(site)

    assert was_effective
    assert isinstance(answer, Go), "the defect must bite: GO against an effective hold"


# ---- no second look, at the holder


async def test_planted_no_second_look_starts_on_a_late_commit(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await site.open_case()
    hooked = site.hook()

    async def ten_seconds_later() -> None:
        site.clocks.pass_seconds(10)

    async def no_look(holder: Any, start: Any, cause: Any) -> StartAnswer:
        """PLANTED DEFECT: whatever COMMIT took, it was committed."""
        return Go(start, 0)

    monkeypatch.setattr("shared.permits.press_start._look_again", no_look)
    hooked.after[1] = ten_seconds_later

    answer = await site.press(case_id)

    assert isinstance(answer, Go), "the defect must bite: GO after the permit's end"
