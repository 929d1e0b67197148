"""Every stored decision is made again to the byte: real bundles, corrections, late facts, permits.

The corpus is written once by the module's fixture; each test asks about all of it. What is planted
is taken back in the same test.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.intake.application.reassess_due import reassess_due
from shared.contracts.vocabulary import Gate, Role
from shared.protocol import canonical
from tests.component.intake.conftest import NOW, Intake
from tests.component.intake.presses import ask_permit, everything

pytestmark = pytest.mark.component
BUNDLES = Path(__file__).parents[2] / "data" / "fhir"
#: real ones of two generators, and mCODE ones; the largest are left to the speed measurements
REAL = (
    "Lucien408*.gz", "Jazmine498*.gz", "Dortha70*.gz", "Angelo118*.gz", "Wesley533*.gz",
    "Bundle-mcode-patient-bundle-jenny-m.json",
)  # fmt: skip


async def import_real(intake: Intake, name: str) -> str:
    raw = next(BUNDLES.rglob(name)).read_bytes()
    answer = await intake.client.post(
        "/fhir/Bundle", headers=intake.headers(Role.COORDINATOR), content=raw
    )
    assert answer.status_code == 201, answer.text
    intake.clock.advance(minutes=1)
    return str(answer.json()["case_id"])


async def own_story(intake: Intake) -> str:
    """A steroid course, a count corrected, a late older fact, a review signed, time going by."""
    case_id = await intake.refer()
    course = {
        "kind": "medication", "name": "dexamethasone", "route": "oral", "intent": "treatment",
        "doses": [{"mg_per_day": 8, "from": "2027-03-08", "to": "2027-03-09"}],
    }  # fmt: skip
    count = {"kind": "lab", "metric": "anc", "value": 0.4, "unit": "10*9/L"}
    await intake.report(case_id, course)
    await ask_permit(intake, case_id)
    intake.clock.advance(hours=1)
    counted = (await intake.report(case_id, count)).json()["recorded"][0]
    await ask_permit(intake, case_id)
    intake.clock.advance(hours=1)
    corrected = await intake.client.post(
        f"/cases/{case_id}/facts/{counted}/corrections",
        headers=intake.headers(Role.COORDINATOR),
        json={"status": "corrected", "value": 4.0, "unit": "10*9/L"},
    )
    assert corrected.status_code == 201, corrected.text
    await ask_permit(intake, case_id)  # same instant as the correction, after it
    late = {"kind": "lab", "metric": "platelets", "value": 20, "unit": "10*9/L",
            "effective": "2027-03-09T08:00:00+03:00"}  # fmt: skip
    await intake.report(case_id, late)  # same instant as that permit, after it
    intake.clock.advance(hours=1)
    await intake.report(case_id, {"kind": "performance", "ecog": 2}, role=Role.TREATING_PHYSICIAN)
    signed = await intake.client.post(
        f"/cases/{case_id}/reviews",
        headers=intake.headers(Role.ONCOLOGIST),
        json={
            "gate": "infusion", "rule": "ELIG-003", "decision": "proceed",
            "reason": "discussed at the tumour board",
            "valid_until": (intake.clock.now() + timedelta(days=2)).isoformat(),
        },
    )  # fmt: skip
    assert signed.status_code == 201, signed.text
    await ask_permit(intake, case_id)
    intake.clock.advance(days=9)
    parts = intake.app.state.parts
    while await reassess_due(parts.uow, parts.rulebooks):
        pass
    return case_id


@pytest.fixture(scope="module")
async def corpus(intake: Intake) -> list[str]:
    """The cases of the corpus; the last is our own."""
    return [await import_real(intake, name) for name in REAL] + [await own_story(intake)]


async def replayed(intake: Intake, **query: str) -> dict[str, Any]:
    """All pages of the answer as one."""
    total: dict[str, Any] = {"decisions": 0, "equal": 0, "unequal": []}
    after: dict[str, str] = {}
    while True:
        answer = await intake.client.get(
            "/replay",
            headers=intake.headers(Role.AUDITOR),
            params={**query, **after, "limit": "7"},
        )
        assert answer.status_code == 200, answer.text
        page = answer.json()
        total["decisions"] += page["decisions"]
        total["equal"] += page["counts"]["equal"]
        total["unequal"] += page["unequal"]
        if page["next"] is None:
            return total
        after = {"after": page["next"]}


async def test_every_decision_of_the_corpus_is_equal_to_the_byte(
    intake: Intake, corpus: list[str]
) -> None:
    found = await replayed(intake)

    stored = (await intake.rows("SELECT count(*) AS n FROM decision"))[0]["n"]
    assert found["unequal"] == []
    assert found["equal"] == found["decisions"] == stored
    # each import decides six gates anew; our own case was decided again by each change and press
    assert stored > len(corpus) * len(Gate)


async def test_an_answer_as_of_then_is_what_was_stored_then(
    intake: Intake, corpus: list[str]
) -> None:
    stored = await intake.rows(
        "SELECT DISTINCT ON (case_id, gate, decided_at, recorded_at) * FROM decision"
        " ORDER BY case_id, gate, decided_at, recorded_at, last_ordinal DESC, decision_id DESC"
    )
    for row in stored:
        answer = await intake.client.get(
            f"/cases/{row['case_id']}/decisions/{row['gate']}",
            headers=intake.headers(Role.ONCOLOGIST),
            params={"at": row["decided_at"].isoformat(), "as_of": row["recorded_at"].isoformat()},
        )
        said = answer.json()
        assert said.pop("mode") == "demo"
        del said["blockers"]  # worked out for the answer, never stored
        assert canonical(said) == row["body"], (row["case_id"], row["gate"])
    assert {str(row["case_id"]) for row in stored} >= set(corpus)


async def test_one_case_and_a_time_limit_what_is_replayed(
    intake: Intake, corpus: list[str]
) -> None:
    own = await replayed(intake, case_id=corpus[-1])
    early = await replayed(intake, case_id=corpus[-1], as_of=NOW.isoformat())

    assert 0 < own["decisions"] == own["equal"]
    assert early["decisions"] == 0  # the case was opened after the imports, minutes later


@asynccontextmanager
async def planted(intake: Intake, change: str, undo: str, decision_id: UUID) -> AsyncIterator[None]:
    update = "UPDATE decision SET {} WHERE decision_id = $1 RETURNING 1"
    assert len(await intake.rows(update.format(change), decision_id)) == 1
    yield
    assert len(await intake.rows(update.format(undo), decision_id)) == 1


@pytest.mark.parametrize(
    ("change", "undo"),
    [
        ("body = replace(body, 'NO_GO_', 'NOxGO_')", "body = replace(body, 'NOxGO_', 'NO_GO_')"),
        ("body = body || ' '", "body = rtrim(body)"),
        ("verdict = 'go!'", "verdict = 'hold'"),
        ("protocol_version = '0.9.9'", "protocol_version = '1.0.0'"),
        ("protocol_status = 'signed'", "protocol_status = 'draft'"),
        ("decided_at = decided_at - interval '90 days'",
         "decided_at = decided_at + interval '90 days'"),
    ],
    ids=["word", "one-space", "verdict", "version", "status", "instant"],
)  # fmt: skip
async def test_a_planted_change_of_a_stored_decision_is_found(
    intake: Intake, corpus: list[str], change: str, undo: str
) -> None:
    (row,) = await intake.rows(
        "SELECT decision_id FROM decision WHERE case_id = $1 AND verdict = 'hold'"
        " AND gate = 'infusion' ORDER BY decision_id LIMIT 1",
        UUID(corpus[-1]),
    )

    async with planted(intake, change, undo, row["decision_id"]):
        found = await replayed(intake)

    assert [one["decision_id"] for one in found["unequal"]] == [str(row["decision_id"])]
    assert found["unequal"][0]["outcome"] == "different"
    assert (await replayed(intake))["unequal"] == []


async def test_a_planted_change_of_a_fact_is_found(intake: Intake, corpus: list[str]) -> None:
    (row,) = await intake.rows(
        "SELECT fact_id FROM fact WHERE case_id = $1 AND kind = 'lab'"
        " AND statement->>'metric' = 'anc' ORDER BY ordinal LIMIT 1",
        UUID(corpus[-1]),
    )
    update = (
        "UPDATE fact SET statement = jsonb_set(statement, '{value}', to_jsonb($2::text))"
        " WHERE fact_id = $1 RETURNING 1"
    )
    (before,) = await intake.rows(
        "SELECT statement->>'value' AS value FROM fact WHERE fact_id = $1", row["fact_id"]
    )

    assert len(await intake.rows(update, row["fact_id"], "9.9")) == 1
    found = await replayed(intake)
    assert len(await intake.rows(update, row["fact_id"], before["value"])) == 1

    assert {one["case_id"] for one in found["unequal"]} == {corpus[-1]}


async def test_a_decision_without_its_rulebook_never_counts_as_equal(
    intake: Intake, corpus: list[str]
) -> None:
    (row,) = await intake.rows("SELECT decision_id, protocol_digest FROM decision LIMIT 1")
    undo = f"protocol_digest = '{row['protocol_digest']}'"

    async with planted(intake, "protocol_digest = NULL", undo, row["decision_id"]):
        found = await replayed(intake)

    assert [one["outcome"] for one in found["unequal"]] == ["rulebook-missing"]
    assert found["equal"] == found["decisions"] - 1


async def test_replay_writes_nothing(intake: Intake, corpus: list[str]) -> None:
    before = await everything(intake)

    await replayed(intake)

    assert await everything(intake) == before
