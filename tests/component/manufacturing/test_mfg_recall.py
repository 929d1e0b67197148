"""A recall is a hold at the authority first; until it is there, nothing claims to be done."""

import asyncio
from uuid import UUID

import pytest
from mfg_rig import Answer, Plant

from services.manufacturing.application.place_hold import send_waiting_holds
from shared.contracts.infusion import InfusionStarted
from shared.contracts.vocabulary import Role

pytestmark = pytest.mark.component

QA = ("u-qa-1", Role.QA_RELEASE)


async def recall(plant: Plant, batch_id: UUID, **how: object) -> Answer:
    return await plant.post(f"/batches/{batch_id}/recall", {"reason": "supplier"}, by=QA, **how)


async def test_a_recall_is_on_record_before_it_is_answered_and_told(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.release(case_id)

    answer = await recall(plant, batch_id)

    assert answer.status == 200, answer.body
    assert answer.body["state"] == "recalled"
    assert answer.body["hold"]["on_record"] is True
    (hold,) = plant.intake.holds.values()
    assert hold["kind"] == "recall"
    assert set(hold["gates"]) == {"dose_issue", "infusion"}
    assert set(hold["dose_ids"]) == {str(d) for d in doses}
    assert hold["reported_by"] == "u-qa-1"
    (event,) = await plant.events("recall-ordered")
    assert event["hold_id"] == answer.body["hold"]["hold_id"]
    assert {d["state"] for d in answer.body["doses"]} == {"recalled"}


async def test_a_recall_with_intake_away_is_503_and_nothing_claims_to_be_done(
    plant: Plant,
) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.release(case_id)
    plant.intake.up = False

    answer = await recall(plant, batch_id)

    assert (answer.status, answer.body["code"]) == (503, "authority-unreachable")
    assert answer.body["on_record"] is False
    batch = (await plant.get(f"/batches/{batch_id}")).body
    assert batch["state"] == "released_sterility_pending"
    assert {d["state"] for d in batch["doses"]} == {"blocked"}
    assert await plant.events("recall-ordered") == []
    waiting = await plant.rows("SELECT dose_ids FROM hold_order WHERE on_record_at IS NULL")
    assert {frozenset(row["dose_ids"]) for row in waiting} == {frozenset(doses)}


async def test_a_waiting_recall_blocks_issue_and_release_at_once(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)
    plant.intake.up = False
    await recall(plant, batch_id)
    plant.intake.up = True
    await plant.report(batch_id, "sterility_14d", "no_growth")

    issued = await plant.issue(doses[0], infusion_id)
    signed = await plant.sign(batch_id, "u-qa-2")

    assert issued.codes == {"wrong-state"}
    assert "recalled" in signed.codes


async def test_a_waiting_recall_is_done_by_the_timer_when_intake_is_back(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)
    plant.intake.up = False
    await recall(plant, batch_id)

    assert await send_waiting_holds(plant.shell) == 0
    plant.intake.up = True
    assert await send_waiting_holds(plant.shell) == 1
    assert await send_waiting_holds(plant.shell) == 0

    assert (await plant.get(f"/batches/{batch_id}")).body["state"] == "recalled"
    assert len(await plant.events("recall-ordered")) == 1


async def test_the_same_request_again_goes_on_where_it_stopped(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)
    plant.intake.up = False
    first = await recall(plant, batch_id, key="recall-1")
    plant.intake.up = True

    second = await recall(plant, batch_id, key="recall-1")
    third = await recall(plant, batch_id, key="recall-1")

    assert [first.status, second.status, third.status] == [503, 200, 200]
    assert second.body["hold"]["hold_id"] == third.body["hold"]["hold_id"]
    assert len(await plant.events("recall-ordered")) == 1
    assert len(plant.intake.holds) == 1


async def test_a_hold_that_intake_took_without_answering_is_sent_again_under_its_id(
    plant: Plant,
) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)
    plant.intake.lose_answers = True

    lost = await recall(plant, batch_id)
    plant.intake.lose_answers = False
    await send_waiting_holds(plant.shell)

    assert lost.status == 503
    assert len(plant.intake.holds) == 1
    assert len(await plant.events("recall-ordered")) == 1


