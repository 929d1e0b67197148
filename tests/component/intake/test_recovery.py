"""After a restore: grants stop, two people recover, and only then can permits be asked for."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.contracts.vocabulary import Role, Service
from tests.component.intake.conftest import Intake

pytestmark = pytest.mark.component
PATH = "/ops/recover"


def token(intake: Intake, role: Role, subject: str) -> str:
    return intake.headers(role, subject=subject)["authorization"].split()[1]


async def recover(intake: Intake, key: str | None = None, **changes: Any) -> httpx.Response:
    body = {
        "reason": "restored from backup", "old_primary_is_stopped": True,
        "second_signer_token": token(intake, Role.OPS, "ops-2"), **changes,
    }  # fmt: skip
    headers = intake.headers(Role.OPS, subject="ops-1", key=key)
    return await intake.client.post(PATH, headers=headers, json=body)


async def epoch(intake: Intake) -> int:
    (row,) = await intake.rows("SELECT epoch FROM stream_epoch")
    return int(row["epoch"])


async def ask_permit(intake: Intake, case_id: str) -> httpx.Response:
    clearance = await intake.client.get(
        f"/cases/{case_id}/clearance", headers=intake.headers(Role.COORDINATOR)
    )
    headers = intake.sign_in.service(Service.INFUSION_SCHEDULING)
    return await intake.client.put(
        f"/cases/{case_id}/permits/{uuid4()}",
        headers={**headers, "if-match": clearance.headers["etag"]},
        json={
            "gate": "infusion", "subject_id": str(uuid4()), "attempt": 1,
            "dose_id": str(uuid4()), "requested_by": "nurse-1", "second_checker": "nurse-2",
            "band_scanned": "AAAA-BBBB",
        },
    )  # fmt: skip


async def restored(intake: Intake) -> None:
    """The database says that it was another one when it last granted."""
    await intake.rows(
        "INSERT INTO authority_history (system_identifier, timeline) VALUES ('other', '00000009')"
        " ON CONFLICT (only_row) DO UPDATE SET system_identifier = 'other' RETURNING 1"
    )


async def test_after_a_restore_nothing_is_granted_until_two_people_recover(
    intake: Intake,
) -> None:
    case_id = await intake.refer()
    await restored(intake)
    before = await epoch(intake)

    refused = await ask_permit(intake, case_id)
    done = await recover(intake)
    asked = await ask_permit(intake, case_id)

    assert (refused.status_code, refused.json()["code"]) == (503, "authority-restored")
    assert done.status_code == 200, done.text
    assert done.json()["epoch"] == await epoch(intake) == before + 1
    assert done.json()["cases"] >= 1
    assert asked.status_code == 409
    assert {"hold-open"} <= {reason["code"] for reason in asked.json()["reasons"]}
    kinds = [hold["kind"] for hold in (await intake.case(case_id))["open_holds"]]
    assert "reverification" in kinds
    (note,) = await intake.rows(
        "SELECT body FROM audit_entry"
        " WHERE action = 'authority-recovered' ORDER BY seq DESC LIMIT 1"
    )
    entry = json.loads(note["body"])
    assert (entry["actor"], entry["reason"], entry["detail"]["second"]) == (
        "ops-1", "restored from backup", "ops-2",
    )  # fmt: skip


async def test_nothing_is_recovered_while_the_old_primary_may_run(intake: Intake) -> None:
    before = await epoch(intake)

    answer = await recover(intake, old_primary_is_stopped=False)
    unsaid = await intake.client.post(
        PATH,
        headers=intake.headers(Role.OPS),
        json={"reason": "x y z", "second_signer_token": token(intake, Role.OPS, "ops-2")},
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "old-primary")
    assert unsaid.status_code == 422
    assert await epoch(intake) == before


@pytest.mark.parametrize(
    ("role", "subject", "status", "code"),
    [
        (Role.OPS, "ops-1", 409, "second-person"),
        (Role.AUDITOR, "auditor-1", 422, "second-signature"),
    ],
)
async def test_nobody_recovers_alone_or_with_somebody_who_may_not_sign(
    intake: Intake, role: Role, subject: str, status: int, code: str
) -> None:
    before = await epoch(intake)

    answer = await recover(intake, second_signer_token=token(intake, role, subject))

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await epoch(intake) == before


async def test_a_repeated_recovery_raises_the_epoch_once(intake: Intake) -> None:
    body = {"second_signer_token": token(intake, Role.COORDINATOR, "coordinator-2")}

    first = await recover(intake, key="k-1", **body)
    again = await recover(intake, key="k-1", **body)

    assert first.status_code == 200, first.text
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert await epoch(intake) == first.json()["epoch"]
