"""A hold travels from intake's API to a suspended infusion and one alert, whatever breaks between.

Real Kafka, real PostgreSQL, the services as processes, spoken to over HTTP alone.
"""

import asyncio
from uuid import UUID

import asyncpg
import pytest

from shared.contracts.vocabulary import Service
from tests.system.deployment import Deployment, eventually
from tests.system.staff import INTAKE, SCHEDULING, Staff

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


async def test_a_hold_suspends_the_course_and_raises_one_alert(deployment: Deployment) -> None:
    staff = Staff(deployment)
    case_id = await staff.refer()
    course = await staff.plan_course(case_id)
    assert [i["state"] for i in course["infusions"]] == ["planned"] * 8

    hold = await staff.hold(case_id)

    async def suspended() -> bool:
        return await staff.states(course["course_id"]) == ["suspended"] * 8

    assert (hold["state"], hold["effective_by"]) == ("EFFECTIVE", "NO_PERMIT")
    await eventually(suspended, "every planned infusion suspended")
    alerts = await eventually(
        lambda: staff.alerts(case_id, hold["hold_id"]), "an alert about the hold"
    )
    assert len(alerts) == 1


async def test_a_hold_committed_before_intake_was_killed_still_arrives(
    deployment: Deployment,
) -> None:
    # The relay of the killed process had no chance: the broker's port is wrong for its first life.
    staff = Staff(deployment)
    case_id = await staff.refer()
    course = await staff.plan_course(case_id)
    await deployment.kill(INTAKE)
    await deployment.start(INTAKE, {"TANDEM_KAFKA_BOOTSTRAP": "127.0.0.1:1"}, wait_for_events=False)

    hold = await staff.hold(case_id)
    assert await staff.states(course["course_id"]) == ["planned"] * 8
    await deployment.kill(INTAKE)
    await deployment.start(INTAKE)

    async def suspended() -> bool:
        return await staff.states(course["course_id"]) == ["suspended"] * 8

    await eventually(suspended, "the hold of the killed process applied")
    alerts = await eventually(
        lambda: staff.alerts(case_id, hold["hold_id"]), "an alert about the hold"
    )
    assert len(alerts) == 1


async def test_events_delivered_again_have_no_second_effect(deployment: Deployment) -> None:
    staff = Staff(deployment)
    cases = [await staff.refer() for _ in range(3)]
    courses = [await staff.plan_course(case_id) for case_id in cases]
    holds = await asyncio.gather(*(staff.hold(case_id) for case_id in cases))

    async def all_suspended() -> bool:
        states = [await staff.states(course["course_id"]) for course in courses]
        return all(state == ["suspended"] * 8 for state in states)

    await eventually(all_suspended, "every course suspended")

    async def alerts_of_all() -> list[list[dict[str, int]]]:
        found = [await staff.alerts(c, h["hold_id"]) for c, h in zip(cases, holds, strict=True)]
        return found if all(found) else []

    before = await eventually(alerts_of_all, "an alert about every hold")

    # Both consumers are put back to the beginning of every partition: all events come again.
    reached: dict[Service, int] = {}
    for service in (SCHEDULING, Service.NOTIFICATION):
        assert await deployment.stop(service) in {0, 143, -15}
        reached[service] = await _rewind(deployment, service)
        await deployment.start(service)

    async def caught_up() -> bool:
        totals = [await _offset_total(deployment, service) for service in reached]
        return all(now >= then for now, then in zip(totals, reached.values(), strict=True))

    await eventually(caught_up, "the rewound consumers at the end again")
    after = await alerts_of_all()
    assert [[a["version"] for a in alerts] for alerts in after] == [
        [a["version"] for a in alerts] for alerts in before
    ]
    assert [len(alerts) for alerts in after] == [1, 1, 1]


async def _rewind(deployment: Deployment, service: Service) -> int:
    """How far the consumer had read; it begins at the start of every partition again."""
    reached = await _offset_total(deployment, service)
    connection = await asyncpg.connect(deployment.dsn(service))
    try:
        await connection.execute("UPDATE next_offset SET next_offset = 0")
    finally:
        await connection.close()
    assert reached > 0
    return reached


async def _offset_total(deployment: Deployment, service: Service) -> int:
    connection = await asyncpg.connect(deployment.dsn(service))
    try:
        return int(await connection.fetchval("SELECT sum(next_offset) FROM next_offset") or 0)
    finally:
        await connection.close()


async def test_a_case_that_is_unknown_takes_no_hold(deployment: Deployment) -> None:
    staff = Staff(deployment)

    body = {"kind": "clinical_concern", "gates": ["infusion"]}
    answer = await staff.post(INTAKE, f"/cases/{UUID(int=1)}/holds", body, expect=404)

    assert answer["code"] == "not-found"
