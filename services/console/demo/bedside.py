"""The bedside: the bag for an infusion, two people's checks, vital signs, one press of start."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from services.console.demo import statements as say
from services.console.demo.backstage import frozen
from services.console.demo.making import MAKING, case_code_of, press
from services.console.demo.patient import Patient
from services.console.demo.people import Reply
from services.console.demo.stage import Stage
from shared.contracts.vocabulary import Gate, Role, Service

SCHEDULING: Final = Service.INFUSION_SCHEDULING
#: long enough for a press to reach a frozen intake, far below the 3 s that it waits there
ON_ITS_WAY_SECONDS: Final = 0.6
#: a recorded hold is effective within 20 s of its commit
EFFECTIVE_SECONDS_MAX: Final = 20.0
GO: Final = "GO"
_OK: Final = 200


async def take_vitals(stage: Stage, infusion_id: str, phase: str) -> Reply:
    """Vital signs at the chair, which the service puts on the patient's record."""
    body = {
        "phase": phase,
        "taken_at": (await stage.now()).isoformat(),
        "measures": say.VITAL_SIGNS,
    }
    nurse = stage.one(Role.INFUSION_NURSE)
    return await nurse.post(SCHEDULING, f"/infusions/{infusion_id}/vitals", body)


@dataclass(frozen=True, slots=True)
class Bag:
    """A dose for one infusion."""

    dose_id: str
    label: str
    press: Mapping[str, object]

    @property
    def thaw_path(self) -> str:
        """Where its thaw is pressed."""
        return f"/doses/{self.dose_id}/thaw"


async def bag_for(stage: Stage, patient: Patient, infusion_id: str) -> Bag:
    """The bag of the dose that is bound to the infusion."""
    infusion = await dose_bound(stage, infusion_id)
    dose = await stage.one(Role.LAB_TECH).get(MAKING, f"/doses/{infusion['dose_id']}")
    body = press(stage, patient, infusion_id=infusion_id, scanned_label=dose["label"])
    return Bag(dose["dose_id"], dose["label"], body)


async def thaw_and_issue(stage: Stage, patient: Patient, bag: Bag) -> None:
    """The bag thawed under a permit, and handed out."""
    tech = stage.one(Role.LAB_TECH)
    seen = await patient.clearance()
    thawed = await tech.post(MAKING, bag.thaw_path, bag.press, seen=seen.etag)
    stage.check(thawed.body["go"], "the dose: permit granted, thawed")
    seen = await patient.clearance()
    issued = await tech.post(MAKING, f"/doses/{bag.dose_id}/issue", bag.press, seen=seen.etag)
    stage.check(issued.body["state"] == "issued", "the dose is handed out for the infusion")


async def dose_bound(stage: Stage, infusion_id: str) -> Any:  # noqa: ANN401 - a JSON document
    """The infusion once a released dose is bound to it."""
    nurse = stage.one(Role.INFUSION_NURSE)

    async def bound() -> Any:  # noqa: ANN401 - a JSON document
        infusion = await nurse.get(SCHEDULING, f"/infusions/{infusion_id}")
        return infusion if infusion["dose_id"] else None

    return await stage.eventually(bound, "a dose bound to the infusion")


async def check_at_bedside(stage: Stage, patient: Patient, infusion_id: str, label: str) -> None:
    """Band and label scanned by two people; a wrong label is refused first."""
    nurse = stage.one(Role.INFUSION_NURSE)
    body = {
        "band": case_code_of(patient),
        "label": label,
        "emergency_kit": True,
        "physician_on_site": True,
        "second_checker_token": stage.one(Role.NURSE_LEAD).token,
    }

    async def issued_known() -> bool:
        # the hand-out travels to the bedside as an event
        reply = await nurse.ask(SCHEDULING, f"/infusions/{infusion_id}/checks", body)
        return reply.status == 201  # noqa: PLR2004

    await stage.eventually(issued_known, "the bedside check of the handed-out dose")


