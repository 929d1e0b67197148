"""What staff do in tests, by the public endpoints alone."""

from typing import Any
from uuid import uuid4

from shared.contracts.vocabulary import Role, Service
from tests.system.deployment import Deployment, eventually

INTAKE, SCHEDULING = Service.INTAKE, Service.INFUSION_SCHEDULING


class Staff:
    """People with a role each, at one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.coordinator = deployment.headers(Role.COORDINATOR)

    async def post(
        self, service: Service, path: str, body: Any, expect: int = 201, *roles: Role
    ) -> Any:
        headers = self.deployment.headers(*roles) if roles else self.coordinator
        answer = await self.deployment.client.post(
            self.deployment.url(service) + path, headers=headers, json=body
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

    async def report(
        self, case_id: str, *facts: dict[str, Any], roles: tuple[Role, ...] = ()
    ) -> Any:
        return await self.post(INTAKE, f"/cases/{case_id}/facts", {"facts": facts}, 201, *roles)

    async def plan_course(self, case_id: str) -> Any:
        """A course of eight in a chair of its own, as soon as the timeline has arrived."""
        await self.post(
            SCHEDULING,
            "/chairs",
            {
                "name": f"bay {uuid4().hex[:6]}", "weekdays": [1, 2, 3, 4, 5, 6, 7],
                "opens_at": "08:00", "closes_at": "18:00", "visit_minutes": 240,
            },
        )  # fmt: skip

        known = (await self.get(INTAKE, f"/cases/{case_id}"))["gates"]["infusion"]

        async def timeline_arrived() -> bool:
            answer = await self.deployment.client.get(
                self.deployment.url(SCHEDULING) + f"/cases/{case_id}/timeline",
                headers=self.coordinator,
            )
            if answer.status_code != 200:
                return False
            return bool(answer.json()["timeline_version"] >= known["timeline_version"])

        await eventually(timeline_arrived, "intake's newest timeline at infusion scheduling")

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
