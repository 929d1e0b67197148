"""A restored authority, and a restored holder."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from permit_world import BOTH, IntakeRows, Site, a_cause, an_order

from services.intake.adapters.authority import AuthorityStore
from services.intake.application.lapse_permits import lapse_permits
from services.intake.application.place_hold import place_hold
from services.intake.application.recover import OldPrimaryError, Recovered, recover
from services.intake.application.release_hold import release_hold
from shared.contracts.coordination import EpochStarted, HoldEffective
from shared.contracts.vocabulary import Gate, Role, Service
from shared.permits.ask import PermitHeld, ask
from shared.permits.guard import (
    DatabaseReplacedError,
    RestoreGuard,
    begin_guard,
    watch_guard,
)
from shared.permits.press_start import DoNotStart, Go, StartRefused
from shared.permits.rows import DatabaseIdentity, HolderRows

pytestmark = pytest.mark.integration
INFUSION = Service.INFUSION_SCHEDULING


@pytest.fixture
def site(own_site: Site) -> Site:
    """`recover` touches all cases."""
    return own_site


async def recovered(site: Site, **more: Any) -> Recovered:
    return await recover(
        site.authority,
        reason="restored from backup",
        old_primary_is_stopped=True,
        cause=a_cause("ops-1"),
        **more,
    )


async def reverified(site: Site, case_id: UUID) -> None:
    """A person has checked the case after the restore."""
    (hold,) = await site.query(
        Service.INTAKE,
        "SELECT hold_id FROM hold WHERE case_id = $1 AND kind = 'reverification'"
        " AND state <> 'RELEASED'",
        case_id,
    )
    await release_hold(
        site.authority,
        hold["hold_id"],
        roles=frozenset({Role.COORDINATOR}),
        reason="checked",
        cause=a_cause("coordinator-1"),
    )


async def effective(site: Site, case_id: UUID) -> list[str]:
    events = await site.events(Service.INTAKE, case_id)
    return [e.data.effective_by.value for e in events if isinstance(e.data, HoldEffective)]


async def test_recover_asks_whether_the_old_primary_is_stopped(site: Site) -> None:
    with pytest.raises(OldPrimaryError):
        await recover(
            site.authority, reason="x", old_primary_is_stopped=False, cause=a_cause("ops-1")
        )


async def test_recover_raises_the_epoch_and_voids_every_permit(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id)
    assert isinstance(await ask(site.holders[INFUSION], press), PermitHeld)

    done = await recovered(site)

    assert (done.epoch, done.cases, done.permits_voided) == (1, 1, 1)
    assert (await site.permit_row(press.permit_id))["state"] == "LAPSED"
    assert (await site.seen(case_id)).epoch == 1


async def test_a_database_restored_twice_does_not_use_one_epoch_twice(site: Site) -> None:
    await site.open_case()

    assert (await recovered(site, epoch_min=7)).epoch == 7
    assert (await recovered(site)).epoch == 8


async def test_the_new_stream_opens_with_a_snapshot_of_the_open_holds(site: Site) -> None:
    case_id = await site.open_case()
    order = an_order(case_id, gates={Gate.INFUSION})
    await place_hold(site.authority, order, a_cause())

    await recovered(site)

    new = [e for e in await site.events(Service.INTAKE, case_id) if e.epoch == 1]
    assert [e.sequence for e in new] == list(range(1, len(new) + 1))
    assert isinstance(new[0].data, EpochStarted)
    assert order.hold_id in {hold.hold_id for hold in new[0].data.open_holds}
    assert len(new[0].data.open_holds) == 2, "the hold and the re-verification"
    assert all(new[0].data.version >= hold.version for hold in new[0].data.open_holds), (
        "no hold of the snapshot is newer than the fence that it raises"
    )


async def test_a_permit_of_the_old_epoch_does_not_pass_the_new_fence(site: Site) -> None:
    case_id = await site.open_case()

    async def restore() -> None:
        await recovered(site)
        await site.deliver_to_holder(INFUSION, case_id)

    site.after_answer(restore)
    answer = await site.press(case_id)

    assert isinstance(answer, StartRefused)
    assert answer.code == "fenced"


async def test_after_recover_nothing_starts_before_a_person_has_looked(site: Site) -> None:
    case_id = await site.open_case()
    await recovered(site)

    refused = await site.press(case_id)
    await reverified(site, case_id)
    for service in BOTH:
        await site.deliver_to_holder(service, case_id)
    allowed = await site.press(case_id)

    assert isinstance(refused, StartRefused)
    assert refused.code == "hold-open"
    assert isinstance(allowed, Go)


async def test_within_the_window_no_hold_is_effective_without_a_permit(site: Site) -> None:
    case_id = await site.open_case()
    await recovered(site)

    answer = await place_hold(site.authority, an_order(case_id), a_cause())

    assert answer.hold.state == "RECORDED"


async def test_within_the_window_all_holders_must_acknowledge(site: Site) -> None:
    case_id = await site.open_case()
    before = an_order(case_id)
    await place_hold(site.authority, before, a_cause())
    await recovered(site)
    after = an_order(case_id)
    await place_hold(site.authority, after, a_cause())

    seen = []
    for service in BOTH:
        await site.deliver_to_holder(service, case_id)
        await site.deliver_to_intake(service, case_id)
        seen.append([(await site.hold_row(o.hold_id))["state"] for o in (before, after)])

    assert seen == [["RECORDED", "RECORDED"], ["EFFECTIVE", "EFFECTIVE"]]
    assert set((await effective(site, case_id))[1:]) == {"ACK"}


async def test_the_window_closes_by_lapse(site: Site) -> None:
    case_id = await site.open_case()
    await recovered(site)
    order = an_order(case_id)
    await place_hold(site.authority, order, a_cause())

    states = []
    for seconds in (14.9, 0.1):
        site.clocks.pass_seconds(seconds)
        await lapse_permits(site.authority)
        states.append((await site.hold_row(order.hold_id))["state"])
    later = await place_hold(site.authority, an_order(case_id), a_cause())

    assert states == ["RECORDED", "EFFECTIVE"]
    assert "LAPSE" in await effective(site, case_id)
    assert later.hold.effective_by == "NO_PERMIT"


async def test_a_window_that_outlives_its_boot_begins_anew(site: Site) -> None:
    case_id = await site.open_case()
    await recovered(site)
    order = an_order(case_id)
    await place_hold(site.authority, order, a_cause())
    site.clocks.lease.boot_id = "boot-2"
    site.clocks.lease.reading_ns = 9_000_000_000_000_000

    states = []
    for seconds in (0, 14, 1):
        site.clocks.pass_seconds(seconds)
        await lapse_permits(site.authority)
        states.append((await site.hold_row(order.hold_id))["state"])

    assert states == ["RECORDED", "RECORDED", "EFFECTIVE"]


async def test_planted_effective_at_once_after_a_restore(site: Site) -> None:
    class Forgetful(AuthorityStore):
        """PLANTED DEFECT: the window after `recover` is forgotten."""

        async def recovery(self) -> None:
            return None

    case_id = await site.open_case()
    await recovered(site)
    site.authority.unit_of_work.repository = lambda tx: IntakeRows(Forgetful(tx))

    answer = await place_hold(site.authority, an_order(case_id), a_cause())

    assert answer.hold.effective_by == "NO_PERMIT", "the defect must bite"


class Restored(AuthorityStore):
    """An authority whose database has come back from another time."""

    is_own = False

    async def is_own_history(self) -> bool:
        return self.is_own

    async def keep_history(self) -> None:
        type(self).is_own = True


async def test_a_restored_authority_grants_nothing_before_recover(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await site.open_case()
    dose_id = await site.issued_dose(case_id)
    monkeypatch.setattr(Restored, "is_own", False)
    site.authority.unit_of_work.repository = lambda tx: IntakeRows(Restored(tx))

    refused = await site.press(case_id, dose_id=dose_id)
    placed = await place_hold(site.authority, an_order(case_id), a_cause())
    await recovered(site)
    after = await site.press(case_id, dose_id=dose_id)

    assert isinstance(refused, DoNotStart)
    assert placed.hold.state == "RECORDED", "permits may be out that this database does not know"
    assert isinstance(after, StartRefused)
    assert after.code == "hold-open"


async def test_the_authority_knows_its_history_from_the_first_time_on(site: Site) -> None:
    await site.open_case()
    for _ in range(2):
        async with site.authority.unit_of_work.begin(a_cause()) as work:
            assert await work.rows.authority.is_own_history()
    await site.query(
        Service.INTAKE, "UPDATE authority_history SET timeline = '0000000F' RETURNING timeline"
    )

    async with site.authority.unit_of_work.begin(a_cause()) as work:
        changed = await work.rows.authority.is_own_history()
    await recovered(site)
    async with site.authority.unit_of_work.begin(a_cause()) as work:
        again = await work.rows.authority.is_own_history()

    assert (changed, again) == (False, True)


async def test_the_snapshot_replaces_what_a_holder_knew(site: Site) -> None:
    case_id = await site.open_case()
    lost, kept = an_order(case_id), an_order(case_id)
    await place_hold(site.authority, lost, a_cause())
    await place_hold(site.authority, kept, a_cause())
    await site.deliver_to_holder(INFUSION, case_id)
    await site.query(  # what a restore to an earlier time does
        Service.INTAKE, "DELETE FROM hold WHERE hold_id = $1", lost.hold_id
    )
    await recovered(site)

    await site.deliver_to_holder(INFUSION, case_id)

    rows = await site.query(
        INFUSION, "SELECT hold_id, status FROM hold_replica WHERE case_id = $1", case_id
    )
    known = {row["hold_id"]: row["status"] for row in rows}
    assert lost.hold_id not in known
    assert known[kept.hold_id] == "OPEN"


# ---- the holder's own database


class Replaced(HolderRows):
    """Tells another history than the server has."""

    told = DatabaseIdentity("1", 1)

    async def present_identity(self) -> DatabaseIdentity:
        return self.told


async def guarded(site: Site, monkeypatch: pytest.MonkeyPatch) -> RestoreGuard:
    monkeypatch.setattr("shared.permits.guard.HolderRows", Replaced)
    monkeypatch.setattr("shared.permits.press_start.HolderRows", Replaced)
    guard = RestoreGuard()
    site.holders[INFUSION] = replace(site.holders[INFUSION], guard=guard)
    return guard


async def test_the_server_tells_its_history(site: Site) -> None:
    async with site.databases[INFUSION].transaction() as tx:
        found = await HolderRows(tx).present_identity()

    assert found.timeline_id == 1
    assert found.system_identifier.isdigit()


async def test_nothing_starts_before_the_guard_has_looked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await guarded(site, monkeypatch)
    case_id = await site.open_case()

    answer = await site.press(case_id)

    assert isinstance(answer, StartRefused)
    assert answer.code == "holder-not-ready"


async def test_a_database_replaced_under_the_process_starts_nothing_and_ends_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = await guarded(site, monkeypatch)
    holder = site.holders[INFUSION]
    assert not await begin_guard(holder, guard)
    case_id = await site.open_case()

    async def fail_over() -> None:
        monkeypatch.setattr(Replaced, "told", DatabaseIdentity("1", 2))

    site.after_answer(fail_over)
    answer = await site.press(case_id)

    assert isinstance(answer, StartRefused)
    assert answer.code == "holder-not-ready"
    with pytest.raises(DatabaseReplacedError):
        await watch_guard(holder, guard)


async def test_a_restored_holder_waits_for_old_permits_and_for_the_holds(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = await guarded(site, monkeypatch)
    holder = site.holders[INFUSION]
    await begin_guard(holder, guard)
    touched, other = await site.open_case(), await site.open_case()
    assert isinstance(await site.press(touched), Go)
    order = an_order(other)
    await place_hold(site.authority, order, a_cause())
    monkeypatch.setattr(Replaced, "told", DatabaseIdentity("1", 2))  # restored; a new process
    fresh = RestoreGuard()
    site.holders[INFUSION] = holder = replace(holder, guard=fresh)

    was_replaced = await begin_guard(holder, fresh)
    ready = []
    for cut, seconds in ((True, 20), (False, 0)):
        site.wire.is_cut = cut
        site.clocks.pass_seconds(seconds)
        await watch_guard(holder, fresh)
        ready.append(fresh.is_ready)

    assert was_replaced
    assert ready == [False, True], "not without the authority's holds, however long it waits"
    rows = await site.query(INFUSION, "SELECT case_id FROM hold_replica")
    assert {row["case_id"] for row in rows} == {touched, other}
    held = await site.query(Service.INTAKE, "SELECT kind FROM hold WHERE case_id = $1", touched)
    assert [row["kind"] for row in held] == ["reverification"]
    again = RestoreGuard()
    assert not await begin_guard(replace(holder, guard=again), again), "told once"


async def test_a_restored_holder_waits_fifteen_seconds(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = await guarded(site, monkeypatch)
    holder = site.holders[INFUSION]
    await begin_guard(holder, guard)
    monkeypatch.setattr(Replaced, "told", DatabaseIdentity("1", 2))
    fresh = RestoreGuard()
    await begin_guard(holder, fresh)

    ready = []
    for seconds in (0, 14.9, 0.1):
        site.clocks.pass_seconds(seconds)
        await watch_guard(holder, fresh)
        ready.append(fresh.is_ready)

    assert ready == [False, False, True]
