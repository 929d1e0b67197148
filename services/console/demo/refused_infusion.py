"""(f) at the freezer and at the bedside: an infusion refused in every way, with its reasons."""

from contextlib import suppress

import httpx

from services.console.demo.backstage import crash, frozen, ready_again
from services.console.demo.bedside import SCHEDULING, Bag, Bedside, permit_out
from services.console.demo.figures import remember
from services.console.demo.patient import Patient
from services.console.demo.refusals import check_refused, refuse_against_hold
from services.console.demo.stage import Stage
from shared.contracts.vocabulary import Gate, Role, Service


async def refuse_at_the_freezer(stage: Stage, patient: Patient, bag: Bag) -> None:
    """The thaw: refused while evidence is missing, and against a hold."""
    tech = stage.one(Role.LAB_TECH)
    seen = await patient.clearance()
    reply = await tech.ask(Service.MANUFACTURING, bag.thaw_path, bag.press, seen=seen.etag)
    check_refused(stage, "a thaw while evidence is missing", reply, "decision")
    gate = Gate.DOSE_ISSUE
    await refuse_against_hold(stage, patient, gate, tech, bag.thaw_path, bag.press)


async def refuse_at_the_bedside(stage: Stage, bedside: Bedside) -> None:
    """The infusion: hold open, stale view, authority unreachable, permit out."""
    stale = (await bedside.patient.clearance()).etag
    hold = await bedside.patient.place_hold("clinical_concern", [Gate.INFUSION], "seen by a nurse")
    # as soon as the hold has reached the bedside, the infusion is suspended there
    codes = ("hold-open", "infusion-suspended")
    check_refused(stage, "an infusion against a hold", await bedside.press(), *codes)
    await bedside.patient.release_hold(hold["hold_id"], "looked at: no objection")
    await bedside.ready()
    check_refused(stage, "on an older view", await bedside.press(stale), "stale-view")
    seen = (await bedside.patient.clearance()).etag
    async with frozen(stage, Service.INTAKE):
        unreachable = await bedside.press(seen)
    check_refused(stage, "with intake unreachable", unreachable, "authority-unreachable")
    await _refuse_while_a_permit_is_out(stage, bedside)


async def _refuse_while_a_permit_is_out(stage: Stage, bedside: Bedside) -> None:
    await bedside.ready()
    await remember(stage, SCHEDULING)
    async with permit_out(stage, bedside) as pressing:
        await crash(stage, SCHEDULING)
        with suppress(httpx.TransportError):
            await pressing
    await ready_again(stage, SCHEDULING)
    reply = await bedside.press()
    check_refused(stage, "while a permit is out that nobody used", reply, "permit-out")
