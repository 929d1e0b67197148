"""(c) infusion_scheduling is killed in the middle and comes back: nothing lost, nothing started."""

import time
from typing import Any

import httpx

from services.console.demo.backstage import crash, ready_again
from services.console.demo.course import course_of
from services.console.demo.figures import remember
from services.console.demo.patient import Patient
from services.console.demo.stage import Stage
from shared.contracts.vocabulary import Gate, Role, Service

SCHEDULING = Service.INFUSION_SCHEDULING


async def crash_and_return(stage: Stage, patient: Patient, course_id: str) -> None:
    """A hold is committed while the consumer dies; it is applied once, after the return."""
    before = await course_of(stage, course_id)
    await remember(stage, SCHEDULING)
    hold = await patient.place_hold("clinical_concern", [Gate.INFUSION], "seen on the ward")
    began = time.monotonic()
    await crash(stage, SCHEDULING)
    stage.note(f"infusion_scheduling is killed (SIGKILL); the hold stands {hold['state']}")
    stage.check(
        await _press_fails(stage, patient, before["infusions"][0]["infusion_id"]),
        "a start pressed while it is down does not happen",
    )
    await ready_again(stage, SCHEDULING)
    stage.note(f"ready again after {time.monotonic() - began:.1f} s")
    await _applied(stage, course_id)
    stage.check(True, "the hold that it missed is applied")
    await patient.release_hold(hold["hold_id"], "looked at: no objection")
    after = await stage.eventually(
        lambda: _same_plan(stage, course_id, before), "the plan as before the crash"
    )
    stage.check(after, "the plan is as it was, no infusion has started")


async def _press_fails(stage: Stage, patient: Patient, infusion_id: str) -> bool:
    seen = await patient.clearance()
    nurse = stage.one(Role.INFUSION_NURSE)
    try:
        reply = await nurse.ask(SCHEDULING, f"/infusions/{infusion_id}/start", {}, seen=seen.etag)
    except httpx.TransportError:
        return True
    return reply.status not in {200, 201}


async def _applied(stage: Stage, course_id: str) -> None:
    async def all_suspended() -> bool:
        infusions = (await course_of(stage, course_id))["infusions"]
        return all(i["state"] == "suspended" for i in infusions)

    await stage.eventually(all_suspended, "every infusion suspended by the hold")


async def _same_plan(stage: Stage, course_id: str, before: Any) -> bool:  # noqa: ANN401
    after = await course_of(stage, course_id)
    return _standing(after) == _standing(before)


def _standing(course: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - a JSON document
    return [(i["number"], i["state"], i["starts_at"], i["attempt"]) for i in course["infusions"]]
