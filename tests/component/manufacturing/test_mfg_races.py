"""People and machines at the same moment: one outcome, and the safe one."""

import asyncio

import pytest
from mfg_rig import Plant

from shared.contracts.vocabulary import Role

pytestmark = pytest.mark.component

ROUNDS = 8


async def test_two_people_signing_at_once_release_once(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id)

    answers = await asyncio.gather(*[plant.sign(batch_id, f"u-qa-{n}") for n in (1, 2)])

    assert sorted(a.status for a in answers) == [200, 202]
    (certificate,) = await plant.rows("SELECT first_signer, second_signer FROM certificate")
    assert {certificate["first_signer"], certificate["second_signer"]} == {"u-qa-1", "u-qa-2"}
    assert len(await plant.events("batch-released-conditionally")) == 1


async def test_one_person_signing_many_times_at_once_releases_nothing(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id)

    answers = await asyncio.gather(*[plant.sign(batch_id, "u-qa-1") for _ in range(10)])

    assert sum(a.status == 202 for a in answers) == 1
    assert all(a.status in {202, 409, 503} for a in answers)
    assert await plant.rows("SELECT 1 FROM certificate") == []


async def test_a_crowd_of_signers_releases_once(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id)

    answers = await asyncio.gather(*[plant.sign(batch_id, f"u-qa-{n}") for n in range(12)])

    assert sum(a.status == 200 for a in answers) == 1
    assert len(await plant.rows("SELECT 1 FROM certificate")) == 1


async def test_no_dose_stays_in_use_when_a_recall_and_an_issue_meet(plant: Plant) -> None:
    qa = ("u-qa-1", Role.QA_RELEASE)
    for _ in range(ROUNDS):
        case_id = await plant.open_case()
        batch_id, doses = await plant.release(case_id)
        infusion_id = await plant.plan_infusion(case_id)

        issued, recalled = await asyncio.gather(
            plant.issue(doses[0], infusion_id),
            plant.post(f"/batches/{batch_id}/recall", {"reason": "supplier"}, by=qa),
        )

        assert recalled.status == 200, recalled.body
        assert issued.status in {200, 409, 503}, issued.body
        states = {d["state"] for d in (await plant.get(f"/batches/{batch_id}")).body["doses"]}
        assert states == {"recalled"}
        # whatever came first, the hold names every dose
        hold = plant.intake.holds[next(reversed(plant.intake.holds))]
        assert set(hold["dose_ids"]) == {str(d) for d in doses}


async def test_a_result_and_the_second_signature_at_once_never_release_against_it(
    plant: Plant,
) -> None:
    for _ in range(ROUNDS):
        case_id = await plant.open_case()
        batch_id, _ = await plant.formulate(case_id)
        await plant.report_all(batch_id)
        await plant.sign(batch_id, "u-qa-1")

        signed, reported = await asyncio.gather(
            plant.sign(batch_id, "u-qa-2"), plant.report(batch_id, "sterility_14d", "growth")
        )

        assert reported.status == 201
        state = (await plant.get(f"/batches/{batch_id}")).body["state"]
        # the result came first: no release; the release came first: it is recalled
        assert state in {"formulated", "recalled"}, (signed.status, state)
