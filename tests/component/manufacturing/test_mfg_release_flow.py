"""From the booked collection to the dose in the patient, through the public API."""

from datetime import timedelta

from mfg_rig import Plant
from shared.contracts.vocabulary import Role


async def test_a_fresh_dose_reaches_its_infusion(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)

    issued = await plant.issue(doses[0], infusion_id)

    assert issued.status == 200, issued.body
    assert issued.body["go"] is True
    shown = await plant.get(f"/doses/{doses[0]}")
    assert shown.body["state"] == "issued"
    assert shown.body["sterility_pending"] is True
    (event,) = await plant.events("dose-issued")
    assert event["infusion_id"] == str(infusion_id)
    assert event["case_id"] == str(case_id)
