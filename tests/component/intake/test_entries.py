"""Forms through the endpoints: what follows is told at once, one call corrects, history stays.

Expected values are those of the protocol: STER-001 (above 10 mg/day prednisone, 7 days), RF-HOLD,
WO-UNVERIF, CLR-004.
"""

from typing import Any

import httpx
import pytest

from shared.contracts.vocabulary import Role
from tests.component.intake.conftest import Intake

pytestmark = pytest.mark.component
STEROID = {"form": "steroid-course", "drug": "dexamethasone", "mg_per_day": 8}


async def enter(
    intake: Intake, case_id: str, body: dict[str, Any], role: Role = Role.TREATING_PHYSICIAN
) -> httpx.Response:
    return await intake.client.post(
        f"/cases/{case_id}/entries", headers=intake.headers(role, subject="u-7"), json=body
    )


async def entered(intake: Intake, case_id: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await enter(intake, case_id, body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def correct(
    intake: Intake, entry: dict[str, Any], body: dict[str, Any], tag: str = '"1"'
) -> httpx.Response:
    headers = intake.headers(Role.TREATING_PHYSICIAN, subject="u-8") | {"if-match": tag}
    return await intake.client.put(entry["links"]["correct"], headers=headers, json=body)


async def test_a_steroid_course_says_at_once_what_follows(intake: Intake) -> None:
    case_id = await intake.refer()

    found = await entered(intake, case_id, STEROID)

    assert found["shown"]["prednisone_mg_per_day"] == pytest.approx(160 / 3)
    assert [f["kind"] for f in found["facts"]] == ["medication"]
    assert found["provenance"]["by"] == "u-7"
    changed = {g["gate"]: g["start"] for g in found["gates_changed"]}
    assert (changed["collection"], changed["infusion"]) == ("hold", "hold")
    holds = {h["rule"] for h in (await intake.case(case_id))["open_holds"]}
    assert "STER-001" in holds


async def test_one_call_corrects_and_the_old_facts_are_in_error(intake: Intake) -> None:
    case_id = await intake.refer()
    first = await entered(intake, case_id, STEROID)

    answer = await correct(intake, first, {**STEROID, "mg_per_day": 0.75})

    assert answer.status_code == 200, answer.text
    assert (answer.json()["version"], answer.headers["etag"]) == (2, '"2"')
    assert await intake.blocking(case_id, "infusion", "STER-001") == []
    assert not [h for h in (await intake.case(case_id))["open_holds"] if h["rule"] == "STER-001"]
    listed = await intake.client.get(
        f"/cases/{case_id}/entries", headers=intake.headers(Role.INFUSION_NURSE)
    )
    (item,) = listed.json()["items"]
    assert [(v["version"], v["by"]) for v in item["history"]] == [(1, "u-7"), (2, "u-8")]
    one = await intake.client.get(
        first["links"]["correct"], headers=intake.headers(Role.INFUSION_NURSE)
    )
    assert (one.json(), one.headers["etag"]) == (item, '"2"')
    kinds = [f["kind"] for f in (await intake.case(case_id))["facts"]]
    assert sorted(kinds) == ["correction", "medication", "medication"]


async def test_who_did_not_see_the_newest_version_corrects_nothing(intake: Intake) -> None:
    case_id = await intake.refer()
    first = await entered(intake, case_id, STEROID)
    await correct(intake, first, {**STEROID, "mg_per_day": 4})

    stale = await correct(intake, first, {**STEROID, "mg_per_day": 2})

    assert (stale.status_code, stale.json()["code"]) == (412, "stale-version")
    other = await correct(intake, first, {"form": "symptom", "symptom": "RF-CHEST"}, '"2"')
    assert (other.status_code, other.json()["code"]) == (404, "no-such-entry")


async def test_a_withdrawn_entry_counts_no_more(intake: Intake) -> None:
    case_id = await intake.refer()
    first = await entered(intake, case_id, STEROID)
    headers = intake.headers(Role.TREATING_PHYSICIAN) | {"if-match": '"1"'}

    answer = await intake.client.post(first["links"]["withdraw"], headers=headers)

    assert answer.status_code == 200, answer.text
    assert (answer.json()["withdrawn"], answer.json()["facts"]) == (True, [])
    assert await intake.blocking(case_id, "infusion", "STER-001") == []
    again = await correct(intake, first, STEROID, '"2"')
    assert again.status_code == 404


async def listed(intake: Intake, case_id: str) -> dict[str, Any]:
    answer = await intake.client.get(
        f"/cases/{case_id}/entries", headers=intake.headers(Role.INFUSION_NURSE)
    )
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["items"]
    return dict(item)


async def test_an_entry_tells_later_too_what_rests_on_it(intake: Intake) -> None:
    case_id = await intake.refer()
    first = await entered(intake, case_id, STEROID)

    item = await listed(intake, case_id)

    assert item["facts"] == first["facts"]
    assert (item["shown"], item["assumed"]) == (first["shown"], first["assumed"])
    closed = {gate["gate"]: gate for gate in item["closes"]}
    assert closed["infusion"]["start"] == "hold"
    assert "STER-001" in {finding["rule"] for finding in closed["infusion"]["because"]}


async def test_an_entry_in_error_keeps_its_words_and_its_reason_and_closes_nothing(
    intake: Intake,
) -> None:
    case_id = await intake.refer()
    first = await entered(intake, case_id, STEROID)
    headers = intake.headers(Role.TREATING_PHYSICIAN) | {"if-match": '"1"'}

    answer = await intake.client.post(
        first["links"]["withdraw"], headers=headers, json={"reason": "another patient's"}
    )

    assert answer.status_code == 200, answer.text
    item = await listed(intake, case_id)
    assert (item["withdrawn"], item["reason"]) == (True, "another patient's")
    assert item["body"] == {**STEROID, "mg_per_day": "8"}
    assert (item["closes"], item["facts"]) == ([], [])


async def test_the_forms_of_a_case_offer_the_doses_of_its_plan(intake: Intake) -> None:
    case_id = await intake.refer()
    await entered(
        intake, case_id,
        {"form": "chemotherapy-plan", "regimen": "cisplatin", "cycle_days": 21,
         "first_day": "2027-02-24", "cycles": 3},
    )  # fmt: skip

    answer = await intake.client.get(
        f"/cases/{case_id}/entry-forms", headers=intake.headers(Role.INFUSION_NURSE)
    )

    forms = {form["form"]: form for form in answer.json()["items"]}
    days = next(f for f in forms["chemotherapy-cycle"]["fields"] if f["name"] == "from_day")
    assert [choice["value"] for choice in days["choices"]] == ["2027-03-17", "2027-04-07"]
    assert "infusion_nurse" not in forms["chemotherapy-cycle"]["entered_by"]
    assert "infusion_nurse" in forms["symptom"]["entered_by"]


async def test_a_red_flag_is_told_with_its_level_and_holds(intake: Intake) -> None:
    case_id = await intake.refer()

    found = await entered(intake, case_id, {"form": "symptom", "symptom": "RF-CHEST"})

    assert (found["shown"]["red_flag"], found["shown"]["level"]) == ("RF-CHEST", "L4")
    assert found["shown"]["since"] == found["provenance"]["at"]
    assert "tandem.coordination.red-flag-reported.v1" in await intake.events(case_id)
    assert await intake.blocking(case_id, "infusion", "RF-HOLD") == ["hold"]


async def test_a_moved_cycle_asks_for_the_oncologists_word_again(intake: Intake) -> None:
    case_id = await intake.refer()
    await entered(
        intake, case_id,
        {"form": "chemotherapy-plan", "regimen": "cisplatin", "cycle_days": 21,
         "first_day": "2027-04-01", "cycles": 3},
    )  # fmt: skip
    await intake.report(
        case_id, {"kind": "evidence", "item": "oncology_plan_ack"}, role=Role.ONCOLOGIST
    )
    assert await intake.blocking(case_id, "infusion", "CLR-004") == []

    intake.clock.advance(minutes=1)
    move = {"form": "chemotherapy-cycle", "from_day": "2027-04-01", "to_day": "2027-03-12"}
    found = await entered(intake, case_id, move)

    assert found["shown"]["moved"] == [
        {"from": "2027-04-01", "to": "2027-03-12"},
        {"from": "2027-04-22", "to": "2027-04-02"},
        {"from": "2027-05-13", "to": "2027-04-23"},
    ]
    assert await intake.blocking(case_id, "infusion", "CLR-004") == ["hold"]
    back = await correct(intake, found, {**move, "only_this": True})
    assert back.json()["shown"]["moved"] == [{"from": "2027-04-01", "to": "2027-03-12"}]


async def test_an_alternative_product_is_up_for_review(intake: Intake) -> None:
    case_id = await intake.refer()

    await entered(
        intake, case_id,
        {"form": "other-product", "product": "moon root", "kind": "herbal", "note": "since May"},
    )  # fmt: skip

    assert await intake.blocking(case_id, "infusion", "WO-UNVERIF") == ["review"]


async def test_an_infection_episode_holds(intake: Intake) -> None:
    case_id = await intake.refer()

    await entered(intake, case_id, {"form": "infection-episode", "type": "serious"})

    rules = {h["rule"] for h in (await intake.case(case_id))["open_holds"]}
    assert {rule for rule in rules if rule and rule.startswith("INF-")}


@pytest.mark.parametrize(
    ("body", "role", "status", "code"),
    [
        ({**STEROID, "first": "2027-03-09", "last": "2027-03-01"}, Role.COORDINATOR, 422,
         "form-refused"),
        ({"form": "symptom", "symptom": "tired"}, Role.COORDINATOR, 422, "form-refused"),
        ({"form": "chemotherapy-cycle", "from_day": "2027-04-01", "to_day": None},
         Role.ONCOLOGIST, 422, "form-refused"),
        ({"form": "poem"}, Role.ONCOLOGIST, 422, None),
        ({"form": "chemotherapy-plan", "regimen": "cisplatin", "cycle_days": 1,
          "first_day": "2027-04-01", "cycles": 20, "days": [*range(1, 12)]},
         Role.ONCOLOGIST, 422, None),
    ],
    ids=["ends-before", "no-red-flag", "nothing-planned", "no-form", "too-many"],
)  # fmt: skip
async def test_what_cannot_be_entered_is_refused(
    intake: Intake, body: dict[str, Any], role: Role, status: int, code: str | None
) -> None:
    case_id = await intake.refer()

    answer = await enter(intake, case_id, body, role)

    assert answer.status_code == status, answer.text
    assert code is None or answer.json()["code"] == code
    assert (await intake.case(case_id))["facts"] == []


async def test_a_moved_cycle_is_not_a_nurses_to_enter(intake: Intake) -> None:
    case_id = await intake.refer()
    await intake.report(
        case_id, {"kind": "medication", "name": "cisplatin", "next_planned": "2027-04-01"}
    )
    body = {"form": "chemotherapy-cycle", "from_day": "2027-04-01", "to_day": "2027-04-08"}

    answer = await enter(intake, case_id, body, Role.INFUSION_NURSE)

    assert answer.status_code == 403
    assert answer.json()["allowed_roles"] == ["coordinator", "oncologist", "treating_physician"]


async def test_the_same_key_enters_once(intake: Intake) -> None:
    case_id = await intake.refer()
    headers = intake.headers(Role.COORDINATOR, key=f"form-{case_id}")
    path = f"/cases/{case_id}/entries"

    answers = [await intake.client.post(path, headers=headers, json=STEROID) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert len((await intake.case(case_id))["facts"]) == 1
