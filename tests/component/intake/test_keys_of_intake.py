"""S1, S2 at intake, on real PostgreSQL: releases, imports and referrals count once per key."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from shared.contracts.vocabulary import Role
from shared.web.idempotency import STATEMENTS
from tests.component.intake.conftest import Intake
from tests.component.intake.test_record_flow import BUNDLES

pytestmark = pytest.mark.component
CHECKED = {"reason": "looked at, over"}


def bundle(name: str) -> bytes:
    found: Path = next(BUNDLES.rglob(name))
    return found.read_bytes()


async def held(intake: Intake, *, key: str | None = None) -> tuple[str, httpx.Response]:
    case_id = await intake.refer()
    answer = await intake.client.post(
        f"/cases/{case_id}/holds",
        headers=intake.headers(Role.COORDINATOR, key=key),
        json={"kind": "clinical_concern"},
    )
    assert answer.status_code == 201, answer.text
    return case_id, answer


async def released(
    intake: Intake, hold_id: str, body: Mapping[str, str], *, key: str | None
) -> httpx.Response:
    headers = intake.headers(Role.ONCOLOGIST, subject="u-2", key=key)
    return await intake.client.post(f"/holds/{hold_id}/release", headers=headers, json=body)


async def test_a_repeated_release_adds_no_event_and_another_body_is_422(intake: Intake) -> None:
    case_id, hold = await held(intake)
    hold_id = hold.json()["hold_id"]

    first = await released(intake, hold_id, CHECKED, key="k-1")
    told = await intake.events(case_id)
    again = await released(intake, hold_id, CHECKED, key="k-1")
    other = await released(intake, hold_id, {"reason": "something else"}, key="k-1")

    assert (first.status_code, first.json()["state"]) == (200, "RELEASED")
    assert (again.status_code, again.content) == (200, first.content)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert await intake.events(case_id) == told


async def test_a_release_whose_first_request_still_runs_is_told_409(intake: Intake) -> None:
    case_id, hold = await held(intake)
    route = f"POST /holds/{hold.json()['hold_id']}/release"
    now = datetime.now(UTC)

    async with intake.database.transaction() as first:
        await first.run(
            STATEMENTS["claim_idempotency_key"], "u-2", route, "k-1",
            sha256(b"first").digest(), now, now - timedelta(hours=48),
        )  # fmt: skip
        second = await released(intake, hold.json()["hold_id"], CHECKED, key="k-1")

    assert (second.status_code, second.json()["code"]) == (409, "idempotency-key-in-progress")
    assert "tandem.coordination.hold-released.v1" not in await intake.events(case_id)


async def test_a_refused_release_may_be_tried_again_with_its_key(intake: Intake) -> None:
    _, hold = await held(intake)
    path = f"/holds/{hold.json()['hold_id']}/release"
    own = intake.headers(Role.QA_RELEASE, key="k-1")

    refused = await intake.client.post(path, headers=own, json=CHECKED)
    again = await intake.client.post(path, headers=own, json=CHECKED)

    assert refused.status_code == again.status_code == 403
    assert "idempotency-replayed" not in again.headers


async def test_a_repeated_hold_tells_its_present_state_and_is_one_hold(intake: Intake) -> None:
    case_id, first = await held(intake, key="k-h")
    hold_id = first.json()["hold_id"]
    await released(intake, hold_id, CHECKED, key=None)
    headers = intake.headers(Role.COORDINATOR, key="k-h")

    again = await intake.client.post(
        f"/cases/{case_id}/holds", headers=headers, json={"kind": "clinical_concern"}
    )
    other = await intake.client.post(
        f"/cases/{case_id}/holds", headers=headers, json={"kind": "infection_suspected"}
    )

    assert (again.status_code, again.json()["hold_id"]) == (200, hold_id)
    assert again.json()["state"] == "RELEASED"
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert await intake.rows("SELECT 1 FROM hold WHERE case_id = $1", UUID(case_id)) != []
    (count,) = await intake.rows(
        "SELECT count(*) AS n FROM hold WHERE case_id = $1 AND kind = 'clinical_concern'",
        UUID(case_id),
    )
    assert count["n"] == 1


async def test_a_repeated_import_gets_the_first_report(intake: Intake) -> None:
    raw = bundle("Lucien408*.gz")
    headers = intake.headers(Role.COORDINATOR, subject="u-import", key="k-1")

    first = await intake.client.post("/fhir/Bundle", headers=headers, content=raw)
    again = await intake.client.post("/fhir/Bundle", headers=headers, content=raw)
    other = await intake.client.post("/fhir/Bundle", headers=headers, content=b"{}")

    assert first.status_code in {200, 201}, first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


async def test_an_import_whose_first_request_still_runs_is_told_409(intake: Intake) -> None:
    headers = intake.headers(Role.COORDINATOR, subject="u-import", key="k-2")
    place = ("u-import", "POST /fhir/Bundle", "k-2")

    async with intake.database.session() as first:
        assert await first.value(STATEMENTS["hold_idempotency_key"], *place)
        second = await intake.client.post("/fhir/Bundle", headers=headers, content=b"{}")
    ended = await intake.client.post("/fhir/Bundle", headers=headers, content=b"{}")

    assert (second.status_code, second.json()["code"]) == (409, "idempotency-key-in-progress")
    assert ended.json()["code"] == "bundle-refused", "the key is free when its session is gone"


async def test_a_repeated_referral_is_answered_as_the_first_was(intake: Intake) -> None:
    headers = intake.headers(Role.COORDINATOR, key="k-refer")
    body = {"identifiers": [["urn:example:mrn", uuid4().hex]]}

    first = await intake.client.post("/cases", headers=headers, json=body)
    again = await intake.client.post("/cases", headers=headers, json=body)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
