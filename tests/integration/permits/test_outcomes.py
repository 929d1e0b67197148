"""What ends a permit, and when a recorded hold becomes effective."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from permit_world import Site, a_cause, an_order

from services.intake.application.consume_permit import OutcomeReport, consume_permit
from services.intake.application.lapse_permits import lapse_permits
from services.intake.application.place_hold import HoldAnswer, place_hold
from services.intake.application.release_hold import release_hold
from services.intake.domain.permits import Outcome
from shared.contracts.coordination import HoldEffective
from shared.contracts.manufacturing import ManufacturingHoldAcknowledged
from shared.contracts.vocabulary import Gate, InFlight, Role, Service
from shared.permits.ask import PermitHeld, Press, ask, tell_outcome
from shared.permits.press_start import Go

pytestmark = pytest.mark.integration
INFUSION = Service.INFUSION_SCHEDULING


async def a_permit_out(site: Site, case_id: UUID, **changes: Any) -> Press:
    press = await site.a_press(case_id, **changes)
    holder = INFUSION if press.gate is Gate.INFUSION else Service.MANUFACTURING
    assert isinstance(await ask(site.holders[holder], press), PermitHeld)
    return press


def a_report(press: Press, outcome: Outcome, holder: Service = INFUSION) -> OutcomeReport:
    return OutcomeReport(
        case_id=press.case_id,
        permit_id=press.permit_id,
        start_id=uuid4(),
        gate=press.gate,
        holder=holder,
        subject_id=press.subject_id,
        dose_id=press.dose_id,
        attempt=press.attempt,
        outcome=outcome,
    )


async def held(site: Site, case_id: UUID, **changes: Any) -> HoldAnswer:
    return await place_hold(site.authority, an_order(case_id, **changes), a_cause())


async def effective(site: Site, case_id: UUID) -> list[str]:
    events = await site.events(Service.INTAKE, case_id)
    return [e.data.effective_by.value for e in events if isinstance(e.data, HoldEffective)]


async def told_of(site: Site, case_id: UUID, permit_id: UUID | None) -> list[str]:
    """What the authority's events say became of the permit, in order."""
    return [
        e.data.type.split(".")[2].removeprefix("permit-")
        for e in await site.events(Service.INTAKE, case_id)
        if getattr(e.data, "permit_id", None) == permit_id
    ]


async def state_of(site: Site, press: Press) -> str:
    return str((await site.permit_row(press.permit_id))["state"])


# ---- recorded, and how it becomes effective


async def test_a_hold_on_a_permit_that_is_out_is_recorded_with_bay_and_latest_time(
    site: Site,
) -> None:
    case_id = await site.open_case()
    press = await a_permit_out(site, case_id)

    answer = await held(site, case_id)

    assert answer.hold.state == "RECORDED"
    (running,) = answer.may_be_running
    assert (running.permit_id, running.place) == (press.permit_id, "bay 3")
    # 10 s x 1.01 + 2 s commit bound + 2 s margin
    assert answer.may_start_until is not None
    assert (answer.may_start_until - site.clocks.machine.now()).total_seconds() == 14.1
    recorded = (await site.events(Service.INTAKE, case_id))[-1].data
    assert (recorded.effective, recorded.may_be_running_until) == (False, answer.may_start_until)


async def test_a_hold_on_another_gate_does_not_wait_for_the_permit(site: Site) -> None:
    case_id = await site.open_case()
    await a_permit_out(site, case_id)

    answer = await held(site, case_id, gates={Gate.COLLECTION})

    assert answer.hold.effective_by == "NO_PERMIT"


async def test_effective_by_the_acknowledgement_of_the_permits_holder(site: Site) -> None:
    case_id = await site.open_case()
    await a_permit_out(site, case_id)
    answer = await held(site, case_id)
    await site.deliver_to_holder(INFUSION, case_id)

    await site.deliver_to_intake(INFUSION, case_id)

    assert await effective(site, case_id) == ["ACK"]
    assert (await site.hold_row(answer.hold.hold_id))["effective_by"] == "ACK"


