"""(e) The infection resolves, the wash-outs end, the permit is granted, the infusion runs."""

from datetime import date, timedelta
from typing import Any, Final

from services.console.demo import statements as say
from services.console.demo.bedside import SCHEDULING, press_start, take_vitals
from services.console.demo.calendar import Calendar
from services.console.demo.course import (
    check_clear_of_chemotherapy,
    course_of,
    show,
)
from services.console.demo.patient import Patient
from services.console.demo.stage import Stage
from services.console.demo.trouble import INFECTION
from shared.contracts.vocabulary import Gate, Role

_FOLLOW_UPS: Final = 8


async def resolve_infection(stage: Stage, patient: Patient, calendar: Calendar) -> None:
    """The physician closes the episode; the rules' holds go when their findings go."""
    resolved = calendar.release + timedelta(days=4)
    await stage.jump(calendar.at(resolved + timedelta(days=1), 9))
    episode = {
        "kind": "infection",
        "id": INFECTION,
        "version": 2,
        "type": "uncomplicated",
        "onset": calendar.release.isoformat(),
        "resolved": resolved.isoformat(),
        "fever_until": calendar.at(calendar.release + timedelta(days=1), 8).isoformat(),
        "antimicrobials": [
            {
                "name": "amoxicillin_clavulanate",
                "from": calendar.release.isoformat(),
                "to": resolved.isoformat(),
                "intent": "treatment",
            }
        ],
    }
    await patient.enter(Role.TREATING_PHYSICIAN, [episode])
    stage.note(f"infection resolved on {resolved:%a %Y-%m-%d}, antibiotics ended that day")


async def accept_proposal(
    stage: Stage, patient: Patient, course_id: str, calendar: Calendar
) -> Any:  # noqa: ANN401 - a JSON document
    """The rest of the series moves by a proposal; the first infusion as it stands then."""
    coordinator = stage.one(Role.COORDINATOR)
    path = f"/courses/{course_id}/proposals"

    async def proposed() -> Any:  # noqa: ANN401 - a JSON document
        reply = await coordinator.ask(SCHEDULING, path)
        is_whole = reply.status == 201 and not reply.body.get("impossible")  # noqa: PLR2004
        return reply.body if is_whole else None

    proposal = await stage.eventually(proposed, "a proposal for the rest of the series")
    await coordinator.post(SCHEDULING, f"{path}/{proposal['proposal_id']}/accept")
    infusions = (await course_of(stage, course_id))["infusions"]
    stage.check(
        all(i["state"] == "planned" for i in infusions), "the proposal is accepted as a whole"
    )
    show(stage, infusions, calendar)
    check_clear_of_chemotherapy(stage, infusions, calendar)
    return infusions[0]


async def wait_for_day(stage: Stage, patient: Patient, day: date, calendar: Calendar) -> None:
    """The clock goes to the day of the infusion; the rules have released their holds by then."""
    await stage.jump(calendar.at(day, 7))

    async def released() -> bool:
        holds = await patient.open_holds()
        return not [h for h in holds if Gate.INFUSION.value in h["gates"]]

    await stage.eventually(released, "no open hold at the infusion gate")
    stage.check(True, "wash-outs are over, the rules have released their holds")


async def enter_infusion_evidence(stage: Stage, patient: Patient) -> None:
    """What the infusion gate asks for, drawn and signed in its time."""
    await patient.enter(
        Role.COORDINATOR,
        [
            *say.blood_count(),
            *say.chemistry(),
            *say.infection_status(),
            say.lab("cmv_dna", 30, "[IU]/mL"),
            say.evidence("medication_reconciliation"),
        ],
    )
    await patient.enter(Role.INFUSION_NURSE, [say.weight()])
    await patient.enter(Role.TREATING_PHYSICIAN, [{"kind": "performance", "ecog": 1}])
    await patient.enter(
        Role.ONCOLOGIST, [say.evidence("baseline_imaging"), say.evidence("oncology_plan_ack")]
    )


async def run_infusion(stage: Stage, patient: Patient, infusion_id: str) -> None:
    """GO, vital signs during and after, completion, follow-ups."""
    reply = await press_start(stage, patient, infusion_id)
    stage.check(reply.status == 200, f"the infusion: {reply.body.get('answer', reply.body)}")  # noqa: PLR2004
    for minutes, phase in ((5, "during"), (30, "during"), (30, "after")):
        await stage.jump(await stage.now() + timedelta(minutes=minutes))
        await take_vitals(stage, infusion_id, phase)
    nurse = stage.one(Role.INFUSION_NURSE)
    done = await nurse.post(SCHEDULING, f"/infusions/{infusion_id}/complete")
    stage.check(done.body["state"] == "COMPLETED", "the infusion is completed")
    await _check_follow_ups(stage, patient)


async def _check_follow_ups(stage: Stage, patient: Patient) -> None:
    nurse = stage.one(Role.INFUSION_NURSE)
    path = f"/follow-ups?case_id={patient.case_id}&limit=50"

    async def placed() -> list[Any]:
        return list((await nurse.get(SCHEDULING, path))["items"])

    found = await stage.eventually(placed, "follow-ups")
    stage.check(len(found) == _FOLLOW_UPS, f"{len(found)} follow-ups are placed")
    for follow_up in found:
        stage.note(f"{follow_up['due_on']}  {follow_up['rule']}: {', '.join(follow_up['items'])}")
