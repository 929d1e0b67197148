"""A scan must match; a mismatch is refused, a deviation and a hold before it is answered."""

import pytest
from mfg_rig import Plant

from services.manufacturing.application.place_hold import send_waiting_holds
from shared.contracts.vocabulary import Role

pytestmark = pytest.mark.component

CHAIR = ("u-nurse", Role.APHERESIS_PHYSICIAN)


async def test_the_label_of_a_collection_is_the_same_when_asked_again(plant: Plant) -> None:
    case_id = await plant.open_case()
    collection_id = await plant.book(case_id)

    assert await plant.label(collection_id) == await plant.label(collection_id)


async def test_another_containers_label_is_refused_with_deviation_hold_and_event(
    plant: Plant,
) -> None:
    case_id, other = await plant.open_case(), await plant.open_case()
    batch_id, _ = await plant.grow(case_id)
    _, others_label = await plant.grow(other)
    plant.clock.advance(days=1)

    refused = await plant.step(batch_id, others_label, "activate")

    assert (refused.status, refused.body["code"]) == (409, "identity-mismatch")
    # both cases are in doubt: the container that was taken is the other one's
    assert {h["kind"] for h in plant.intake.holds.values()} == {"identity"}
    assert len(plant.intake.holds) == 2
    assert all("dose_ids" not in h for h in plant.intake.holds.values())
    told = await plant.events("identity-mismatch")
    assert {e["case_id"] for e in told} == {str(case_id), str(other)}
    assert {e["case_id"] for e in await plant.events("deviation-opened")} == {
        str(case_id), str(other)
    }  # fmt: skip
    own = next(e for e in told if e["case_id"] == str(case_id))
    assert own["hold_id"] == refused.body["hold_id"]
    steps = await plant.rows("SELECT step FROM batch_step WHERE batch_id = $1", batch_id)
    assert "activate" not in {row["step"] for row in steps}


async def test_the_answer_names_nothing_of_the_other_case(plant: Plant) -> None:
    case_id, other = await plant.open_case(), await plant.open_case()
    batch_id, _ = await plant.grow(case_id)
    _, others_label = await plant.grow(other)
    plant.clock.advance(days=1)

    refused = await plant.step(batch_id, others_label, "activate")

    assert str(other) not in str(refused.body)


async def test_a_mismatch_with_intake_away_is_refused_as_503_and_sent_later(
    plant: Plant,
) -> None:
    case_id, other = await plant.open_case(), await plant.open_case()
    batch_id, _ = await plant.grow(case_id)
    _, others_label = await plant.grow(other)
    plant.clock.advance(days=1)
    plant.intake.up = False

    refused = await plant.step(batch_id, others_label, "activate")
    told = await plant.events("identity-mismatch")
    plant.intake.up = True
    sent = await send_waiting_holds(plant.shell)

    assert refused.status == 503
    assert refused.body["refused"] == "identity-mismatch"
    assert told == []
    assert sent == 2
    assert len(await plant.events("identity-mismatch")) == 2


async def test_an_unreadable_scan_is_refused_without_a_hold(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, label = await plant.grow(case_id)
    plant.clock.advance(days=1)
    smudged = label[:-1] + ("0" if label[-1] != "0" else "1")

    refused = await plant.step(batch_id, smudged, "activate")

    assert refused.codes == {"label-unreadable"}
    assert plant.intake.holds == {}


async def test_an_identity_deviation_blocks_the_release(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.formulate(case_id)
    await plant.report_all(batch_id)
    await plant.step(batch_id, await plant.dose_label(doses[0]), "expand")

    refused = await plant.sign(batch_id, "u-qa-1")

    assert refused.codes == {"deviation-open"}


async def test_every_scan_stays_on_record(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.formulate(case_id)
    await plant.step(batch_id, await plant.dose_label(doses[0]), "expand")

    scans = await plant.rows("SELECT step, outcome FROM scan ORDER BY scan_id")

    assert [(s["step"], s["outcome"]) for s in scans] == [
        ("collect", "match"),
        ("receive", "match"),
        ("isolate", "match"),
        ("activate", "match"),
        ("expand", "match"),
        ("harvest", "match"),
        ("formulate", "match"),
        ("expand", "mismatch"),
    ]


@pytest.mark.parametrize("verb", ["issue", "return"])
async def test_a_dose_is_moved_only_by_its_own_label(plant: Plant, verb: str) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)
    if verb == "return":
        await plant.issue(doses[0], infusion_id)
    wrong = {"scanned_label": await plant.dose_label(doses[1])}
    body = {
        "issue": {**wrong, "infusion_id": str(infusion_id), "second_checker": "u-2"},
        "return": {**wrong, "usable": True},
    }[verb]

    refused = await plant.post(f"/doses/{doses[0]}/{verb}", body, if_match='"0.0"')

    assert refused.body["code"] == "identity-mismatch"
    assert len(plant.intake.holds) == 1  # both bags are of one case
