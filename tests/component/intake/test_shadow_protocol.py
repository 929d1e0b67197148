"""A made-up rulebook 1.1.0 asked about past decisions: what it would have changed, and no trace.

Worked by hand from the change: 1.1.0 asks for 5 days after chemotherapy where 1.0.0 asks for 3, and
lets WO-ANTICOAG, which 1.0.0 has at a collection, go.
"""

from typing import Any

import httpx
import pytest

from shared.contracts.vocabulary import Role
from shared.protocol import packaged_texts
from tests.component.intake.conftest import Intake
from tests.component.intake.presses import ask_permit, everything
from tests.made_up_rulebook import made_up

pytestmark = pytest.mark.component
CHEMO = {"kind": "medication", "class": "cytotoxic_systemic", "last_dose": "2027-03-06",
         "more_planned": False}  # fmt: skip
ANTICOAGULANT = {"kind": "medication", "class": "anticoagulant_therapeutic",
                 "doses": [{"from": "2027-03-10"}]}  # fmt: skip


async def ask(intake: Intake, coordination: str, **query: str) -> httpx.Response:
    return await intake.client.post(
        "/protocol/shadow",
        headers=intake.headers(Role.MEDICAL_DIRECTOR),
        params=query,
        json={"coordination": coordination},
    )


async def shifts(intake: Intake, case_id: str, coordination: str) -> dict[str, Any]:
    """The last decision of each gate of the case that would have been another."""
    answer = await ask(intake, coordination, case_id=case_id)
    assert answer.status_code == 200, answer.text
    return {one["gate"]: one for one in answer.json()["changed"]}


@pytest.fixture(scope="module")
async def treated(intake: Intake) -> str:
    """A case four days after chemotherapy, on an anticoagulant, at the press of start."""
    case_id = await intake.refer()
    assert (await intake.report(case_id, CHEMO, ANTICOAGULANT)).status_code == 201
    await ask_permit(intake, case_id)
    return case_id


def moved(shift: dict[str, Any]) -> tuple[set[str], set[str]]:
    """The rules that blocked and would not, and those that would and did not."""
    before, after = set(shift["from"]["blocking"]), set(shift["to"]["blocking"])
    return before - after, after - before


async def test_a_changed_number_and_a_retired_rule_are_seen_at_their_gates(
    intake: Intake, treated: str
) -> None:
    found = await shifts(intake, treated, made_up())

    gone, come = moved(found["infusion"])
    assert "WO-CHEMO" in come
    assert {"EV-ECG"} <= come  # evidence that only 1.1.0 asks for
    assert "WO-ANTICOAG" in moved(found["collection"])[0]
    assert gone == set()
    assert found["infusion"]["case_id"] == treated
    assert found["infusion"]["protocol_version"] == "1.0.0"
    assert found["infusion"]["at"] == intake.clock.now().isoformat().replace("+00:00", "Z")


async def test_the_same_rulebook_would_have_changed_nothing(intake: Intake, treated: str) -> None:
    answer = await ask(intake, packaged_texts().coordination)

    assert answer.json()["changed"] == []
    assert answer.json()["decisions"] > 0


async def test_pages_join_without_gap_or_repetition(intake: Intake, treated: str) -> None:
    whole = (await ask(intake, made_up())).json()
    joined: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = (await ask(intake, made_up(), limit="2", **after)).json()
        joined += [one["decision_id"] for one in page["changed"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}

    assert joined == [one["decision_id"] for one in whole["changed"]]


async def test_a_shadow_leaves_no_trace_in_any_table(intake: Intake, treated: str) -> None:
    before = await everything(intake)

    assert await shifts(intake, treated, made_up())

    assert await everything(intake) == before
    assert (await intake.decision(treated, "infusion"))["protocol"]["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("body", "status"),
    [({"version": "1.0.0"}, 200), ({"version": "9.9.9"}, 404), ({}, 422),
     ({"version": "1.0.0", "coordination": "x"}, 422)],
    ids=["kept", "never-kept", "none", "both"],
)  # fmt: skip
async def test_a_version_that_decided_here_can_be_named(
    intake: Intake, treated: str, body: dict[str, str], status: int
) -> None:
    answer = await intake.client.post(
        "/protocol/shadow", headers=intake.headers(Role.AUDITOR), json=body
    )

    assert answer.status_code == status, answer.text
    assert answer.json().get("changed", []) == []


async def test_an_inconsistent_rulebook_is_refused_with_its_line(intake: Intake) -> None:
    broken = made_up().replace("  status: draft ", "  status: wild ")

    answer = await ask(intake, broken)

    assert (answer.status_code, answer.json()["code"]) == (422, "rulebook-refused")
    assert "coordination.yaml:" in answer.json()["errors"][0]["pointer"]
    assert "wild" in answer.json()["errors"][0]["detail"]
