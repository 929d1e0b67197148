"""(b) A dexamethasone course and a fever are reported shortly before an infusion."""

from datetime import timedelta
from typing import Any, Final

import httpx

from services.console.demo.calendar import Calendar
from services.console.demo.course import course_of, show
from services.console.demo.patient import Patient
from services.console.demo.stage import Stage
from shared.contracts.vocabulary import Role, Service

INFECTION: Final = "infection/demo-1"
#: 8 mg of dexamethasone are 53 mg of prednisone: STER-001
_DEXAMETHASONE_MG: Final = 8
_DEXAMETHASONE_DAYS: Final = 4
_FEVER_CEL: Final = 38.6
_EXPECTED_RULES: Final = frozenset({"STER-001", "INF-001", "INF-002"})


async def report_trouble(stage: Stage, patient: Patient, calendar: Calendar) -> None:
    """The oncologist reports the steroid, the nurse the fever, the physician the infection."""
    begin = calendar.release - timedelta(days=1)
    dexamethasone = {
        "kind": "medication",
        "name": "dexamethasone",
        "route": "oral",
        "intent": "treatment",
        "doses": [
            {
                "mg_per_day": _DEXAMETHASONE_MG,
                "from": begin.isoformat(),
                "to": (begin + timedelta(days=_DEXAMETHASONE_DAYS - 1)).isoformat(),
            }
        ],
    }
    await patient.enter(Role.ONCOLOGIST, [dexamethasone])
    fever = {"kind": "vital", "metric": "body_temp", "value": _FEVER_CEL, "unit": "Cel"}
    await patient.enter(Role.INFUSION_NURSE, [fever])
    infection = {
        "kind": "infection",
        "id": INFECTION,
        "type": "uncomplicated",
        "onset": calendar.release.isoformat(),
    }
    await patient.enter(Role.TREATING_PHYSICIAN, [infection])


async def check_holds(stage: Stage, patient: Patient) -> None:
    """The rules' holds are open and say whether they are effective."""
    holds = await patient.open_holds()
    rules = {hold["rule"] for hold in holds}
    stage.check(rules >= _EXPECTED_RULES, f"holds by rule: {', '.join(sorted(rules))}")
    for hold in holds:
        stage.note(f"{hold['rule']}: {hold['state']} by {hold['effective_by']}")


async def check_suspended(
    stage: Stage, course_id: str, calendar: Calendar, *, at_least: int = 1
) -> None:
    """The next infusions of the course are suspended."""

    async def suspended() -> list[Any]:
        infusions = (await course_of(stage, course_id))["infusions"]
        found = [i for i in infusions if i["state"] == "suspended"]
        return infusions if len(found) >= at_least and infusions[0] in found else []

    infusions = await stage.eventually(suspended, "the first infusion suspended")
    stage.check(infusions, "the infusion of the next day is suspended")
    show(stage, infusions, calendar)


async def check_alert(stage: Stage, patient: Patient) -> None:
    """Oncologist and coordinator are told, in the application and by e-mail."""
    oncologist = stage.one(Role.ONCOLOGIST)
    path = f"/alerts?case_id={patient.case_id}&limit=50"

    async def raised() -> list[Any]:
        items = (await oncologist.get(Service.NOTIFICATION, path))["items"]
        wanted = {Role.ONCOLOGIST.value, Role.COORDINATOR.value}
        return [a for a in items if a["state"] == "open" and wanted <= set(a["roles"])]

    alerts = await stage.eventually(raised, "an open alert to oncologist and coordinator")
    stage.check(alerts, f"alerts to oncologist and coordinator: {len(alerts)}")
    for alert in alerts:
        stage.note(f"{alert['urgency']}: {alert['summary']}")
        for blocked in alert["blocked"]:
            stage.note(f"  blocked: {blocked}")
    await _check_mail(stage, alerts[0]["case_code"])
    await _acknowledge(stage, alerts)


async def _check_mail(stage: Stage, code: str) -> None:
    async def mailed() -> list[Any]:
        async with httpx.AsyncClient(trust_env=False) as client:
            messages = (await client.get(f"{stage.site.inbox}/messages.json")).json()
        return [m for m in messages if code in m["subject"] + m["body"]]

    messages = await stage.eventually(mailed, "an e-mail in the demo inbox")
    addressed = {address for message in messages for address in message["to"]}
    people = {r: stage.one(r).subject for r in (Role.ONCOLOGIST, Role.COORDINATOR)}
    reached = [r.value for r, s in people.items() if any(a.startswith(s) for a in addressed)]
    stage.check(len(reached) == len(people), f"e-mail reached {' and '.join(reached)}")
    stage.note(f"subject: {messages[0]['subject']}")


async def _acknowledge(stage: Stage, alerts: list[Any]) -> None:
    oncologist = stage.one(Role.ONCOLOGIST)
    done = 0
    for alert in alerts:
        path = f"/alerts/{alert['alert_id']}"
        seen = await oncologist.look(Service.NOTIFICATION, path)
        if seen.body["state"] == "open" and seen.body["may_acknowledge"]:
            await oncologist.ask(Service.NOTIFICATION, f"{path}/acknowledge", {}, seen=seen.etag)
            done += 1
    stage.check(done, f"the oncologist acknowledges {done} by name; no hold is released by that")
