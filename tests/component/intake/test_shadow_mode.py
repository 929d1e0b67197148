"""Intake in shadow mode on PostgreSQL: what it advises, what it keeps, and the daily list."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.contracts.vocabulary import Role, Service
from shared.testing.infra import Infra
from tests.component.intake.conftest import Intake, running_intake

pytestmark = pytest.mark.component


@pytest.fixture
async def shadowed(infra: Infra, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Intake]:
    async with running_intake(infra, tmp_path_factory, "shadow") as found:
        yield found


async def press(intake: Intake, case_id: str, subject_id: str, permit_id: str) -> httpx.Response:
    clearance = await intake.client.get(
        f"/cases/{case_id}/clearance", headers=intake.headers(Role.COORDINATOR)
    )
    return await intake.client.put(
        f"/cases/{case_id}/permits/{permit_id}",
        headers={
            **intake.sign_in.service(Service.MANUFACTURING), "if-match": clearance.headers["etag"]
        },
        json={
            "gate": "collection", "subject_id": subject_id, "attempt": 1,
            "requested_by": "nurse-1",
        },
    )  # fmt: skip


async def daily(intake: Intake, role: Role = Role.COORDINATOR, **params: str) -> httpx.Response:
    return await intake.client.get("/shadow/daily", headers=intake.headers(role), params=params)


async def test_a_press_is_advised_with_its_reasons_and_no_permit_is_there(shadowed: Intake) -> None:
    case_id = await shadowed.refer()

    answer = await press(shadowed, case_id, str(uuid4()), str(uuid4()))

    body = answer.json()
    assert (answer.status_code, answer.headers["tandem-mode"]) == (409, "shadow")
    assert (body["code"], body["mode"], body["would_be"]) == ("advisory", "shadow", "refused")
    decided = next(reason for reason in body["reasons"] if reason["code"] == "decision")
    assert "DATA-012" in decided["rules"], "an unsigned protocol would start nothing"
    assert all(finding["message"] for finding in decided["findings"])
    assert await shadowed.rows("SELECT 1 FROM permit") == []
    (kept,) = await shadowed.rows("SELECT would_be, protocol_version FROM permit_advice")
    assert kept["would_be"] == "refused"
    noted = await shadowed.rows("SELECT 1 FROM audit_entry WHERE action = 'permit-advised'")
    assert len(noted) == 1


async def test_the_daily_list_counts_each_step_and_rule_as_worked_by_hand(shadowed: Intake) -> None:
    case_id, first, second = await shadowed.refer(), str(uuid4()), str(uuid4())
    await shadowed.client.post(
        f"/cases/{case_id}/holds",
        headers=shadowed.headers(Role.ONCOLOGIST, key=uuid4().hex),
        json={"kind": "clinical_concern", "gates": ["collection"]},
    )
    for subject_id, hour in ((first, 7), (first, 8), (second, 9)):
        shadowed.clock.instant = datetime(2027, 3, 10, hour, tzinfo=UTC)
        assert (await press(shadowed, case_id, subject_id, str(uuid4()))).status_code == 409
    # the next day in Istanbul (UTC+3) begins at 21:00 UTC
    shadowed.clock.instant = datetime(2027, 3, 10, 21, tzinfo=UTC)
    assert (await press(shadowed, case_id, first, str(uuid4()))).status_code == 409

    found = (await daily(shadowed, date="2027-03-10")).json()
    today = (await daily(shadowed, Role.MEDICAL_DIRECTOR)).json()

    held = [line for line in found["would_have_held"] if line["code"] == "hold-open"]
    unsigned = [line for line in found["would_have_held"] if line["rule"] == "DATA-012"]
    expected = [(first, 2, 7, 8), (second, 1, 9, 9)]
    for lines in (held, unsigned):
        assert [told(line) for line in lines] == expected
    assert (found["mode"], found["asked"]) == ("shadow", 3)
    assert (found["would_be_granted"], found["would_be_refused"]) == (0, 3)
    assert (found["from"], found["until"]) == ("2027-03-09T21:00:00Z", "2027-03-10T21:00:00Z")
    placed = [hold for hold in found["holds"] if hold["kind"] == "clinical_concern"]
    assert [hold["gates"] for hold in placed] == [["collection"]]
    assert (today["date"], today["asked"], found["is_cut"]) == ("2027-03-11", 1, False)


def told(line: dict[str, Any]) -> tuple[str, int, int, int]:
    """Step, how often, and the hours of first and last."""
    first, last = (datetime.fromisoformat(line[name]) for name in ("first_at", "last_at"))
    return line["subject_id"], line["times"], first.hour, last.hour


async def test_outside_shadow_mode_there_is_no_list(intake: Intake) -> None:
    answer = await daily(intake)

    assert (answer.status_code, answer.json()["code"]) == (409, "not-shadow-mode")


async def test_only_those_who_tune_see_the_list(shadowed: Intake) -> None:
    statuses = {role: (await daily(shadowed, role)).status_code for role in Role}

    allowed = {Role.COORDINATOR, Role.MEDICAL_DIRECTOR}
    assert {role for role, status in statuses.items() if status == 200} == allowed
    assert {status for role, status in statuses.items() if role not in allowed} == {403}


async def test_another_site_sees_nothing_of_this_ones_day(shadowed: Intake) -> None:
    case_id = await shadowed.refer()
    await press(shadowed, case_id, str(uuid4()), str(uuid4()))
    await shadowed.rows("UPDATE patient_case SET site = 'north' RETURNING 1")
    elsewhere = shadowed.sign_in.person(Role.COORDINATOR, site="south")

    found = (await shadowed.client.get("/shadow/daily", headers=elsewhere)).json()

    assert (found["asked"], found["holds"]) == (0, [])
    assert (await daily(shadowed)).json()["asked"] == 1
