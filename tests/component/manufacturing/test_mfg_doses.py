"""A dose is handed out once, to an infusion of its own case, before any of its clocks runs out."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from mfg_rig import Plant

from shared.contracts.vocabulary import Role
from shared.persistence.database import ConstraintError

pytestmark = pytest.mark.component


async def issue_rows(plant: Plant, dose_id: UUID) -> list[dict[str, object]]:
    return await plant.rows("SELECT * FROM dose_issue WHERE dose_id = $1", dose_id)


async def test_two_hundred_parallel_issues_have_one_winner(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    infusions = [await plant.plan_infusion(case_id) for _ in range(4)]

    answers = await asyncio.gather(
        *[
            plant.issue(doses[0], infusions[n % 4], by=(f"u-lab-{n}", Role.LAB_TECH))
            for n in range(200)
        ]
    )

    winners = [a for a in answers if a.status == 200 and a.body.get("go") is True]
    assert len(winners) == 1
    assert all(a.status in {409, 503} for a in answers if a not in winners)
    assert len(await issue_rows(plant, doses[0])) == 1
    assert len(await plant.events("dose-issued")) == 1


async def test_the_database_refuses_a_second_issue(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)
    await plant.issue(doses[0], infusion_id)

    with pytest.raises(ConstraintError) as refused:
        await plant.run(
            "INSERT INTO dose_issue VALUES ($1, $2, $3, $4, $5, 2, now(), NULL)",
            uuid4(), uuid4(), doses[0], case_id, infusion_id,
        )  # fmt: skip

    assert refused.value.constraint == "dose_issued_once"


async def test_the_database_refuses_an_issue_to_another_case(plant: Plant) -> None:
    case_id, other = await plant.open_case(), await plant.open_case()
    _, doses = await plant.release(case_id)

    with pytest.raises(ConstraintError):
        await plant.run(
            "INSERT INTO dose_issue VALUES ($1, $2, $3, $4, $5, 1, now(), NULL)",
            uuid4(), uuid4(), doses[0], other, uuid4(),
        )  # fmt: skip


async def test_a_dose_is_not_issued_to_another_cases_infusion(plant: Plant) -> None:
    case_id, other = await plant.open_case(), await plant.open_case()
    _, doses = await plant.release(case_id)
    foreign = await plant.plan_infusion(other)

    refused = await plant.issue(doses[0], foreign)

    assert refused.codes == {"other-infusion"}
    assert (await plant.get(f"/doses/{doses[0]}")).body["state"] == "available"


async def test_a_dose_is_not_issued_to_an_infusion_that_nobody_planned(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)

    refused = await plant.issue(doses[0], uuid4())

    assert refused.codes == {"infusion-unknown"}


async def test_a_dose_is_not_issued_twice_not_even_to_the_same_infusion(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)

    first = await plant.issue(doses[0], infusion_id)
    second = await plant.issue(doses[0], infusion_id)

    assert (first.status, second.status) == (200, 409)
    assert second.codes == {"wrong-state"}


async def test_a_dose_of_an_unreleased_batch_is_not_issued(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.formulate(case_id)
    infusion_id = await plant.plan_infusion(case_id)

    refused = await plant.issue(doses[0], infusion_id)

    assert refused.codes == {"wrong-state"}


async def test_a_fresh_dose_is_not_issued_at_its_expiry(plant: Plant) -> None:
    # REL-EXP-F: 24 h from formulation
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)
    plant.clock.advance(hours=24)

    refused = await plant.issue(doses[0], infusion_id)

    assert refused.codes == {"expired"}
    assert await issue_rows(plant, doses[0]) == []


async def test_a_permit_without_answer_issues_nothing(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)
    plant.intake.up = False

    refused = await plant.issue(doses[0], infusion_id)

    assert (refused.status, refused.body["code"]) == (503, "authority-unreachable")
    assert await issue_rows(plant, doses[0]) == []


async def test_a_frozen_dose_is_thawed_then_issued_within_its_hour(plant: Plant) -> None:
    # REL-EXP-T: 60 minutes
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id, form="cryopreserved")
    infusion_id = await plant.plan_infusion(case_id)

    unthawed = await plant.issue(doses[0], infusion_id)
    thawed = await plant.issue(doses[0], infusion_id, verb="thaw")
    plant.clock.advance(minutes=59)
    issued = await plant.issue(doses[0], infusion_id)

    assert unthawed.codes == {"not-thawed"}
    assert thawed.body["go"] is True
    assert issued.status == 200, issued.body
    assert issued.body["state"] == "issued"
    (event,) = await plant.events("dose-issued")
    (thaw,) = await plant.events("dose-thawed")
    assert event["usable_until"] == thaw["usable_until"]
    assert len(plant.intake.permits) == 3  # collection, culture, thaw: none for the hand-out


async def test_a_thawed_dose_is_not_issued_after_its_hour(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id, form="cryopreserved")
    infusion_id = await plant.plan_infusion(case_id)
    await plant.issue(doses[0], infusion_id, verb="thaw")
    plant.clock.advance(minutes=60)

    refused = await plant.issue(doses[0], infusion_id)

    assert refused.codes == {"expired"}


async def test_a_thawed_dose_goes_only_to_the_infusion_of_its_thaw(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id, form="cryopreserved")
    infusion_id, other = await plant.plan_infusion(case_id), await plant.plan_infusion(case_id)
    await plant.issue(doses[0], infusion_id, verb="thaw")

    refused = await plant.issue(doses[0], other)

    assert refused.codes == {"other-infusion"}


async def test_a_fresh_dose_is_never_thawed(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)

    refused = await plant.issue(doses[0], infusion_id, verb="thaw")

    assert refused.codes == {"wrong-state"}


async def give_back(plant: Plant, dose_id: UUID, *, usable: bool) -> dict[str, object]:
    body = {"scanned_label": await plant.dose_label(dose_id), "usable": usable}
    answer = await plant.post(f"/doses/{dose_id}/return", body)
    return {"status": answer.status, "codes": answer.codes, **answer.body}


async def test_a_usable_return_undoes_the_issue_and_keeps_the_dose_for_its_infusion(
    plant: Plant,
) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    infusion_id, other = await plant.plan_infusion(case_id), await plant.plan_infusion(case_id)
    await plant.issue(doses[0], infusion_id)

    back = await give_back(plant, doses[0], usable=True)
    elsewhere = await plant.issue(doses[0], other)
    again = await plant.issue(doses[0], infusion_id)

    assert back["state"] == "available"
    assert elsewhere.codes == {"other-infusion"}
    assert again.status == 200, again.body
    (returned,) = await plant.events("dose-returned")
    assert returned["usable"] is True
    outcomes = [e["outcome"] for e in await plant.events("permit-outcome")]
    assert outcomes == ["consumed", "consumed", "consumed", "undone", "consumed"]


async def test_an_unusable_return_is_a_hold_before_it_is_answered(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)
    await plant.issue(doses[0], infusion_id)

    back = await give_back(plant, doses[0], usable=False)

    assert back["state"] == "returned"
    (hold,) = plant.intake.holds.values()
    assert (hold["kind"], hold["dose_ids"]) == ("product", [str(doses[0])])
    (returned,) = await plant.events("dose-returned")
    assert returned["usable"] is False
    # the infusion may have the other dose
    assert (await plant.issue(doses[1], infusion_id)).status == 200


async def test_a_thawed_dose_comes_back_only_unusable(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id, form="cryopreserved")
    infusion_id = await plant.plan_infusion(case_id)
    await plant.issue(doses[0], infusion_id, verb="thaw")
    await plant.issue(doses[0], infusion_id)

    refused = await give_back(plant, doses[0], usable=True)
    taken = await give_back(plant, doses[0], usable=False)

    assert refused["codes"] == {"wrong-state"}
    assert taken["state"] == "returned"


async def test_a_discarded_dose_is_on_record_before_it_is_answered(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)

    gone = await plant.post(f"/doses/{doses[0]}/discard", {"reason": "damaged"})

    assert gone.body["state"] == "discarded"
    assert gone.body["hold"]["on_record"] is True
    assert [h["dose_ids"] for h in plant.intake.holds.values()] == [[str(doses[0])]]
    (event,) = await plant.events("dose-discarded")
    assert event["reason"] == "damaged"


async def test_a_discard_with_intake_away_is_not_done_and_is_done_later(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    plant.intake.up = False

    waiting = await plant.post(f"/doses/{doses[0]}/discard", {"reason": "damaged"}, key="d-1")
    blocked = (await plant.get(f"/doses/{doses[0]}")).body
    plant.intake.up = True
    again = await plant.post(f"/doses/{doses[0]}/discard", {"reason": "damaged"}, key="d-1")

    assert (waiting.status, waiting.body["code"]) == (503, "authority-unreachable")
    assert blocked["state"] == "blocked"
    assert again.body["state"] == "discarded"
    assert len(plant.intake.holds) == 1
    assert len(await plant.events("dose-discarded")) == 1


async def hand_over(plant: Plant, dose_id: UUID, **changes: object) -> object:
    body = {
        "scanned_label": await plant.dose_label(dose_id),
        "giver": "u-lab",
        "place": "ward-2",
        "condition": "intact",
        "handed_over_at": plant.now().isoformat(),
        **changes,
    }
    who = ("u-nurse", Role.INFUSION_NURSE)
    return await plant.post(f"/doses/{dose_id}/custody", body, by=who)


async def test_custody_goes_from_hand_to_hand_without_a_gap(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)

    first = await hand_over(plant, doses[0])
    gap = await hand_over(plant, doses[0], giver="u-courier")

    assert first.status == 201
    assert gap.codes == {"giver-has-it-not"}
    chain = (await plant.get(f"/doses/{doses[0]}/custody")).body["items"]
    assert [(c["giver"], c["receiver"], c["place"]) for c in chain] == [
        ("u-lab", "u-nurse", "ward-2")
    ]


async def test_a_custody_failure_recalls_the_dose_before_it_is_answered(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)

    warm = await hand_over(plant, doses[0], condition="out_of_temperature")

    assert warm.body["state"] == "recalled"
    (hold,) = plant.intake.holds.values()
    assert (hold["kind"], hold["dose_ids"]) == ("recall", [str(doses[0])])
    (recall,) = await plant.events("recall-ordered")
    assert (recall["reason"], recall["dose_ids"]) == ("custody", [str(doses[0])])
    assert (await plant.get(f"/doses/{doses[1]}")).body["state"] == "available"


async def test_a_frozen_batch_lives_twelve_months_to_the_end_of_the_day(plant: Plant) -> None:
    # REL-EXP-C, in the clinic's zone (UTC+3)
    case_id = await plant.open_case()
    frozen_on = plant.now() + timedelta(days=21)
    _, doses = await plant.formulate(case_id, form="cryopreserved")

    shown = (await plant.get(f"/doses/{doses[0]}")).body

    assert shown["expires_at"].startswith(f"{frozen_on.year + 1}-{frozen_on.month:02}-")
    assert shown["expires_at"].endswith(("T21:00:00Z", "T00:00:00+03:00"))
