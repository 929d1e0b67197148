"""Cases with a planned course, made over HTTP as staff make them."""

from typing import Final
from uuid import uuid4

from bench.deployment import Deployment
from shared.contracts.vocabulary import Role, Service
from shared.runtime.programs import NotYet, wait_until

PLAN_SECONDS: Final = 45.0
IDENTIFIER_SYSTEM: Final = "urn:example:mrn"
#: two visits a day, on any day: a chair has room for many courses
_COURSES_PER_CHAIR: Final = 8


async def planned_case(services: Deployment, number: int, *, identifier: str | None = None) -> str:
    """The id of a new case with a course of eight infusions; plans at once would want one slot."""
    headers = services.bearer(Role.COORDINATOR, number)
    referral = {"identifiers": [[IDENTIFIER_SYSTEM, identifier or uuid4().hex]]}
    case_id = str((await services.post(Service.INTAKE, "/cases", referral, headers))["case_id"])
    if number % _COURSES_PER_CHAIR == 0:
        await services.post(Service.INFUSION_SCHEDULING, "/chairs", _chair(number), headers)
    course = {"case_id": case_id, "schedule": "SCH-SOLID-8", "not_before": "2026-01-01"}
    url = services.url(Service.INFUSION_SCHEDULING)
    answers: list[str] = []

    async def planned() -> bool:
        timeline = await services.client.get(f"{url}/cases/{case_id}/timeline", headers=headers)
        if timeline.is_error:
            answers[:] = [timeline.text]
            return False
        answer = await services.client.post(f"{url}/courses", json=course, headers=headers)
        answers[:] = [answer.text]
        return answer.is_success

    try:
        await wait_until(planned, "a course planned", within_seconds=PLAN_SECONDS)
    except NotYet as error:
        raise NotYet(f"{error}; the last answer: {''.join(answers)}") from None
    return case_id


def _chair(number: int) -> dict[str, object]:
    return {
        "name": f"bay {number}", "weekdays": [1, 2, 3, 4, 5, 6, 7], "opens_at": "08:00",
        "closes_at": "18:00", "visit_minutes": 240,
    }  # fmt: skip