async def test_the_acknowledgement_of_the_other_holder_does_not_make_it_effective(
    site: Site,
) -> None:
    case_id = await site.open_case()
    await a_permit_out(site, case_id)
    answer = await held(site, case_id)
    await site.deliver_to_holder(Service.MANUFACTURING, case_id)

    await site.deliver_to_intake(Service.MANUFACTURING, case_id)

    assert (await site.hold_row(answer.hold.hold_id))["state"] == "RECORDED"


async def test_an_acknowledgement_of_another_epoch_does_not_count(site: Site) -> None:
    case_id = await site.open_case()
    await a_permit_out(site, case_id, gate=Gate.COLLECTION)
    answer = await held(site, case_id)
    await site.deliver_to_holder(Service.MANUFACTURING, case_id)
    (ack,) = await site.events(Service.MANUFACTURING, case_id)
    assert isinstance(ack.data, ManufacturingHoldAcknowledged)
    stale = ack.data.model_copy(update={"epoch": 7, "in_flight": InFlight.NONE})

    await site.apply_at_intake(ack._replace(data=stale))

    assert (await site.hold_row(answer.hold.hold_id))["state"] == "RECORDED"


async def test_effective_by_lapse_and_not_a_moment_before(own_site: Site) -> None:
    case_id = await own_site.open_case()
    press = await a_permit_out(own_site, case_id)
    await held(own_site, case_id)

    early = await own_site.lapse(14.05)
    late = await own_site.lapse(0.06)

    assert (early, late) == (0, 1)
    assert await effective(own_site, case_id) == ["LAPSE"]
    assert await state_of(own_site, press) == "LAPSED"


async def test_a_permit_of_another_boot_lapses_after_its_first_sight(own_site: Site) -> None:
    case_id = await own_site.open_case()
    await a_permit_out(own_site, case_id)
    await held(own_site, case_id)
    own_site.clocks.lease.boot_id = "boot-2"
    own_site.clocks.lease.reading_ns = 9_000_000_000_000_000

    lapsed = [await own_site.lapse(seconds) for seconds in (0, 14, 0.2)]

    assert lapsed == [0, 0, 1]
    assert await effective(own_site, case_id) == ["LAPSE"]


async def test_one_lapser_at_a_time(own_site: Site) -> None:
    case_id = await own_site.open_case()
    await a_permit_out(own_site, case_id)
    own_site.clocks.pass_seconds(20)

    lapsed = await asyncio.gather(*(lapse_permits(own_site.authority) for _ in range(5)))

    assert sum(lapsed) == 1
    names = await own_site.event_names(Service.INTAKE, case_id)
    assert names.count("permit-lapsed") == 1


async def test_effective_by_consumption(site: Site) -> None:
    case_id = await site.open_case()
    press = await a_permit_out(site, case_id)
    answer = await held(site, case_id)

    await consume_permit(site.authority, a_report(press, Outcome.CONSUMED), a_cause())

    assert await effective(site, case_id) == ["CONSUMED"]
    again = await place_hold(site.authority, an_order(case_id), a_cause())
    assert [m.state for m in again.may_be_running] == ["CONSUMED"]
    assert (await site.hold_row(answer.hold.hold_id))["state"] == "EFFECTIVE"


async def test_a_hold_waits_for_every_permit_in_its_scope(site: Site) -> None:
    case_id = await site.open_case()
    infusion = await a_permit_out(site, case_id)
    collection = await a_permit_out(site, case_id, gate=Gate.COLLECTION)
    await held(site, case_id)

    await consume_permit(site.authority, a_report(infusion, Outcome.UNDONE), a_cause())
    after_one = await effective(site, case_id)
    report = a_report(collection, Outcome.UNDONE, Service.MANUFACTURING)
    await consume_permit(site.authority, report, a_cause())

    assert after_one == []
    assert await effective(site, case_id) == ["CONSUMED"]


async def test_a_released_hold_waits_for_nothing(own_site: Site) -> None:
    case_id = await own_site.open_case()
    await a_permit_out(own_site, case_id)
    answer = await held(own_site, case_id)
    await release_hold(
        own_site.authority,
        answer.hold.hold_id,
        roles=frozenset({Role.ONCOLOGIST}),
        reason="ok",
        cause=a_cause("oncologist-2"),
    )

    await own_site.lapse()

    assert await effective(own_site, case_id) == []


# ---- the life of a permit


