"""What manufacturing puts on the coordination record, and what it may not."""

from typing import Any

import pytest

from shared.contracts.vocabulary import Role, Service
from tests.component.intake.conftest import Intake

pytestmark = pytest.mark.component

REPORTED: list[dict[str, Any]] = [
    {"kind": "evidence", "id": "identity_check/1", "item": "identity_check"},
    {"kind": "evidence", "id": "coi_label/1", "item": "coi_label"},
    {"kind": "lab", "id": "measure/1", "metric": "start_viability", "value": "94", "unit": "%"},
    {
        "kind": "release_test", "id": "release-test/1", "lot": "L1", "test": "cd3_pct",
        "value": "95", "unit": "%", "reported": "2027-03-10T08:00:00+03:00",
    },
]  # fmt: skip
NOT_ITS_OWN: list[dict[str, Any]] = [
    {"kind": "evidence", "item": "consent"},
    {"kind": "evidence", "item": "oncology_plan_ack"},
    {"kind": "lab", "metric": "anc", "value": 3, "unit": "10*9/L"},
    {"kind": "performance", "ecog": 0},
]


async def test_manufacturing_puts_what_it_measured_and_checked_on_record(intake: Intake) -> None:
    case_id = await intake.refer()

    answer = await intake.client.post(
        f"/cases/{case_id}/facts",
        headers=intake.sign_in.service(Service.MANUFACTURING),
        json={"facts": REPORTED},
    )

    assert answer.status_code == 201, answer.text
    facts = (await intake.case(case_id))["facts"]
    assert {fact["source_id"] for fact in facts} == {fact["id"] for fact in REPORTED}
    assert {fact["origin"] for fact in facts} == {"event"}


@pytest.mark.parametrize("statement", NOT_ITS_OWN, ids=str)
async def test_manufacturing_states_nothing_clinical(
    intake: Intake, statement: dict[str, Any]
) -> None:
    case_id = await intake.refer()

    answer = await intake.client.post(
        f"/cases/{case_id}/facts",
        headers=intake.sign_in.service(Service.MANUFACTURING),
        json={"facts": [statement]},
    )

    assert answer.status_code == 403
    assert answer.json()["code"] == "not-allowed"


async def test_a_fact_entered_by_a_person_is_told_apart_from_a_services(intake: Intake) -> None:
    case_id = await intake.refer()

    await intake.client.post(
        f"/cases/{case_id}/facts",
        headers=intake.headers(Role.COORDINATOR),
        json={"facts": [{"kind": "lab", "metric": "crp", "value": 4, "unit": "mg/L"}]},
    )

    assert {fact["origin"] for fact in (await intake.case(case_id))["facts"]} == {"entered"}
