"""Time alone changes a gate: the timer publishes it, also when nobody ran at that minute.

The clinic is in Istanbul (UTC+3): the 12th of March begins there at 21:00 UTC of the 11th.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.intake.application.reassess_due import reassess_due
from tests.component.intake.conftest import Intake

pytestmark = pytest.mark.component
PUBLISHED = "tandem.coordination.timeline-published.v1"
#: given on the 9th: with 3 free days the 12th is the first on which an infusion may start
CHEMO = {
    "kind": "medication", "class": "cytotoxic_systemic", "name": "cisplatin",
    "last_dose": "2027-03-09", "more_planned": False,
}  # fmt: skip
OPENS = datetime(2027, 3, 11, 21, tzinfo=UTC)


@asynccontextmanager
async def at(intake: Intake, instant: datetime) -> AsyncIterator[None]:
    """The clinic's clock stands there for what is inside."""
    before = intake.clock.instant
    intake.clock.instant = instant
    try:
        yield
    finally:
        intake.clock.instant = before


async def run_timer(intake: Intake) -> None:
    parts = intake.app.state.parts
    while await reassess_due(parts.uow, parts.rulebooks):
        pass


async def published(intake: Intake, case_id: str, gate: str = "infusion") -> list[dict[str, Any]]:
    """What was published of a gate, oldest first."""
    found = await intake.rows(
        "SELECT payload FROM outbox WHERE case_id = $1 AND headers->>'ce_type' = $2 ORDER BY id",
        UUID(case_id), PUBLISHED,
    )  # fmt: skip
    told = [json.loads(row["payload"]) for row in found]
    return [event for event in told if event["gate"] == gate]


async def held_with_wash_out(intake: Intake) -> str:
    case_id = await intake.refer()
    answer = await intake.report(case_id, CHEMO)
    assert answer.status_code == 201, answer.text
    return case_id


def first_rules(event: dict[str, Any]) -> set[str]:
    return set(event["intervals"][0]["rules"])


async def test_the_tick_before_a_boundary_publishes_nothing_and_the_boundary_does(
    intake: Intake,
) -> None:
    case_id = await held_with_wash_out(intake)
    (_empty, told) = await published(intake, case_id)  # at the opening, and with the dose
    assert told["intervals"][1]["starts_at"] == "2027-03-11T21:00:00Z"

    async with at(intake, OPENS - timedelta(microseconds=1)):
        await run_timer(intake)
    early = await published(intake, case_id)
    async with at(intake, OPENS):
        await run_timer(intake)
    due = await published(intake, case_id)
    async with at(intake, OPENS + timedelta(seconds=1)):
        await run_timer(intake)

    assert len(early) == 2
    assert len(due) == 3
    assert "WO-CHEMO" in first_rules(told)
    assert "WO-CHEMO" not in first_rules(due[2])
    assert due[2]["timeline_version"] == told["timeline_version"] + 1
    assert len(await published(intake, case_id)) == 3  # once, not at every round


async def test_a_boundary_that_passed_while_intake_was_down_is_published_when_it_is_back(
    intake: Intake,
) -> None:
    case_id = await held_with_wash_out(intake)
    held = {h["rule"] for h in (await intake.case(case_id))["open_holds"]}
    again = await intake.restarted()  # nothing of the first process's memory is left

    async with at(again, OPENS + timedelta(days=2, minutes=17)):
        await run_timer(again)
        told = await published(again, case_id)
        gates = {
            gate
            for h in (await again.case(case_id))["open_holds"]
            if h["rule"] == "WO-CHEMO"
            for gate in h["gates"]
        }

    assert "WO-CHEMO" in held
    assert len(told) == 3
    assert "WO-CHEMO" not in first_rules(told[2])
    assert told[2]["intervals"][0]["starts_at"] == "2027-03-13T21:17:00Z"
    assert gates == {"collection"}  # 14 free days there


async def test_a_planted_boundary_that_was_lost_is_seen(intake: Intake) -> None:
    case_id = await held_with_wash_out(intake)
    await intake.rows(
        "UPDATE timeline SET next_boundary = NULL WHERE case_id = $1 RETURNING 1", UUID(case_id)
    )

    async with at(intake, OPENS + timedelta(days=1)):
        await run_timer(intake)

    assert len(await published(intake, case_id)) == 2
