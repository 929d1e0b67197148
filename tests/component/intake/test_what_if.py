"""What-if over HTTP: the difference it tells, and that not one row is left of it in any table."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from services.intake.application import answer_questions as questions
from services.intake.application.record_facts import new_fact
from shared.contracts.vocabulary import Role, Service
from shared.persistence.statements import Statement
from shared.protocol import WhatIf
from tests.component.intake.conftest import NOW, Intake

pytestmark = pytest.mark.component

#: WO-CHEMO: 3 free days before an infusion and 5 before the next dose; here all of it lies ahead
CHEMO = {
    "kind": "medication", "class": "cytotoxic_systemic", "name": "cisplatin",
    "last_dose": "2027-03-16", "more_planned": False,
}  # fmt: skip


async def rows_of_every_table(intake: Intake) -> Mapping[str, int]:
    """How many rows each table has, outbox and audit among them."""
    tables = await intake.rows(
        "SELECT schemaname || '.' || tablename AS name FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
    )
    found = {}
    async with intake.database.transaction() as tx:
        for name in (table["name"] for table in tables):
            count = f"SELECT count(*) AS n FROM {name}"  # noqa: S608  (the catalogue's own names)
            (row,) = await tx.rows(Statement("count", count))
            found[name] = row["n"]
    return found


async def ask(intake: Intake, case_id: str, **more: Any) -> httpx.Response:
    return await intake.client.post(
        f"/cases/{case_id}/what-if",
        headers=intake.headers(Role.COORDINATOR),
        json={"facts": [CHEMO], **more},
    )


async def assert_leaves_no_row(intake: Intake, case_id: str) -> None:
    before = await rows_of_every_table(intake)

    answer = await ask(intake, case_id)

    assert answer.status_code == 200, answer.text
    assert await rows_of_every_table(intake) == before


async def test_a_what_if_leaves_no_row_in_any_table(intake: Intake) -> None:
    case_id = await intake.refer()

    await assert_leaves_no_row(intake, case_id)

    counted = await rows_of_every_table(intake)
    assert {"public.fact", "public.outbox", "public.decision", "public.hold"} <= counted.keys()
    assert any("audit" in name for name in counted)


async def test_a_planted_what_if_that_stores_is_seen(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await intake.refer()
    honest = questions.what_if_for

    async def stores(
        rows: Any, protocol: Any, of: Any, supposed: Any, *rest: Any, **more: Any
    ) -> WhatIf:
        made = [new_fact(of, fact) for fact in supposed]
        await rows.record.insert_facts(
            of, made, recorded_at=NOW, origin="entered", reporter="planted"
        )
        return await honest(rows, protocol, of, supposed, *rest, **more)

    monkeypatch.setattr(questions, "what_if_for", stores)

    with pytest.raises(AssertionError, match="fact"):
        await assert_leaves_no_row(intake, case_id)


async def test_the_changes_are_those_of_the_supposed_facts_alone(intake: Intake) -> None:
    case_id = await intake.refer()

    answer = await ask(
        intake, case_id, gates=["infusion"], since="2027-03-10T00:00:00+03:00",
        until="2027-03-25T00:00:00+03:00", assume_other_evidence_current=True,
    )  # fmt: skip

    told = answer.json()
    assert set(told["timelines"]) == set(told["changes"]) == {"infusion"}
    # 16 - 11 = 5 free days before the dose, 16 - 12 = 4; 19 - 16 = 3 after it.
    spans = [(c["from"], c["to"]) for c in told["changes"]["infusion"]]
    assert spans == [("2027-03-12T00:00:00+03:00", "2027-03-19T00:00:00+03:00")]
    (change,) = told["changes"]["infusion"]
    assert set(change["after"]["findings"]) - set(change["before"]["findings"]) == {"WO-CHEMO"}
    assert told["after"]["infusion"]["assume_other_evidence_current"] is True


async def test_services_that_plan_may_ask(intake: Intake) -> None:
    case_id = await intake.refer()

    answers = [
        await intake.client.post(
            f"/cases/{case_id}/what-if",
            headers=intake.sign_in.service(service),
            json={"facts": [CHEMO]},
        )
        for service in (Service.INFUSION_SCHEDULING, Service.MANUFACTURING, Service.NOTIFICATION)
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 403]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"facts": [{"kind": "no-such-kind"}]}, 422),
        ({"facts": [], "until": "2020-01-01T00:00:00Z"}, 422),
        ({"facts": [], "until": "2040-01-01T00:00:00Z"}, 422),
        ({"facts": [], "gates": ["no-such-gate"]}, 422),
        ({"facts": [], "gates": []}, 200),
    ],
)
async def test_what_cannot_be_supposed_is_refused(
    intake: Intake, sent: dict[str, Any], status: int
) -> None:
    case_id = await intake.refer()

    assert (await ask(intake, case_id, **sent)).status_code == status


async def test_a_decision_tells_the_least_that_must_change(intake: Intake) -> None:
    case_id = await intake.refer()
    await intake.report(case_id, {**CHEMO, "last_dose": "2027-03-09", "id": "chemo-1"})

    decision = await intake.decision(case_id, "infusion")

    by_fact = [b for b in decision["blockers"] if b["facts"] == ["chemo-1"]]
    assert [b["rules"] for b in by_fact] == [["WO-CHEMO"]]
    assert by_fact[0]["clears_at"] == "2027-03-12"
    consent = [b for b in decision["blockers"] if b["items"] == ["consent"]]
    assert len(consent) == 1
    assert set(decision["blockers"][0]) == {
        "effect", "message", "rules", "items", "owners", "facts", "clears_at",
    }  # fmt: skip