async def press_start(
    stage: Stage, patient: Patient, infusion_id: str, seen: str | None = None
) -> Reply:
    """One press, on the clearance as it stands unless told."""
    etag = seen or (await patient.clearance()).etag
    nurse = stage.one(Role.INFUSION_NURSE)
    return await nurse.ask(SCHEDULING, f"/infusions/{infusion_id}/start", {}, seen=etag)


@dataclass(slots=True)
class Bedside:
    """The infusion that is raced for."""

    stage: Stage
    patient: Patient
    infusion_id: str
    label: str
    effective_by: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)

    async def press(self, seen: str | None = None) -> Reply:
        """One press (on the present clearance unless told); what it answered is counted."""
        reply = await press_start(self.stage, self.patient, self.infusion_id, seen)
        self.answers[GO if reply.status == _OK else str(reply.code)] += 1
        return reply

    async def hold(self) -> Any:  # noqa: ANN401 - a JSON document
        """A hold that lets a running infusion run."""
        return await self.patient.place_hold(
            "logistics", [Gate.INFUSION], "raced against a start", Role.COORDINATOR
        )

    async def settle(self, hold_id: str, reply: Reply | None) -> str:
        """How the hold became effective; afterwards all is as before the race."""
        hold = await self.effective(hold_id)
        self.effective_by[hold["effective_by"]] += 1
        if reply is not None and reply.status == _OK:
            await self._never_opened()
        await self.patient.release_hold(hold_id, "the race is over", Role.COORDINATOR)
        return str(hold["effective_by"])

    async def ready(self) -> None:
        """The bedside check of the next attempt is on record, no permit is out."""
        await self.stage.eventually(self._no_permit_out, "no permit out")
        await self._planned_again()
        await check_at_bedside(self.stage, self.patient, self.infusion_id, self.label)

    async def effective(self, hold_id: str) -> Any:  # noqa: ANN401 - a JSON document
        """The hold once it is effective, within the bound of 20 s."""

        async def look() -> Any:  # noqa: ANN401 - a JSON document
            holds = await self.patient.open_holds()
            found = next((h for h in holds if h["hold_id"] == hold_id), None)
            return found if found is not None and found["state"] == "EFFECTIVE" else None

        awaited = "the hold effective"
        return await self.stage.eventually(look, awaited, within_seconds=EFFECTIVE_SECONDS_MAX)

    async def _never_opened(self) -> None:
        nurse = self.stage.one(Role.INFUSION_NURSE)
        body = {"reason": "a hold was reported as GO was shown"}
        await nurse.post(SCHEDULING, f"/infusions/{self.infusion_id}/never-opened", body)

    async def has_permit_out(self) -> bool:
        """Whether a permit for the infusion gate is out, or its step under way."""
        running = (await self.patient.clearance()).body["may_be_running"]
        return bool([one for one in running if one["gate"] == Gate.INFUSION.value])

    async def _planned_again(self) -> None:
        nurse = self.stage.one(Role.INFUSION_NURSE)
        seen: list[Any] = []

        async def stands() -> bool:
            seen.append(await nurse.get(SCHEDULING, f"/infusions/{self.infusion_id}"))
            return bool(seen[-1]["state"] == "planned")

        await self.stage.eventually(stands, lambda: f"the infusion planned again: {seen[-1]}")

    async def _no_permit_out(self) -> bool:
        return not await self.has_permit_out()


@asynccontextmanager
async def permit_out(stage: Stage, bedside: Bedside) -> AsyncIterator["asyncio.Task[Reply]"]:
    """A granted permit whose holder is frozen for as long as the block lasts; the pending press."""
    seen = (await bedside.patient.clearance()).etag
    async with AsyncExitStack() as freezer:
        async with frozen(stage, Service.INTAKE):
            pressing = asyncio.create_task(bedside.press(seen))
            await asyncio.sleep(ON_ITS_WAY_SECONDS)
            await freezer.enter_async_context(frozen(stage, SCHEDULING))
        await stage.eventually(bedside.has_permit_out, "a permit granted to the frozen holder")
        yield pressing
