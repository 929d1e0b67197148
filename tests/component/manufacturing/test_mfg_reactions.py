"""What the other services tell; each event twice equals once."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from mfg_rig import Plant

from services.manufacturing.application.place_hold import send_waiting_holds
from services.manufacturing.application.report_facts import send_waiting_reports
from services.manufacturing.bootstrap import timers
from shared.contracts.coordination import CaseOpened, HoldRecorded, HoldReleased
from shared.contracts.event import Event
from shared.contracts.infusion import InfusionCompleted, InfusionStarted, InfusionStopped
from shared.contracts.vocabulary import Gate, HoldKind, OnRunning, Role, Verdict

pytestmark = pytest.mark.component

START, PERMIT = UUID(int=11), UUID(int=12)


def started(
    plant: Plant, case_id: UUID, infusion_id: UUID, dose_id: UUID, *, attempt: int = 1
) -> InfusionStarted:
    return InfusionStarted(
        case_id=case_id,
        infusion_id=infusion_id,
        start_id=START,
        permit_id=PERMIT,
        dose_id=dose_id,
        attempt=attempt,
        number=1,
        go_at=plant.now(),
    )


def stopped(plant: Plant, case_id: UUID, infusion_id: UUID, outcome: str) -> InfusionStopped:
    return InfusionStopped(
        case_id=case_id,
        infusion_id=infusion_id,
        start_id=START,
        permit_id=PERMIT,
        outcome=outcome,  # type: ignore[arg-type]
        stopped_at=plant.now(),
    )


def completed(plant: Plant, case_id: UUID, infusion_id: UUID, dose_id: UUID) -> InfusionCompleted:
    return InfusionCompleted(
        case_id=case_id,
        infusion_id=infusion_id,
        start_id=START,
        dose_id=dose_id,
        number=1,
        completed_at=plant.now(),
    )


async def handed_out(plant: Plant) -> tuple[UUID, UUID, UUID]:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)
    assert (await plant.issue(doses[0], infusion_id)).status == 200
    return case_id, infusion_id, doses[0]


async def state(plant: Plant, dose_id: UUID) -> str:
    return str((await plant.get(f"/doses/{dose_id}")).body["state"])


async def everything(plant: Plant) -> dict[str, list[dict[str, object]]]:
    """All rows that reactions may write, without their change counters and the clock."""
    tables = (
        "known_case", "timeline", "planned_infusion", "dose", "dose_issue", "deviation",
        "hold_order", "expiry_question", "start", "hold_replica", "outbox",
    )  # fmt: skip
    left_out = {"version", "id", "created_at", "changed_at", "headers", "event_id"}
    return {
        table: [
            {k: v for k, v in row.items() if k not in left_out}
            for row in await plant.rows(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608
        ]
        for table in tables
    }


async def test_an_infusion_takes_its_dose_and_gives_it(plant: Plant) -> None:
    case_id, infusion_id, dose_id = await handed_out(plant)

    await plant.hear(started(plant, case_id, infusion_id, dose_id))
    in_use = await state(plant, dose_id)
    await plant.hear(completed(plant, case_id, infusion_id, dose_id))

    assert (in_use, await state(plant, dose_id)) == ("in_use", "given")
    (start,) = await plant.rows("SELECT state FROM start WHERE dose_id = $1", dose_id)
    assert start["state"] == "COMPLETED"


async def test_a_dose_that_was_never_opened_is_issued_as_before(plant: Plant) -> None:
    case_id, infusion_id, dose_id = await handed_out(plant)
    before = await plant.get(f"/doses/{dose_id}")

    await plant.hear(started(plant, case_id, infusion_id, dose_id))
    await plant.hear(stopped(plant, case_id, infusion_id, "never_opened"))

    after = await plant.get(f"/doses/{dose_id}")
    assert after.body == before.body


async def test_a_stopped_infusion_leaves_its_dose_in_use_for_a_resumption(plant: Plant) -> None:
    case_id, infusion_id, dose_id = await handed_out(plant)
    await plant.hear(started(plant, case_id, infusion_id, dose_id))

    await plant.hear(stopped(plant, case_id, infusion_id, "paused"))
    await plant.hear(started(plant, case_id, infusion_id, dose_id, attempt=2))

    assert await state(plant, dose_id) == "in_use"
    assert await plant.events("deviation-opened") == []


async def test_a_dose_used_without_a_hand_out_is_a_deviation_and_recorded(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)

    await plant.hear(started(plant, case_id, infusion_id, doses[0]), times=2)

    assert await state(plant, doses[0]) == "in_use"
    (deviation,) = await plant.events("deviation-opened")
    assert deviation["batch_id"] == str(batch_id)


async def test_a_dose_of_another_case_that_is_used_is_a_deviation_of_the_user(
    plant: Plant,
) -> None:
    _, _, dose_id = await handed_out(plant)
    other = await plant.open_case()
    infusion_id = await plant.plan_infusion(other)

    await plant.hear(started(plant, other, infusion_id, dose_id))

    (deviation,) = await plant.events("deviation-opened")
    assert (deviation["case_id"], deviation["batch_id"]) == (str(other), None)
    assert await state(plant, dose_id) == "issued"


@pytest.mark.parametrize("outcome", ["started", "paused", "never_opened", "completed"])
async def test_what_the_bedside_tells_twice_equals_once(plant: Plant, outcome: str) -> None:
    case_id, infusion_id, dose_id = await handed_out(plant)
    story: list[Event] = [started(plant, case_id, infusion_id, dose_id)]
    if outcome in {"paused", "never_opened"}:
        story.append(stopped(plant, case_id, infusion_id, outcome))
    if outcome == "completed":
        story.append(completed(plant, case_id, infusion_id, dose_id))
    *first, last = story
    for event in first:
        await plant.hear(event)
    await plant.hear(last)
    once = await everything(plant)

    await plant.hear(last)

    assert await everything(plant) == once


def hold(case_id: UUID, *gates: Gate, version: int = 1) -> HoldRecorded:
    return HoldRecorded(
        case_id=case_id,
        hold_id=uuid4(),
        epoch=0,
        version=version,
        kind=HoldKind.CLINICAL_CONCERN,
        gates=frozenset(gates),
        on_running=OnRunning.STOP,
        effective=True,
    )


async def test_a_hold_fences_the_starts_of_manufacturing_and_is_acknowledged_once(
    plant: Plant,
) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)
    recorded = hold(case_id, Gate.DOSE_ISSUE)

    await plant.hear(recorded, times=2)
    # intake still grants an older permit here; the fence must refuse it
    refused = await plant.issue(doses[0], infusion_id)

    assert refused.status == 409
    assert {"fenced", "hold-open"} <= refused.codes
    assert await state(plant, doses[0]) == "available"
    (acknowledged,) = await plant.events("hold-acknowledged")
    assert acknowledged["hold_id"] == str(recorded.hold_id)


async def test_a_hold_on_release_stops_the_signing_and_its_release_lets_it_go_on(
    plant: Plant,
) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id)
    recorded = hold(case_id, Gate.RELEASE)
    await plant.hear(recorded)

    held = await plant.sign(batch_id, "u-qa-1")
    await plant.hear(
        HoldReleased(
            case_id=case_id,
            hold_id=recorded.hold_id,
            epoch=0,
            version=2,
            gates=recorded.gates,
            kind=recorded.kind,
        )
    )
    free = await plant.sign(batch_id, "u-qa-1")

    assert held.codes == {"hold-open"}
    assert free.status == 202


async def test_a_hold_between_thaw_and_hand_out_stops_the_hand_out(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id, form="cryopreserved")
    infusion_id = await plant.plan_infusion(case_id)
    await plant.issue(doses[0], infusion_id, verb="thaw")

    await plant.hear(hold(case_id, Gate.DOSE_ISSUE, Gate.INFUSION))
    refused = await plant.issue(doses[0], infusion_id)

    assert refused.codes == {"hold-open", "stop-ordered"}
    assert await state(plant, doses[0]) == "thawed"


async def test_a_timeline_that_closes_before_the_expiry_asks_once(plant: Plant) -> None:
    # MFG-006; the fresh product lives 24 h (REL-EXP-F)
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)
    shut_for = timedelta(hours=40)

    for _ in range(2):
        await plant.publish(
            case_id, Gate.INFUSION, plan=Verdict.HOLD, until=shut_for, then=Verdict.GO
        )

    (asked,) = await plant.events("expiry-question-asked")
    assert (asked["batch_id"], asked["rule"]) == (str(batch_id), "MFG-006")
    assert asked["feasible_from"] is not None
    shown = (await plant.get(f"/batches/{batch_id}")).body["expiry_question"]
    assert shown["question_id"] == asked["question_id"]


async def test_a_timeline_that_opens_in_time_withdraws_the_question(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)
    await plant.publish(case_id, Gate.INFUSION, plan=Verdict.HOLD)

    await plant.publish(
        case_id, Gate.INFUSION, plan=Verdict.HOLD, until=timedelta(hours=2), then=Verdict.GO
    )

    (answered,) = await plant.events("expiry-question-answered")
    assert answered["answer"] == "withdrawn"
    assert (await plant.get(f"/batches/{batch_id}")).body["expiry_question"] is None


async def test_a_frozen_product_is_never_asked_about(plant: Plant) -> None:
    case_id = await plant.open_case()
    await plant.release(case_id, form="cryopreserved")

    await plant.publish(case_id, Gate.INFUSION, plan=Verdict.HOLD)

    assert await plant.events("expiry-question-asked") == []


async def test_quality_assurance_answers_the_question_once(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)
    await plant.publish(case_id, Gate.INFUSION, plan=Verdict.HOLD)
    qa = ("u-qa-1", Role.QA_RELEASE)

    first = await plant.post(f"/batches/{batch_id}/expiry-answer", {"answer": "keep"}, by=qa)
    again = await plant.post(f"/batches/{batch_id}/expiry-answer", {"answer": "keep"}, by=qa)

    assert (first.status, again.status) == (200, 409)


async def test_freezing_an_unreleased_fresh_batch_gives_its_doses_the_long_clock(
    plant: Plant,
) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.formulate(case_id)
    label = (await plant.get(f"/batches/{batch_id}/genealogy")).body["material"]["label"]
    await plant.publish(case_id, Gate.INFUSION, plan=Verdict.HOLD)

    frozen = await plant.step(batch_id, label, "freeze")

    assert frozen.status == 201, frozen.body
    dose = (await plant.get(f"/doses/{doses[0]}")).body
    assert dose["form"] == "cryopreserved"
    assert dose["expires_at"] > (plant.now() + timedelta(days=360)).isoformat()
    (answered,) = await plant.events("expiry-question-answered")
    assert answered["answer"] == "freeze"


async def test_freezing_a_released_batch_takes_its_release_back_through_the_authority(
    plant: Plant,
) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)
    label = (await plant.get(f"/batches/{batch_id}/genealogy")).body["material"]["label"]
    await plant.publish(case_id, Gate.INFUSION, plan=Verdict.HOLD)
    qa = ("u-qa-1", Role.QA_RELEASE)

    answered = await plant.post(f"/batches/{batch_id}/expiry-answer", {"answer": "freeze"}, by=qa)
    issued = await plant.issue(doses[0], infusion_id)
    frozen = await plant.step(batch_id, label, "freeze")
    await plant.report(batch_id, "viability_post_thaw", "81", "%")
    await plant.report(batch_id, "dmso_dose", "0.2", "g/kg/d")
    first, second = await plant.sign(batch_id, "u-qa-1"), await plant.sign(batch_id, "u-qa-2")

    assert answered.body["state"] == "formulated"
    (hold,) = plant.intake.holds.values()
    assert (hold["kind"], set(hold["dose_ids"])) == ("product", {str(d) for d in doses})
    assert issued.codes == {"wrong-state"}
    assert frozen.status == 201, frozen.body
    assert (first.status, second.status) == (202, 200)
    released = await plant.events("batch-released-conditionally")
    assert [e["form"] for e in released] == ["fresh", "cryopreserved"]
    assert released[0]["certificate_id"] != released[1]["certificate_id"]


async def test_a_release_is_not_taken_back_while_the_authority_is_away(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)
    await plant.publish(case_id, Gate.INFUSION, plan=Verdict.HOLD)
    plant.intake.up = False
    qa = ("u-qa-1", Role.QA_RELEASE)

    answer = await plant.post(f"/batches/{batch_id}/expiry-answer", {"answer": "freeze"}, by=qa)

    assert answer.status == 503
    batch = (await plant.get(f"/batches/{batch_id}")).body
    assert batch["state"] == "released_sterility_pending"
    assert {d["state"] for d in batch["doses"]} == {"blocked"}


async def test_an_older_timeline_replaces_nothing(plant: Plant) -> None:
    case_id = await plant.open_case()
    await plant.publish(case_id, Gate.COLLECTION, plan=Verdict.HOLD)
    newest = await plant.rows("SELECT * FROM timeline WHERE case_id = $1", case_id)
    plant.sequence = 0

    await plant.publish(case_id, Gate.COLLECTION, plan=Verdict.GO)

    assert await plant.rows("SELECT * FROM timeline WHERE case_id = $1", case_id) == newest


async def test_a_case_opened_twice_is_one_case(plant: Plant) -> None:
    case_id = uuid4()

    await plant.hear(CaseOpened(case_id=case_id, protocol_version="1"), times=2)

    assert len(await plant.rows("SELECT 1 FROM known_case WHERE case_id = $1", case_id)) == 1


async def test_an_infusion_keeps_its_case_whoever_names_it_later(plant: Plant) -> None:
    case_id, other = await plant.open_case(), await plant.open_case()
    infusion_id = await plant.plan_infusion(case_id)

    await plant.run(
        "UPDATE planned_infusion SET planned_at = now() WHERE infusion_id = $1", infusion_id
    )
    async with plant.database.transaction() as tx:
        rows = plant.shell.unit_of_work.repository(tx)
        await rows.cases.put_infusion(infusion_id, other, plant.now())

    (row,) = await plant.rows("SELECT case_id FROM planned_infusion")
    assert row["case_id"] == case_id


async def test_the_timers_send_what_waits(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.receive(case_id)
    plant.intake.up = False
    await plant.measure(batch_id, "start_viability", "93", "%")
    assert await send_waiting_reports(plant.shell) == 0
    plant.intake.up = True

    for timer in timers(plant.shell, plant.holder, plant.guard):
        await timer.run()

    assert any(f.get("metric") == "start_viability" for f in plant.intake.facts.values())
    assert await plant.rows("SELECT 1 FROM report") == []
    assert await send_waiting_holds(plant.shell) == 0
