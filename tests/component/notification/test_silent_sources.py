"""A silent source is one alert for the coordinator, however many cases it concerns."""

from typing import Any
from uuid import uuid4

import pytest

from services.notification.domain.evidence import NO_CASE
from tests.component.notification.conftest import Desk
from tests.unit.notification.stories import source_heard_again, source_silent

pytestmark = pytest.mark.component

FIRST, SECOND = "silence/lab-north/1", "silence/lab-north/2"


async def alerts(desk: Desk) -> list[dict[str, Any]]:
    return await desk.rows(
        "SELECT case_id, state, leading_kind, roles FROM alert ORDER BY raised_at"
    )


async def test_many_cases_of_one_silence_are_one_alert_for_coordinator_and_operations(
    desk: Desk,
) -> None:
    for _ in range(25):
        await desk.hear(source_silent(case_id=uuid4()))

    (alert,) = await alerts(desk)
    assert (alert["case_id"], alert["state"]) == (NO_CASE, "open")
    assert alert["leading_kind"] == "source_silent"
    assert set(alert["roles"]) == {"coordinator", "ops"}
    assert len(await desk.rows("SELECT FROM delivery WHERE channel = 'in_app'")) == 1


async def test_the_first_case_that_hears_of_the_end_closes_it_and_late_ones_change_nothing(
    desk: Desk,
) -> None:
    cases = [uuid4() for _ in range(3)]
    for case_id in cases:
        await desk.hear(source_silent(case_id=case_id))
    desk.clock.advance(minutes=5)
    await desk.hear(source_heard_again(case_id=cases[0]))
    once = await alerts(desk)

    await desk.hear(source_silent(case_id=uuid4()))
    for case_id in cases[1:]:
        await desk.hear(source_heard_again(case_id=case_id))

    assert [alert["state"] for alert in once] == ["closed"]
    assert await alerts(desk) == once


async def test_the_next_silence_of_the_same_source_is_an_alert_of_its_own(desk: Desk) -> None:
    await desk.hear(source_silent(silence=FIRST))
    desk.clock.advance(minutes=5)
    await desk.hear(source_heard_again(silence=FIRST))
    desk.clock.advance(minutes=5)

    await desk.hear(source_silent(silence=SECOND))
    await desk.hear(source_heard_again(silence=FIRST))

    assert [alert["state"] for alert in await alerts(desk)] == ["closed", "open"]


async def test_nobody_answering_escalates_to_the_lead_nurse(desk: Desk) -> None:
    await desk.hear(source_silent())
    (step,) = await desk.rows("SELECT due_at FROM escalation")

    desk.clock.advance(seconds=(step["due_at"] - desk.clock.now()).total_seconds())

    assert await desk.escalate() == 1
