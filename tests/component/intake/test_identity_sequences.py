"""Whatever order changes of identity come in: facts are never lost, pending cases are held."""

from datetime import timedelta
from itertools import count
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts.vocabulary import Gate, Role
from tests.component.intake.conftest import NOW, Intake
from tests.component.intake.test_identity import case_of, decide, number, report

pytestmark = [pytest.mark.component, pytest.mark.timeout(120)]

ALL = {gate.value for gate in Gate}
STEPS = (
    "merge", "opposite", "unmerge", "unmerge-opposite", "confirm", "decline", "fact-0", "fact-1",
)  # fmt: skip


class Story:
    """Two records of a patient and what was done with them."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.numbers = (number(), number())
        self.cases: tuple[str, ...] = ()
        self.changes: list[str] = []
        self.facts: list[tuple[str, str]] = []

    async def open(self) -> None:
        self.cases = tuple([await case_of(self.intake, n) for n in self.numbers])

    async def do(self, step: str) -> None:
        """One step; what is refused changes nothing."""
        one, other = self.numbers
        match step:
            case "merge":
                await self._reported(one, other, "merges")
            case "opposite":
                await self._reported(other, one, "merges")
            case "unmerge":
                await self._reported(one, other, "unmerges")
            case "unmerge-opposite":
                await self._reported(other, one, "unmerges")
            case "confirm" | "decline":
                if self.changes:
                    answer = await decide(self.intake, self.changes.pop(), step)
                    assert answer.status_code in {200, 409}, answer.text
            case _:
                await self._fact(self.cases[int(step[-1])])

    async def _reported(self, surviving: str, retired: str, act: str) -> None:
        answer = await report(self.intake, surviving, retired, act=act, at=_instant())
        assert answer.status_code in {200, 201, 409}, answer.text
        if answer.status_code == 201:
            self.changes.append(answer.json()["change_id"])

    async def _fact(self, case_id: str) -> None:
        name = f"note-{uuid4()}"
        fact = {"kind": "performance", "ecog": 1, "id": name}
        answer = await self.intake.report(case_id, fact, role=Role.ONCOLOGIST)
        assert answer.status_code == 201, answer.text
        self.facts.append((case_id, name))

    async def check(self) -> None:
        """No fact is gone from where it was recorded; each pending change holds its cases."""
        shown = {case_id: await self.intake.case(case_id) for case_id in self.cases}
        for case_id, name in self.facts:
            assert name in {fact["source_id"] for fact in shown[case_id]["facts"]}
        for change in await self._pending():
            for case_id in change["case_ids"]:
                holds = [h for h in shown[case_id]["open_holds"] if h["kind"] == "identity"]
                assert any(set(hold["gates"]) == ALL for hold in holds)
        for retired, surviving in await self._merged():
            names = {fact["source_id"] for fact in shown[surviving]["facts"]}
            assert shown[retired]["status"] == "closed"
            assert await self._copied(retired) <= names

    async def _pending(self) -> list[dict[str, list[str]]]:
        answer = await self.intake.client.get(
            "/identity/changes?limit=200", headers=self.intake.headers(Role.COORDINATOR)
        )
        mine = [c for c in answer.json()["items"] if set(c["case_ids"]) <= set(self.cases)]
        return [change for change in mine if change["state"] == "PENDING"]

    async def _merged(self) -> list[tuple[str, str]]:
        rows = await self.intake.rows(
            "SELECT case_id::text, merged_into::text FROM patient_case"
            " WHERE case_id = ANY($1::uuid[]) AND merged_into IS NOT NULL",
            list(self.cases),
        )
        return [(row["case_id"], row["merged_into"]) for row in rows]

    async def _copied(self, retired: str) -> set[str]:
        """The facts that the retired case had when it was closed."""
        rows = await self.intake.rows(
            "SELECT f.source_id FROM fact f JOIN patient_case c USING (case_id)"
            " WHERE f.case_id = $1::uuid AND f.ordinal <= (SELECT coalesce(max(o.ordinal), 0)"
            " FROM fact_provenance p JOIN fact o ON o.fact_id = p.from_fact_id"
            " WHERE o.case_id = c.case_id)",
            retired,
        )
        return {row["source_id"] for row in rows}


_SECONDS = count(1)


def _instant() -> str:
    """Another instant for each report, so that none is taken for a repetition."""
    return (NOW + timedelta(seconds=next(_SECONDS))).isoformat()


@settings(
    max_examples=20, deadline=None, database=None, derandomize=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(steps=st.lists(st.sampled_from(STEPS), min_size=2, max_size=12))
async def test_facts_stay_and_pending_cases_are_held(intake: Intake, steps: list[str]) -> None:
    intake.app.state.rates._left.clear()  # one person does here what many do in a day
    story = Story(intake)
    await story.open()

    for step in ("fact-0", "fact-1", *steps):
        await story.do(step)
        await story.check()
