"""Each reaction run twice equals once, on the real tables, without the inbox."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from shared.contracts import coordination as coord
from shared.contracts import infusion as inf
from shared.contracts import manufacturing as made
from shared.contracts.event import Event
from tests.component.notification.conftest import Desk
from tests.unit.notification.stories import STORIES

pytestmark = pytest.mark.component

TABLES = {
    "alert": "SELECT alert_id, version, state, level, leading_kind, opened_at FROM alert",
    "evidence": "SELECT alert_id, subject, kind FROM evidence",
    "delivery": "SELECT delivery_id, state FROM delivery",
    "escalation": "SELECT alert_id, alert_version, step, due_at, state FROM escalation",
    "outbox": "SELECT headers->>'ce_type' AS type FROM outbox",
    "audit": "SELECT action FROM audit_entry",
    "feed": "SELECT what FROM alert_change",
}


async def everything(desk: Desk) -> dict[str, list[Any]]:
    return {name: sorted(str(row) for row in await desk.rows(sql)) for name, sql in TABLES.items()}


@pytest.mark.parametrize(
    ("before", "event"), STORIES, ids=[type(event()).__name__ for _, event in STORIES]
)
async def test_a_reaction_run_twice_equals_once(
    desk: Desk, before: list[Callable[[], Event]], event: Callable[[], Event]
) -> None:
    chain, told, event_id = uuid4(), event(), uuid4()
    for earlier in before:
        await desk.hear(earlier(), chain=chain)
    desk.clock.advance(minutes=1)

    await desk.hear(told, chain=chain, event_id=event_id)
    once = await everything(desk)
    await desk.hear(told, chain=chain, event_id=event_id, at=desk.clock.now())
    await desk.hear(told, chain=chain, event_id=uuid4(), at=desk.clock.now())

    assert await everything(desk) == once
    assert len(await desk.rows("SELECT FROM alert")) == 1


async def test_what_ends_an_alert_closes_it(desk: Desk) -> None:
    """Of the stories whose last event resolves the ones before it, none leaves an alert open."""
    resolving = (
        coord.HoldReleased, inf.PlanAccepted, inf.InfusionCompleted, inf.VitalsRecorded,
        made.Harvested,
    )  # fmt: skip
    for before, event in STORIES:
        if isinstance(event(), resolving):
            for told in [*before, event]:
                await desk.hear(told())

    states = await desk.rows("SELECT DISTINCT state FROM alert")

    assert states == [{"state": "closed"}]
