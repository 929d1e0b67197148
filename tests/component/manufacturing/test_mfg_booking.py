"""A collection is booked against timelines and capacity; a slot is taken once."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from mfg_rig import RULES, Answer, Plant

from shared.contracts.coordination import CaseClosed, ConsentRecorded, ConsentWithdrawn
from shared.contracts.vocabulary import Gate, Role, Verdict

pytestmark = pytest.mark.component

BOOKER = ("u-co", Role.COORDINATOR)


async def book(plant: Plant, case_id: UUID, slot_id: UUID, *, in_days: int = 0) -> Answer:
    body = {
        "case_id": str(case_id),
        "method": "blood_draw",
        "planned_at": (plant.now() + timedelta(days=in_days)).isoformat(),
        "slot_id": str(slot_id),
    }
    return await plant.post("/collections", body, by=BOOKER)


async def test_a_hundred_parallel_bookings_of_one_slot_have_one_winner(plant: Plant) -> None:
    cases = [await plant.open_case() for _ in range(20)]
    slot_id = await plant.slot()

    answers = await asyncio.gather(*[book(plant, cases[n % 20], slot_id) for n in range(100)])

    assert sum(a.status == 201 for a in answers) == 1
    assert len(await plant.rows("SELECT 1 FROM collection")) == 1
    assert len(await plant.events("collection-booked")) == 1


async def test_an_unknown_case_or_slot_is_not_found(plant: Plant) -> None:
    case_id = await plant.open_case()

    assert (await book(plant, uuid4(), await plant.slot())).status == 404
    assert (await book(plant, case_id, uuid4())).status == 404


async def test_a_closed_interval_names_its_rule(plant: Plant) -> None:
    case_id = await plant.open_case()
    await plant.publish(case_id, Gate.COLLECTION, plan=Verdict.HOLD)

    refused = await book(plant, case_id, await plant.slot())

    assert [(r["code"], r["rule"]) for r in refused.body["reasons"]] == [
        ("not-plannable", "WO-CHEMO")
    ]


async def test_a_time_beyond_the_timeline_is_unknown_and_not_booked(plant: Plant) -> None:
    case_id = await plant.open_case()

    refused = await book(plant, case_id, await plant.slot(in_days=450), in_days=450)

    assert "timeline-unknown" in refused.codes


async def test_no_collection_without_a_feasible_infusion_after_the_harvest(plant: Plant) -> None:
    case_id = await plant.open_case()
    await plant.publish(
        case_id, Gate.INFUSION, plan=Verdict.GO, until=timedelta(days=10), then=Verdict.HOLD
    )

    refused = await book(plant, case_id, await plant.slot())

    assert [(r["code"], r["subject"]) for r in refused.body["reasons"]] == [
        ("not-plannable", "infusion")
    ]


async def test_a_slot_must_be_on_the_day_or_within_the_start_limit(plant: Plant) -> None:
    # MFG-001: the culture starts at most 48 h after the collection
    case_id = await plant.open_case()

    early = await book(plant, case_id, await plant.slot(in_days=0), in_days=1)
    late = await book(plant, case_id, await plant.slot(in_days=3))
    fits = await book(plant, case_id, await plant.slot(in_days=2))

    assert early.codes == {"slot-too-early"}
    assert late.codes == {"start-too-late"}
    assert fits.status == 201


async def test_collections_keep_their_distance(plant: Plant) -> None:
    # COL-002: 7 days
    case_id = await plant.open_case()
    await plant.collect(case_id)

    soon = await book(plant, case_id, await plant.slot(in_days=6), in_days=6)
    later = await book(plant, case_id, await plant.slot(in_days=7), in_days=7)

    assert [(r["code"], r["rule"]) for r in soon.body["reasons"]] == [
        ("collection-too-soon", "COL-002")
    ]
    assert later.status == 201
    assert RULES.days_between_collections_min == 7


async def test_withdrawn_consent_stops_bookings_until_it_is_signed_again(plant: Plant) -> None:
    case_id = await plant.open_case()
    day = plant.now().date()
    await plant.hear(ConsentWithdrawn(case_id=case_id, withdrawn_on=day), times=2)

    refused = await book(plant, case_id, await plant.slot())
    await plant.hear(ConsentRecorded(case_id=case_id, document_version="2", signed_on=day), times=2)
    booked = await book(plant, case_id, await plant.slot())

    assert refused.codes == {"consent-withdrawn"}
    assert booked.status == 201


async def test_a_closed_case_is_not_booked(plant: Plant) -> None:
    case_id = await plant.open_case()
    await plant.hear(CaseClosed(case_id=case_id, reason="transferred"), times=2)

    assert (await book(plant, case_id, await plant.slot())).codes == {"case-closed"}


async def test_a_cancelled_booking_frees_its_slot_for_another_case(plant: Plant) -> None:
    case_id, other = await plant.open_case(), await plant.open_case()
    slot_id = await plant.slot()
    booked = await book(plant, case_id, slot_id)

    cancelled = await plant.post(f"/collections/{booked.body['collection_id']}/cancel", by=BOOKER)
    second = await book(plant, other, slot_id)

    assert cancelled.body["state"] == "cancelled"
    assert second.status == 201
    (freed,) = await plant.events("slot-freed")
    assert freed["slot_id"] == str(slot_id)


async def test_the_same_place_is_offered_once_per_day(plant: Plant) -> None:
    body = {"day": "2027-03-05", "place": "incubator-1"}

    first = await plant.post("/slots", body, by=BOOKER)
    again = await plant.post("/slots", body, by=BOOKER)
    listed = await plant.get("/slots?from_day=2027-03-05&free=true")

    assert (first.status, again.status) == (201, 409)
    assert [s["place"] for s in listed.body["items"]] == ["incubator-1"]


async def test_unknown_properties_are_refused(plant: Plant) -> None:
    answer = await plant.post(
        "/slots", {"day": "2027-03-05", "place": "i", "collection_id": str(uuid4())}, by=BOOKER
    )

    assert answer.status == 422
