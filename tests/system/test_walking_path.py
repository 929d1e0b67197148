"""A hold travels from intake's API to a suspended infusion and one alert, whatever breaks between.

Real Kafka, real PostgreSQL, the services as processes, spoken to over HTTP alone.
"""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from shared.contracts.vocabulary import Role, Service
from tests.system.deployment import Deployment, eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

INTAKE, SCHEDULING = Service.INTAKE, Service.INFUSION_SCHEDULING


class Staff:
    """What people do, by the public endpoints."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.coordinator = deployment.headers(Role.COORDINATOR)

    async def post(self, service: Service, path: str, body: Any, expect: int = 201) -> Any:
        answer = await self.deployment.client.post(
            self.deployment.url(service) + path, headers=self.coordinator, json=body
        )
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def get(self, service: Service, path: str) -> Any:
        answer = await self.deployment.client.get(
            self.deployment.url(service) + path, headers=self.coordinator
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refer(self) -> str:
        body = {"identifiers": [["urn:example:mrn", uuid4().hex]]}
        return str((await self.post(INTAKE, "/cases", body))["case_id"])

    async def plan_course(self, case_id: str) -> Any:
        await self.post(
            SCHEDULING,
            "/chairs",
            {
                "name": f"bay {uuid4().hex[:6]}", "weekdays": [1, 2, 3, 4, 5, 6, 7],
                "opens_at": "08:00", "closes_at": "18:00", "visit_minutes": 240,
            },
        )  # fmt: skip

        async def planned() -> Any:
            answer = await self.deployment.client.post(
                self.deployment.url(SCHEDULING) + "/courses",
                headers=self.coordinator,
                json={"case_id": case_id, "schedule": "SCH-SOLID-8", "not_before": "2026-01-01"},
            )
            return answer.json() if answer.status_code == 201 else None

        return await eventually(planned, "a course planned in the published timeline")

    async def hold(self, case_id: str) -> Any:
        body = {"kind": "clinical_concern", "gates": ["infusion"], "reason": "observed at rounds"}
        return await self.post(INTAKE, f"/cases/{case_id}/holds", body)

    async def states(self, course_id: str) -> list[str]:
        course = await self.get(SCHEDULING, f"/courses/{course_id}")
        return [infusion["state"] for infusion in course["infusions"]]

    async def alerts(self, case_id: str, hold_id: str) -> list[Any]:
        found = await self.get(Service.NOTIFICATION, "/alerts?limit=200")
        return [
            alert
            for alert in found["items"]
            if alert["case_id"] == case_id and hold_id in str(alert["facts"])
        ]


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
    before = [await staff.alerts(c, h["hold_id"]) for c, h in zip(cases, holds, strict=True)]

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
    after = [await staff.alerts(c, h["hold_id"]) for c, h in zip(cases, holds, strict=True)]
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
