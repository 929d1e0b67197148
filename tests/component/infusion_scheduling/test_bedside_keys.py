"""S1, S2 at the bedside, on real PostgreSQL: a repeated command has its effect once."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.contracts.vocabulary import Role
from shared.web.idempotency import STATEMENTS
from tests.component.infusion_scheduling.test_bedside import Bedside, bedside

pytestmark = pytest.mark.component
__all__ = ["bedside"]  # the fixture
STOP = {"reason": "rigors"}


async def running(bedside: Bedside) -> None:
    bedside.intake_grants()
    await bedside.check()
    assert (await bedside.press()).status_code == 200


async def post(bedside: Bedside, path: str, body: Any = None, *, key: str) -> httpx.Response:
    return await bedside.post(path, body, **{"idempotency-key": key})


async def asked(bedside: Bedside, key: str) -> httpx.Response:
    return await bedside.post("/start", None, **{"if-match": '"0.1"', "idempotency-key": key})


async def test_a_repeated_stop_gets_the_first_answer_and_adds_no_event(bedside: Bedside) -> None:
    await running(bedside)

    first = await post(bedside, "/stop", STOP, key="k-1")
    told = await bedside.outbox()
    again = await post(bedside, "/stop", STOP, key="k-1")

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert told.count("infusion-stopped") == 1
    assert await bedside.outbox() == told


async def test_a_stop_key_used_for_another_body_is_422(bedside: Bedside) -> None:
    await running(bedside)
    await post(bedside, "/stop", STOP, key="k-1")

    other = await post(bedside, "/stop", {"reason": "fever"}, key="k-1")

    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


async def test_a_stop_whose_first_request_still_runs_is_told_409_and_passes_without_key(
    bedside: Bedside,
) -> None:
    await running(bedside)
    path = f"/infusions/{bedside.infusion_id}/stop"
    now = datetime.now(UTC)

    async with bedside.scheduling.database.transaction() as first:
        await first.run(
            STATEMENTS["claim_idempotency_key"], "nurse-1", f"POST {path}", "k-1",
            sha256(b"first").digest(), now, now - timedelta(hours=48),
        )  # fmt: skip
        second = await post(bedside, "/stop", STOP, key="k-1")
        without = await bedside.post("/stop", STOP)

    assert (second.status_code, second.json()["code"]) == (409, "idempotency-key-in-progress")
    assert second.headers["retry-after"] == "1"
    assert (without.status_code, without.json()["state"]) == (200, "STOPPED")


@pytest.mark.parametrize("path", ["/complete", "/never-opened", "/already-running"])
async def test_every_report_of_the_bedside_is_recorded_once_per_key(
    bedside: Bedside, path: str
) -> None:
    if path != "/already-running":
        await running(bedside)
    body = {"reason": "line blocked"} if path == "/never-opened" else None

    first = await post(bedside, path, body, key="k-1")
    told = await bedside.outbox()
    again = await post(bedside, path, body, key="k-1")

    assert first.status_code in {200, 201}, first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert await bedside.outbox() == told


async def test_a_refused_check_is_refused_again_under_its_key(bedside: Bedside) -> None:
    second = bedside.headers(Role.INFUSION_NURSE, "nurse-2")["authorization"].split()[1]
    body = {
        "band": "XXXX-XXXX", "label": "TDM-0", "emergency_kit": True, "physician_on_site": True,
        "second_checker_token": second,
    }  # fmt: skip

    first = await post(bedside, "/checks", body, key="k-1")
    again = await post(bedside, "/checks", body, key="k-1")

    for answer in (first, again):
        assert (answer.status_code, answer.json()["code"]) == (409, "band-mismatch")
        codes = [reason["code"] for reason in answer.json()["reasons"]]
        assert codes == ["band-mismatch", "label-mismatch"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_repeated_press_never_shows_a_go_and_asks_nothing_again(bedside: Bedside) -> None:
    bedside.intake_grants()
    await bedside.check()

    first = await asked(bedside, "k-1")
    bedside.scheduling.intake.answering = None  # whoever asks again finds nobody
    again = await asked(bedside, "k-1")

    assert first.json()["answer"] == "GO"
    assert again.status_code == 200, again.text
    assert again.headers["idempotency-replayed"] == "true"
    assert "GO" not in again.text
    assert (again.json()["state"], again.json()["start_id"]) == (
        "RUNNING", first.json()["start_id"],
    )  # fmt: skip
    assert (await bedside.outbox()).count("start-requested") == 1


async def test_a_press_that_was_refused_is_not_pressed_again_by_its_key(bedside: Bedside) -> None:
    bedside.intake_answers(
        409, {"code": "hold-open", "title": "No.", "reasons": [], "epoch": 0, "version": 7}
    )
    await bedside.check()
    refused = await asked(bedside, "k-1")
    bedside.intake_grants()

    again = await asked(bedside, "k-1")
    fresh = await asked(bedside, str(uuid4()))

    assert (refused.status_code, refused.json()["code"]) == (409, "hold-open")
    assert (again.status_code, again.json()["code"]) == (409, "permit-asked")
    assert fresh.json()["answer"] == "GO"
