"""The holder's press: GO only when all of it held, and what every loss on the way leaves behind."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from permit_world import Site, a_cause, an_order

from services.intake.application.place_hold import place_hold
from services.intake.application.release_hold import release_hold
from shared.contracts.vocabulary import Gate, HoldKind, OnRunning, Role, Service
from shared.permits import after_start
from shared.permits.press_start import DoNotStart, Go, StartRefused, press_start
from shared.permits.rows import HolderRows
from shared.permits.starts import Start, StartChangeKind
from shared.permits.sweep import sweep

pytestmark = pytest.mark.integration

INFUSION = Service.INFUSION_SCHEDULING


async def go(site: Site, case_id: UUID, **changes: Any) -> Start:
    answer = await site.press(case_id, **changes)
    assert isinstance(answer, Go), answer
    return answer.start


async def state_of(site: Site, start_id: UUID) -> str:
    (row,) = await site.query(INFUSION, "SELECT state FROM start WHERE start_id = $1", start_id)
    return str(row["state"])


async def answered(site: Site, what: Any, *args: Any, **more: Any) -> Start:
    """One of the functions of `after_start`, in a transaction of its own."""
    holder = site.holders[INFUSION]
    async with holder.unit_of_work.begin(a_cause()) as work:
        found: Start = await what(holder, work, *args, **more)
        return found


async def held(site: Site, case_id: UUID, **changes: Any) -> UUID:
    order = an_order(case_id, **changes)
    await place_hold(site.authority, order, a_cause())
    return order.hold_id


# ---- GO


async def test_go_is_committed_before_it_is_answered(site: Site) -> None:
    case_id = await site.open_case()

    answer = await site.press(case_id)

    assert isinstance(answer, Go)
    assert answer.show_ms == 10_000
    (row,) = await site.starts(INFUSION, case_id)
    assert (row["state"], row["go_at"]) == ("RUNNING", site.clocks.wall.now())
    assert [c.kind for c in site.changes] == [StartChangeKind.GO]


async def test_the_authority_learns_of_go_by_event(site: Site) -> None:
    case_id = await site.open_case()
    start = await go(site, case_id)
    assert start.permit_id is not None

    await site.deliver_to_intake(INFUSION, case_id)

    assert (await site.permit_row(start.permit_id))["state"] == "CONSUMED"
    assert (await site.event_names(Service.INTAKE, case_id))[-1] == "permit-consumed"


async def test_the_screen_shows_go_no_longer_than_the_permit_lives(site: Site) -> None:
    case_id = await site.open_case()

    async def three_seconds_later() -> None:
        site.clocks.pass_seconds(3)

    site.after_answer(three_seconds_later)

    answer = await site.press(case_id)

    assert isinstance(answer, Go)
    assert answer.show_ms == 7_000


# ---- no GO


async def test_no_start_while_the_authority_is_unreachable(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id)
    site.wire.is_cut = True

    answer = await press_start(site.holders[INFUSION], press, a_cause())

    assert isinstance(answer, DoNotStart)
    assert answer.code == "authority-unreachable"
    assert await site.starts(INFUSION, case_id) == []
    assert len(site.wire.calls) == 1, "a permit is asked once"


async def test_a_lost_answer_is_a_permit_that_lapses(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id)

    async def lose() -> None:
        raise ConnectionError

    site.after_answer(lose)
    with pytest.raises(ConnectionError):
        await press_start(site.holders[INFUSION], press, a_cause())
    site.wire.is_cut = False
    next_press = await site.press(case_id)

    assert isinstance(next_press, StartRefused)
    assert next_press.code == "permit-out"
    assert await site.lapse() >= 1
    assert isinstance(await site.press(case_id), Go)


async def test_a_refusal_reaches_the_person_with_all_reasons_and_the_new_view(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id)
    await held(site, case_id)

    answer = await press_start(site.holders[INFUSION], press, a_cause())

    assert isinstance(answer, StartRefused)
    assert (answer.status, answer.code) == (412, "stale-view")
    assert [r["code"] for r in answer.reasons] == ["stale-view", "hold-open"]
    assert answer.view == await site.seen(case_id)
    assert await site.starts(INFUSION, case_id) == []


async def test_a_hold_acknowledged_after_the_grant_refuses_the_start(site: Site) -> None:
    case_id = await site.open_case()

    async def hold_and_acknowledge() -> None:
        await held(site, case_id)
        await site.deliver_to_holder(INFUSION, case_id)

    site.after_answer(hold_and_acknowledge)
    answer = await site.press(case_id)

    assert isinstance(answer, StartRefused)
    assert [r["code"] for r in answer.reasons] == ["fenced", "hold-open"]
    assert await site.starts(INFUSION, case_id) == []


async def test_a_hold_acknowledged_before_the_second_look_ends_the_start(site: Site) -> None:
    case_id = await site.open_case()
    hooked = site.hook()

    async def hold_and_acknowledge() -> None:
        hold_ids.append(await held(site, case_id))
        await site.deliver_to_holder(INFUSION, case_id)

    hold_ids: list[UUID] = []
    hooked.after[1] = hold_and_acknowledge
    answer = await site.press(case_id)

    assert isinstance(answer, DoNotStart)
    (row,) = await site.starts(INFUSION, case_id)
    assert (row["state"], row["go_at"]) == ("NOT_STARTED", None)
    names = await site.event_names(INFUSION, case_id)
    assert names == ["permit-outcome", "hold-acknowledged"]
    await site.deliver_to_intake(INFUSION, case_id)
    hold = await site.hold_row(hold_ids[0])
    assert hold["state"] == "EFFECTIVE"


async def test_a_start_that_is_written_too_late_is_refused(site: Site) -> None:
    case_id = await site.open_case()

    async def eight_seconds_later() -> None:  # ttl 10 s less the commit bound of 2 s
        site.clocks.pass_seconds(8)

    site.after_answer(eight_seconds_later)
    answer = await site.press(case_id)

    assert isinstance(answer, StartRefused)
    assert answer.code == "lease-over"
    assert await site.starts(INFUSION, case_id) == []


async def test_a_wall_clock_far_past_the_end_refuses_as_second_belt(site: Site) -> None:
    case_id = await site.open_case()

    async def wall_clock_jumps() -> None:
        site.clocks.machine.instant += timedelta(seconds=16)

    site.after_answer(wall_clock_jumps)
    answer = await site.press(case_id)

    assert isinstance(answer, StartRefused)
    assert answer.code == "lease-over"


async def test_a_commit_that_comes_too_late_is_no_start(site: Site) -> None:
    case_id = await site.open_case()
    hooked = site.hook()

    async def ten_seconds_later() -> None:
        site.clocks.pass_seconds(10)

    hooked.after[1] = ten_seconds_later
    answer = await site.press(case_id)

    assert isinstance(answer, DoNotStart)
    (row,) = await site.starts(INFUSION, case_id)
    assert (row["state"], row["go_at"]) == ("NOT_STARTED", None)
    (outcome,) = await site.events(INFUSION, case_id)
    assert outcome.data.outcome == "undone"


async def test_go_that_was_written_too_late_is_not_answered(site: Site) -> None:
    case_id = await site.open_case()
    hooked = site.hook()

    async def ten_seconds_later() -> None:
        site.clocks.pass_seconds(10)

    hooked.after[2] = ten_seconds_later
    answer = await site.press(case_id)

    assert isinstance(answer, DoNotStart)
    (row,) = await site.starts(INFUSION, case_id)
    assert row["state"] == "NOT_STARTED"
    await site.deliver_to_intake(INFUSION, case_id)
    assert (await site.permit_row(row["permit_id"]))["state"] == "UNDONE"


# ---- lost answers of COMMIT


async def test_a_start_whose_commit_answer_was_lost_is_read_back(site: Site) -> None:
    case_id = await site.open_case()
    site.hook().lost[1] = True

    assert isinstance(await site.press(case_id), Go)


async def test_a_start_that_was_not_committed_is_no_start(site: Site) -> None:
    case_id = await site.open_case()
    site.hook().lost[1] = False

    answer = await site.press(case_id)

    assert isinstance(answer, DoNotStart)
    assert await site.starts(INFUSION, case_id) == []


async def test_a_second_look_whose_commit_answer_was_lost_is_read_back(site: Site) -> None:
    case_id = await site.open_case()
    site.hook().lost[2] = True

    assert isinstance(await site.press(case_id), Go)


async def test_a_second_look_that_was_not_committed_is_no_start(site: Site) -> None:
    case_id = await site.open_case()
    site.hook().lost[2] = False

    answer = await site.press(case_id)

    assert isinstance(answer, DoNotStart)
    (row,) = await site.starts(INFUSION, case_id)
    assert (row["state"], row["go_at"]) == ("NOT_STARTED", None)


async def test_a_lost_commit_is_read_back_only_under_the_lock(site: Site) -> None:
    """While the COMMIT hangs, its row lock is kept: the reader waits for it, and gives up."""
    case_id = await site.open_case()
    hooked = site.hook()
    hanging: list[Any] = []

    async def somebody_keeps_the_fence() -> None:
        keeper = site.databases[INFUSION].transaction()
        tx = await keeper.__aenter__()
        await HolderRows(tx).lock_fences([case_id])
        hanging.append(keeper)

    hooked.lost[1] = True
    hooked.after[1] = somebody_keeps_the_fence
    answer = await site.press(case_id)
    await hanging[0].__aexit__(None, None, None)

    assert isinstance(answer, DoNotStart)


# ---- one start


async def test_presses_at_once_for_one_attempt_are_one_go(site: Site) -> None:
    case_id = await site.open_case()
    subject_id, dose_id = uuid4(), await site.issued_dose(case_id)

    answers = await asyncio.gather(
        *(site.press(case_id, subject_id=subject_id, dose_id=dose_id) for _ in range(5))
    )

    assert sum(isinstance(a, Go) for a in answers) == 1
    (row,) = await site.starts(INFUSION, case_id)
    assert row["state"] == "RUNNING"


async def test_an_attempt_that_runs_is_not_started_again_even_if_intake_forgot_it(
    site: Site,
) -> None:
    case_id = await site.open_case()
    start = await go(site, case_id)
    await site.query(Service.INTAKE, "DELETE FROM permit WHERE permit_id = $1", start.permit_id)

    answer = await site.press(case_id, subject_id=start.subject_id, dose_id=start.dose_id)

    assert isinstance(answer, StartRefused)
    assert answer.code == "attempt-taken"


async def test_a_dose_belongs_to_one_subject_for_good(site: Site) -> None:
    case_id = await site.open_case()
    start = await go(site, case_id)
    await answered(site, after_start.stop, case_id, start.start_id, "reaction")
    await site.query(Service.INTAKE, "DELETE FROM permit WHERE permit_id = $1", start.permit_id)

    answer = await site.press(case_id, dose_id=start.dose_id)

    assert isinstance(answer, StartRefused)
    assert answer.code == "dose-taken"


async def test_a_consumed_attempt_is_refused_by_the_authority(site: Site) -> None:
    case_id = await site.open_case()
    start = await go(site, case_id)
    await site.deliver_to_intake(INFUSION, case_id)

    answer = await site.press(case_id, subject_id=start.subject_id, dose_id=start.dose_id)

    assert isinstance(answer, StartRefused)
    assert answer.code == "permit-out"


@pytest.mark.parametrize(
    ("end", "may_resume"),
    [("stop", True), ("pause", True), (None, False), ("complete", False)],
)
async def test_a_resume_needs_the_attempt_before_at_rest(
    site: Site, end: str | None, may_resume: bool
) -> None:
    case_id = await site.open_case()
    start = await go(site, case_id)
    if end is not None:
        more = () if end == "complete" else ("because",)
        await answered(site, getattr(after_start, end), case_id, start.start_id, *more)
    await site.deliver_to_intake(INFUSION, case_id)

    answer = await site.press(
        case_id, subject_id=start.subject_id, dose_id=start.dose_id, attempt=2
    )

    if may_resume:
        assert isinstance(answer, Go)
    else:
        assert isinstance(answer, StartRefused)
        assert answer.code == "previous-attempt-not-stopped"


async def test_a_start_is_refused_where_the_case_is_parked(site: Site) -> None:
    case_id = await site.open_case()
    start = await go(site, case_id)
    await site.query(
        INFUSION,
        "INSERT INTO parked_case (consumer, case_id, reason) VALUES ($1, $2, 'malformed')",
        "infusion_scheduling",
        case_id,
    )
    ended = await answered(site, after_start.pause, case_id, start.start_id, "because")
    await site.deliver_to_intake(INFUSION, case_id)

    answer = await site.press(
        case_id, subject_id=start.subject_id, dose_id=start.dose_id, attempt=2
    )

    assert ended.state == "PAUSED", "what has happened is recorded in a parked case too"
    assert isinstance(answer, StartRefused)
    assert answer.code == "unprocessed-information"


async def test_another_service_gate_is_a_bug_of_the_caller(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id, gate=Gate.COLLECTION)

    with pytest.raises(ValueError, match="collection"):
        await press_start(site.holders[INFUSION], press, a_cause())


# ---- after GO


async def test_never_opened_frees_attempt_and_permit(site: Site) -> None:
    case_id = await site.open_case()
    start = await go(site, case_id)
    await answered(site, after_start.never_opened, case_id, start.start_id, "patient left")
    await answered(site, after_start.never_opened, case_id, start.start_id, "patient left")

    await site.deliver_to_intake(INFUSION, case_id)
    again = await site.press(case_id, subject_id=start.subject_id, dose_id=start.dose_id)

    assert isinstance(again, Go)
    assert start.permit_id is not None
    assert (await site.permit_row(start.permit_id))["state"] == "UNDONE"
    outcomes = [e.data.outcome for e in await site.events(INFUSION, case_id)]
    assert outcomes == ["consumed", "undone", "consumed"]


async def test_a_stop_hold_orders_a_running_start_to_stop(site: Site) -> None:
    case_id = await site.open_case()
    start = await go(site, case_id)
    hold_id = await held(site, case_id)

    await site.deliver_to_holder(INFUSION, case_id)

    assert await state_of(site, start.start_id) == "STOP_ORDERED"
    ack = (await site.events(INFUSION, case_id))[-1]
    assert ack.data.in_flight == "running"
    assert site.changes[-1].kind is StartChangeKind.STOP_ORDERED
    assert site.changes[-1].hold_id == hold_id


async def test_a_tell_hold_leaves_a_running_start_alone(site: Site) -> None:
    case_id = await site.open_case()
    start = await go(site, case_id)
    await held(site, case_id, kind=HoldKind.LOGISTICS)

    await site.deliver_to_holder(INFUSION, case_id)

    assert await state_of(site, start.start_id) == "RUNNING"
    assert (await site.events(INFUSION, case_id))[-1].data.in_flight == "running"


async def test_a_hold_that_the_permit_knew_of_orders_no_stop(site: Site) -> None:
    """It was released before the grant, and its words come late (model: ISTOP)."""
    case_id = await site.open_case()
    order = an_order(case_id)
    await place_hold(site.authority, order, a_cause())
    await release_hold(
        site.authority,
        order.hold_id,
        roles=frozenset({Role.ONCOLOGIST}),
        reason="ok",
        cause=a_cause("oncologist-2"),
    )
    start = await go(site, case_id)

    await site.deliver_to_holder(INFUSION, case_id)

    assert await state_of(site, start.start_id) == "RUNNING"


async def test_a_hold_on_another_dose_orders_no_stop(site: Site) -> None:
    case_id = await site.open_case()
    start = await go(site, case_id)
    await held(site, case_id, kind=HoldKind.RECALL, dose_ids=frozenset({uuid4()}))

    await site.deliver_to_holder(INFUSION, case_id)

    assert await state_of(site, start.start_id) == "RUNNING"


async def test_already_running_is_always_recorded_and_stopped_under_a_hold(site: Site) -> None:
    case_id = await site.open_case()
    await held(site, case_id)
    await site.deliver_to_holder(INFUSION, case_id)
    start_id = uuid4()
    stated = {
        "start_id": start_id, "case_id": case_id, "gate": Gate.INFUSION, "subject_id": uuid4(),
        "attempt": 1, "dose_id": uuid4(), "place": "bay 4",
    }  # fmt: skip

    first = await answered(site, after_start.already_running, **stated)
    again = await answered(site, after_start.already_running, **stated)

    assert (first.state, first.unpermitted) == ("STOP_ORDERED", True)
    assert again == first
    await site.deliver_to_intake(INFUSION, case_id)
    (known,) = await site.query(
        Service.INTAKE, "SELECT * FROM unpermitted_start WHERE case_id = $1", case_id
    )
    assert known["start_id"] == start_id
    (page,) = await site.query(
        Service.INTAKE, "SELECT * FROM hold_page WHERE case_id = $1", case_id
    )
    assert page["cause"] == "unpermitted_start"


async def test_an_unpermitted_start_takes_its_attempt_and_dose(site: Site) -> None:
    case_id = await site.open_case()
    subject_id, dose_id = uuid4(), await site.issued_dose(case_id)
    await answered(
        site, after_start.already_running, start_id=uuid4(), case_id=case_id, gate=Gate.INFUSION,
        subject_id=subject_id, attempt=1, dose_id=dose_id, place=None,
    )  # fmt: skip

    same_attempt = await site.press(case_id, subject_id=subject_id)
    same_dose = await site.press(case_id, dose_id=dose_id)
    await site.lapse()
    resumed_too_early = await site.press(case_id, subject_id=subject_id, dose_id=dose_id, attempt=2)

    assert isinstance(same_attempt, StartRefused)
    assert same_attempt.code == "attempt-taken"
    assert isinstance(same_dose, StartRefused)
    assert same_dose.code in {"permit-out", "dose-taken"}
    assert isinstance(resumed_too_early, StartRefused)


async def test_an_end_that_cannot_follow_is_told(site: Site) -> None:
    case_id = await site.open_case()
    start = await go(site, case_id)
    await answered(site, after_start.complete, case_id, start.start_id)

    with pytest.raises(after_start.WrongStateError):
        await answered(site, after_start.pause, case_id, start.start_id, "because")
    with pytest.raises(after_start.UnknownStartError):
        await answered(site, after_start.stop, uuid4(), start.start_id, "because")


async def test_what_runs_is_listed_until_its_end_is_reported(site: Site) -> None:
    case_id = await site.open_case()
    start = await go(site, case_id)
    await site.deliver_to_intake(INFUSION, case_id)
    order = an_order(case_id, on_running=OnRunning.TELL)

    answer = await place_hold(site.authority, order, a_cause())

    (running,) = answer.may_be_running
    assert (running.permit_id, running.place, running.state) == (
        start.permit_id,
        "bay 3",
        "CONSUMED",
    )
    assert running.until is None


# ---- the sweeper


async def test_the_sweeper_ends_a_start_whose_process_died(own_site: Site) -> None:
    case_id = await own_site.open_case()
    hooked = own_site.hook()

    async def die() -> None:
        raise KeyboardInterrupt

    hooked.before[2] = die
    with pytest.raises(KeyboardInterrupt):
        await own_site.press(case_id)
    early = await sweep(own_site.holders[INFUSION])
    own_site.clocks.pass_seconds(15)
    late = await sweep(own_site.holders[INFUSION])

    assert early == 0
    assert late == 1
    (row,) = await own_site.starts(INFUSION, case_id)
    assert (row["state"], row["reason"]) == ("NOT_STARTED", "swept")


async def test_a_start_of_another_boot_is_swept_after_its_first_sight(own_site: Site) -> None:
    case_id = await own_site.open_case()
    hooked = own_site.hook()

    async def die() -> None:
        raise KeyboardInterrupt

    hooked.before[2] = die
    with pytest.raises(KeyboardInterrupt):
        await own_site.press(case_id)
    own_site.clocks.lease.boot_id = "boot-2"
    own_site.clocks.lease.reading_ns = 5
    swept = [await sweep(own_site.holders[INFUSION])]
    own_site.clocks.pass_seconds(14)
    swept.append(await sweep(own_site.holders[INFUSION]))
    own_site.clocks.pass_seconds(1)
    swept.append(await sweep(own_site.holders[INFUSION]))

    assert swept == [0, 0, 1]


async def test_the_sweeper_leaves_a_start_that_has_its_go(own_site: Site) -> None:
    case_id = await own_site.open_case()
    start = await go(own_site, case_id)
    own_site.clocks.pass_seconds(60)

    await sweep(own_site.holders[INFUSION])

    assert await state_of(own_site, start.start_id) == "RUNNING"


async def test_a_start_at_manufacturing_is_the_same_protocol(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id, gate=Gate.COLLECTION, place="apheresis 1")

    answer = await press_start(site.holders[Service.MANUFACTURING], replace(press), a_cause())

    assert isinstance(answer, Go)
    assert answer.start.place == "apheresis 1"