async def test_a_late_consumption_of_a_lapsed_permit_is_legal_and_listed_again(
    own_site: Site,
) -> None:
    case_id = await own_site.open_case()
    press = await a_permit_out(own_site, case_id)
    await own_site.lapse()
    before = await held(own_site, case_id)

    await consume_permit(own_site.authority, a_report(press, Outcome.CONSUMED), a_cause())

    after = await held(own_site, case_id)
    assert before.may_be_running == (), "the holder's stream is applied past the lapse"
    assert await state_of(own_site, press) == "CONSUMED"
    assert [m.state for m in after.may_be_running] == ["CONSUMED"]


async def test_a_lapsed_permit_may_be_running_until_the_holders_stream_is_applied(
    own_site: Site,
) -> None:
    case_id = await own_site.open_case()
    await a_permit_out(own_site, case_id)
    own_site.record.behind = {INFUSION}
    await own_site.lapse()

    unknown = await held(own_site, case_id)
    own_site.record.behind = set()
    await own_site.lapse(1)
    known = await held(own_site, case_id)

    assert [m.state for m in unknown.may_be_running] == ["LAPSED"]
    assert known.may_be_running == ()


async def test_undone_is_final(site: Site) -> None:
    case_id = await site.open_case()
    press = await a_permit_out(site, case_id)

    for outcome in (Outcome.UNDONE, Outcome.CONSUMED, Outcome.UNDONE):
        await consume_permit(site.authority, a_report(press, outcome), a_cause())

    assert await state_of(site, press) == "UNDONE"
    assert await told_of(site, press.case_id, press.permit_id) == ["granted", "undone"]


async def test_a_consumption_of_an_unknown_permit_never_fails(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id)

    for _ in range(2):
        await consume_permit(site.authority, a_report(press, Outcome.CONSUMED), a_cause())

    assert await state_of(site, press) == "CONSUMED"


async def test_a_consumption_is_never_refused_by_an_index(site: Site) -> None:
    """Two of one attempt: impossible at the holder, and still recorded (model: R_IDX)."""
    case_id = await site.open_case()
    first = await a_permit_out(site, case_id)
    second = await site.a_press(case_id, subject_id=first.subject_id, dose_id=first.dose_id)

    for press in (first, second):
        await consume_permit(site.authority, a_report(press, Outcome.CONSUMED), a_cause())

    assert [await state_of(site, p) for p in (first, second)] == ["CONSUMED", "CONSUMED"]


async def test_a_consumption_that_names_anothers_permit_is_a_start_without_one(
    site: Site,
) -> None:
    case_id = await site.open_case()
    press = await a_permit_out(site, case_id)
    stray = a_report(press, Outcome.CONSUMED, Service.MANUFACTURING)

    await consume_permit(site.authority, stray, a_cause())

    assert await state_of(site, press) == "GRANTED"
    (found,) = await site.query(
        Service.INTAKE, "SELECT * FROM unpermitted_start WHERE case_id = $1", case_id
    )
    assert found["holder"] == "manufacturing"


async def test_lapse_and_consumption_at_once_end_consumed(own_site: Site) -> None:
    for _ in range(10):
        case_id = await own_site.open_case()
        press = await a_permit_out(own_site, case_id)
        await held(own_site, case_id)
        own_site.clocks.pass_seconds(15)

        await asyncio.gather(
            lapse_permits(own_site.authority),
            consume_permit(own_site.authority, a_report(press, Outcome.CONSUMED), a_cause()),
        )

        assert await state_of(own_site, press) == "CONSUMED"
        assert len(await effective(own_site, case_id)) == 1


async def test_the_holder_tells_the_outcome_directly_too(site: Site) -> None:
    case_id = await site.open_case()
    answer = await site.press(case_id)
    assert isinstance(answer, Go)

    taken = await tell_outcome(site.holders[INFUSION], answer.start, "consumed")
    site.wire.is_cut = True
    lost = await tell_outcome(site.holders[INFUSION], answer.start, "consumed")

    assert (taken, lost) == (True, False)
    await site.deliver_to_intake(INFUSION, case_id)
    permit_id = answer.start.permit_id
    assert await told_of(site, case_id, permit_id) == ["granted", "consumed"]