async def test_parallel_recalls_are_one_recall(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)

    answers = await asyncio.gather(*[recall(plant, batch_id) for _ in range(10)])

    assert {a.status for a in answers} <= {200, 503}
    assert len(plant.intake.holds) == 1
    assert len(await plant.events("recall-ordered")) == 1


async def test_no_release_after_a_recall(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)
    await recall(plant, batch_id)

    refused = await plant.sign(batch_id, "u-qa-2")

    assert refused.status == 409
    assert refused.codes == {"wrong-state"}
    assert (await plant.get(f"/batches/{batch_id}")).body["state"] == "recalled"


async def test_a_recalled_dose_is_never_issued(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)
    await recall(plant, batch_id)

    refused = await plant.issue(doses[0], infusion_id)

    assert refused.codes == {"wrong-state"}


async def test_an_unreleased_batch_is_rejected_and_not_recalled(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)

    refused = await recall(plant, batch_id)

    assert refused.codes == {"not-released"}
    assert plant.intake.holds == {}


async def test_late_growth_recalls_the_batch_by_itself(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)
    await plant.issue(doses[0], infusion_id)
    await plant.hear(started(case_id, infusion_id, doses[0], plant))

    answer = await plant.report(batch_id, "sterility_14d", "growth")

    assert answer.status == 201
    assert answer.body["verdict"] == "fail"
    (hold,) = plant.intake.holds.values()
    assert str(hold["hold_id"]) == answer.body["recall"]
    assert set(hold["dose_ids"]) == {str(d) for d in doses}  # the one in use as well
    (event,) = await plant.events("recall-ordered")
    assert event["reason"] == "sterility"
    assert (await plant.get(f"/batches/{batch_id}")).body["state"] == "recalled"


async def test_late_growth_with_intake_away_keeps_the_result_and_answers_503(
    plant: Plant,
) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)
    plant.intake.up = False
    body = {"test": "sterility_14d", "value": "growth", "reported_at": plant.now().isoformat()}

    away = await plant.post(f"/batches/{batch_id}/qc-results", body, key="qc-9")
    plant.intake.up = True
    again = await plant.post(f"/batches/{batch_id}/qc-results", body, key="qc-9")

    assert (away.status, again.status) == (503, 201)
    assert len(await plant.rows("SELECT 1 FROM qc_result WHERE test = 'sterility_14d'")) == 1
    assert len(await plant.events("recall-ordered")) == 1


async def test_a_late_result_in_order_recalls_nothing(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)

    answer = await plant.report(batch_id, "sterility_14d", "no_growth")

    assert answer.body["recall"] is None
    assert plant.intake.holds == {}


async def test_an_unreadable_late_result_recalls_nothing_and_passes_nothing(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)

    answer = await plant.report(batch_id, "sterility_14d", "see attachment")
    signed = await plant.sign(batch_id, "u-qa-1")

    assert (answer.body["verdict"], answer.body["recall"]) == ("unknown", None)
    assert "test-unknown" in signed.codes


@pytest.mark.parametrize("test", ["mycoplasma_nat", "cd3_pct"])
async def test_any_late_failure_recalls(plant: Plant, test: str) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.release(case_id)
    stated = ("detected", None) if test == "mycoplasma_nat" else ("12", "%")

    await plant.report(batch_id, test, *stated)

    (event,) = await plant.events("recall-ordered")
    assert event["reason"] == "qc_result"


def started(case_id: UUID, infusion_id: UUID, dose_id: UUID, plant: Plant) -> InfusionStarted:
    return InfusionStarted(
        case_id=case_id,
        infusion_id=infusion_id,
        start_id=UUID(int=1),
        permit_id=UUID(int=2),
        dose_id=dose_id,
        attempt=1,
        number=1,
        go_at=plant.now(),
    )
