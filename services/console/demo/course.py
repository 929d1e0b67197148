"""The course: eight infusions around the planned chemotherapy, and what becomes of them."""

from datetime import date, datetime, timedelta
from typing import Any, Final

from services.console.demo.calendar import Calendar
from services.console.demo.patient import Patient
from services.console.demo.stage import Stage
from shared.contracts.vocabulary import Role, Service

SCHEDULE: Final = "SCH-SOLID-8"
INFUSIONS: Final = 8
_CREATED: Final = 201
_CHAIRS: Final = ("Bay 1", "Bay 2")
#: the rulebook's WO-CHEMO at the infusion gate, written down again so that the plan is checked
#: against a second source and not against itself
FREE_DAYS_AFTER_CHEMOTHERAPY: Final = 3
FREE_DAYS_BEFORE_CHEMOTHERAPY: Final = 5


async def open_chairs(stage: Stage) -> None:
    """The clinic's chairs on working days."""
    nurse = stage.one(Role.NURSE_LEAD)
    for name in _CHAIRS:
        body = {
            "name": name,
            "weekdays": [1, 2, 3, 4, 5],
            "opens_at": "08:00",
            "closes_at": "18:00",
            "visit_minutes": 240,
        }
        await nurse.post(Service.INFUSION_SCHEDULING, "/chairs", body)


async def fill_roster(stage: Stage) -> None:
    """Who is on duty for each role, with an address in the demo's inbox."""
    lead = stage.one(Role.NURSE_LEAD)
    for role in Role:
        if role in {Role.OPS, Role.AUDITOR}:
            continue
        user = stage.one(role).user
        body = {
            "role": role.value,
            "subject": user.subject,
            "name": user.name,
            "email": f"{user.subject}@demo.invalid",
        }
        await lead.post(Service.NOTIFICATION, "/rosters", body)


async def plan_course(stage: Stage, patient: Patient, calendar: Calendar) -> str:
    """The id of a course of eight that keeps clear of every cycle."""
    coordinator = stage.one(Role.COORDINATOR)
    body = {
        "case_id": patient.case_id,
        "schedule": SCHEDULE,
        "not_before": calendar.first_infusion.isoformat(),
    }
    said: list[str] = []

    async def planned() -> Any:  # noqa: ANN401 - a JSON document
        reply = await coordinator.ask(Service.INFUSION_SCHEDULING, "/courses", body)
        said.append(str(reply.body))
        return reply.body if reply.status == _CREATED else None

    course = await stage.eventually(planned, lambda: f"a course; the last answer: {said[-1]}")
    infusions = course["infusions"]
    stage.check(len(infusions) == INFUSIONS, f"{INFUSIONS} infusions are planned")
    show(stage, infusions, calendar)
    check_clear_of_chemotherapy(stage, infusions, calendar)
    return str(course["course_id"])


def check_clear_of_chemotherapy(stage: Stage, infusions: list[Any], calendar: Calendar) -> None:
    """Each infusion lies far enough from each day of chemotherapy, counted here."""
    days = [infusion_day(infusion, calendar) for infusion in infusions]
    doses = [day for cycle in calendar.cycles for day in cycle]
    after = timedelta(days=FREE_DAYS_AFTER_CHEMOTHERAPY)
    before = timedelta(days=FREE_DAYS_BEFORE_CHEMOTHERAPY)
    near = [(d, dose) for d in days for dose in doses if dose - before < d < dose + after]
    stage.check(not near, f"none of them is too near one of {len(doses)} days of chemotherapy")


def infusion_day(infusion: Any, calendar: Calendar) -> date:  # noqa: ANN401 - a JSON document
    """The clinic-local day of an infusion."""
    return datetime.fromisoformat(infusion["starts_at"]).astimezone(calendar.zone).date()


def show(stage: Stage, infusions: list[Any], calendar: Calendar) -> None:
    """The infusions among the cycles, by day."""
    lines = [(cycle[0], f"chemotherapy, {len(cycle)} days") for cycle in calendar.cycles]
    for infusion in infusions:
        rules = ", ".join(infusion["rules"])
        words = f"infusion {infusion['number']} {infusion['state']} {rules}".rstrip()
        lines.append((infusion_day(infusion, calendar), words))
    for day, words in sorted(lines):
        stage.note(f"{day:%a %Y-%m-%d}  {words}")


async def course_of(stage: Stage, course_id: str) -> Any:  # noqa: ANN401 - a JSON document
    """The course as it stands."""
    coordinator = stage.one(Role.COORDINATOR)
    return await coordinator.get(Service.INFUSION_SCHEDULING, f"/courses/{course_id}")
