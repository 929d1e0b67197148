"""A hold that is not acknowledged, or a step that does not stop, reaches a person."""

from uuid import UUID

import pytest
from permit_world import Site, a_cause, an_order

from services.intake.application.page_unacknowledged import page_unacknowledged
from services.intake.application.place_hold import place_hold
from shared.contracts.vocabulary import Gate, HoldKind, Service
from shared.permits import after_start
from shared.permits.ask import PermitHeld, ask
from shared.permits.press_start import Go
from shared.permits.starts import Start

pytestmark = pytest.mark.integration
INFUSION = Service.INFUSION_SCHEDULING


@pytest.fixture
def site(own_site: Site) -> Site:
    """Paging looks at all cases."""
    return own_site


async def recorded_hold(site: Site, case_id: UUID) -> UUID:
    """A hold that waits for a permit."""
    press = await site.a_press(case_id)
    assert isinstance(await ask(site.holders[INFUSION], press), PermitHeld)
    order = an_order(case_id)
    await place_hold(site.authority, order, a_cause())
    return order.hold_id


async def running(site: Site, case_id: UUID) -> Start:
    answer = await site.press(case_id)
    assert isinstance(answer, Go)
    await site.deliver_to_intake(INFUSION, case_id)
    return answer.start


async def page_after(site: Site, seconds: float) -> int:
    site.clocks.pass_seconds(seconds)
    return await page_unacknowledged(site.authority)


async def test_a_hold_unacknowledged_for_five_seconds_is_paged_once(site: Site) -> None:
    case_id = await site.open_case()
    hold_id = await recorded_hold(site, case_id)

    tried = [await page_after(site, seconds) for seconds in (4.9, 0.1, 1, 60)]

    assert tried == [0, 1, 0, 0]
    (page,) = site.pagers.paged
    assert (page.hold_id, page.cause) == (hold_id, "unacknowledged")
    assert "hold-overdue" in await site.event_names(Service.INTAKE, case_id)


async def test_an_acknowledged_hold_is_not_paged(site: Site) -> None:
    case_id = await site.open_case()
    await recorded_hold(site, case_id)
    await site.deliver_to_holder(INFUSION, case_id)
    await site.deliver_to_intake(INFUSION, case_id)

    assert await page_after(site, 6) == 0


async def test_a_hold_without_anything_out_is_not_paged(site: Site) -> None:
    case_id = await site.open_case()
    await place_hold(site.authority, an_order(case_id), a_cause())

    assert await page_after(site, 120) == 0


async def test_a_hold_over_a_running_step_that_its_holder_does_not_know_is_paged(
    site: Site,
) -> None:
    case_id = await site.open_case()
    await running(site, case_id)
    await place_hold(site.authority, an_order(case_id), a_cause())

    assert await page_after(site, 5) == 1
    assert site.pagers.paged[0].cause == "unacknowledged"


async def test_a_step_that_does_not_stop_within_a_minute_is_paged(site: Site) -> None:
    case_id = await site.open_case()
    await running(site, case_id)
    await place_hold(site.authority, an_order(case_id), a_cause())
    await site.deliver_to_holder(INFUSION, case_id)
    await site.deliver_to_intake(INFUSION, case_id)

    tried = [await page_after(site, seconds) for seconds in (59, 1)]

    assert tried == [0, 1]
    assert site.pagers.paged[0].cause == "not_stopped"


async def test_a_step_that_stopped_is_not_paged(site: Site) -> None:
    case_id = await site.open_case()
    start = await running(site, case_id)
    await place_hold(site.authority, an_order(case_id), a_cause())
    await site.deliver_to_holder(INFUSION, case_id)
    await site.deliver_to_intake(INFUSION, case_id)
    async with site.authority.unit_of_work.begin(a_cause()) as work:  # infusion-stopped arrives
        assert start.permit_id is not None
        await work.rows.authority.end_permit(start.permit_id, site.clocks.machine.now())

    assert await page_after(site, 61) == 0


async def test_a_hold_that_only_tells_pages_nobody_for_a_running_step(site: Site) -> None:
    case_id = await site.open_case()
    await running(site, case_id)
    order = an_order(case_id, kind=HoldKind.LOGISTICS)
    await place_hold(site.authority, order, a_cause())
    await site.deliver_to_holder(INFUSION, case_id)
    await site.deliver_to_intake(INFUSION, case_id)

    assert await page_after(site, 61) == 0


async def test_a_start_without_permit_is_paged(site: Site) -> None:
    case_id = await site.open_case()
    holder = site.holders[INFUSION]
    async with holder.unit_of_work.begin(a_cause()) as work:
        await after_start.already_running(
            holder,
            work,
            start_id=holder.world.ids.new(),
            case_id=case_id,
            gate=Gate.INFUSION,
            subject_id=holder.world.ids.new(),
            attempt=1,
            dose_id=None,
            place="bay 4",
        )
    await site.deliver_to_intake(INFUSION, case_id)

    assert await page_after(site, 0) == 1
    assert site.pagers.paged[0].cause == "unpermitted_start"


async def test_mail_goes_out_when_notification_is_away_and_the_page_is_tried_again(
    site: Site,
) -> None:
    case_id = await site.open_case()
    await recorded_hold(site, case_id)
    site.pagers.notification_up = False

    await page_after(site, 5)
    await page_after(site, 5)
    site.pagers.notification_up = True
    await page_after(site, 5)
    await page_after(site, 5)

    assert len(site.pagers.mailed) == 1, "one mail is enough; the page itself is repeated"
    assert len(site.pagers.paged) == 1


async def test_when_all_fail_the_hold_says_that_nobody_was_paged(site: Site) -> None:
    case_id = await site.open_case()
    hold_id = await recorded_hold(site, case_id)
    site.pagers.notification_up = site.pagers.mail_up = False
    await page_after(site, 5)

    answer = await site.client.post(
        f"/cases/{case_id}/holds",
        headers={"x-asker": "oncologist-1:oncologist"},
        json={"hold_id": str(hold_id), "kind": "clinical_concern"},
    )

    assert answer.status_code == 200
    assert answer.json()["warning"] == "nobody was paged: telephone"
    site.pagers.mail_up = True
    await page_after(site, 5)
    again = await site.client.post(
        f"/cases/{case_id}/holds",
        headers={"x-asker": "oncologist-1:oncologist"},
        json={"hold_id": str(hold_id), "kind": "clinical_concern"},
    )
    assert again.json()["warning"] is None
