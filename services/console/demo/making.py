"""Manufacturing: from the collection under a permit to eight released doses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from services.console.demo import statements as say
from services.console.demo.calendar import Calendar
from services.console.demo.course import INFUSIONS
from services.console.demo.patient import Patient
from services.console.demo.refusals import refuse_against_hold, words_of
from services.console.demo.stage import Stage
from shared.contracts.case_code import case_code
from shared.contracts.vocabulary import Gate, Role, Service

MAKING: Final = Service.MANUFACTURING
_STEPS_AFTER_START: Final = ("activate", "expand")
#: results that pass the release specification for frozen doses
RELEASE_RESULTS: Final[dict[str, tuple[str, str | None]]] = {
    "sterility_rapid_and_gram": ("no_growth", None),
    "mycoplasma_nat": ("not_detected", None),
    "endotoxin_dose": ("0.7", "[EU]/kg/h"),
    "cd3_pct": ("95", "%"),
    "cd3_cd56_pct": ("26", "%"),
    "cd19_pct": ("1", "%"),
    "k562_lysis_20to1": ("40", "%"),
    "total_viable_cells": ("6.4e9", "1"),
    "appearance": ("conforms", None),
    "label_identity": ("match", None),
    "viability_post_thaw": ("81", "%"),
    "dmso_dose": ("0.2", "g/kg/d"),
}


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch and its doses, with the labels that are scanned."""

    batch_id: str
    material_label: str
    dose_ids: tuple[str, ...] = ()


async def enter_collection_evidence(stage: Stage, patient: Patient) -> None:
    """What the collection gate asks for, drawn and signed on the day."""
    await patient.enter(
        Role.COORDINATOR,
        [
            *say.blood_count(),
            *say.chemistry(),
            *say.infection_markers(),
            *say.infection_status(),
            say.lab("cmv_dna", 30, "[IU]/mL"),
            say.lab("inr", 1.0, "{INR}"),
            say.lab("lvef", 60, "%"),
            say.evidence("medication_reconciliation"),
        ],
    )
    await patient.enter(Role.INFUSION_NURSE, [say.weight(), *say.vital_signs()])
    await patient.enter(Role.TREATING_PHYSICIAN, [{"kind": "performance", "ecog": 1}])


async def collect(stage: Stage, patient: Patient, calendar: Calendar) -> tuple[str, str]:
    """The collection's id and the label of its container."""
    planned_at = calendar.at(calendar.collection, 10)
    collection_id = await _book(stage, patient, calendar, planned_at)
    nurse = stage.one(Role.APHERESIS_PHYSICIAN)
    made = await nurse.post(MAKING, f"/collections/{collection_id}/label")
    label = str(made.body["label"])
    stage.note(f"the container is labelled {label}")
    path = f"/collections/{collection_id}/start"
    await refuse_against_hold(stage, patient, Gate.COLLECTION, nurse, path, press(stage, patient))
    go = await start(stage, patient, nurse, path, press(stage, patient))
    stage.check(go["go"], "collection: permit granted, GO")
    await stage.jump(planned_at + timedelta(hours=3))
    done = {"collected_at": (await stage.now()).isoformat(), "scanned_label": label}
    await nurse.post(MAKING, f"/collections/{collection_id}/done", done)
    return collection_id, label


async def _book(stage: Stage, patient: Patient, calendar: Calendar, planned_at: datetime) -> str:
    coordinator = stage.one(Role.COORDINATOR)
    slot = {"day": calendar.collection.isoformat(), "place": "incubator 1"}
    slot_id = (await coordinator.post(MAKING, "/slots", slot)).body["slot_id"]
    booking = {
        "case_id": patient.case_id,
        "method": "apheresis",
        "planned_at": planned_at.isoformat(),
        "slot_id": slot_id,
    }
    booked = await coordinator.post(MAKING, "/collections", booking)
    stage.check(booked.body["state"] == "booked", "a collection and a culture place are booked")
    return str(booked.body["collection_id"])


def press(stage: Stage, patient: Patient, **more: object) -> dict[str, object]:
    """What a press of start carries: the second checker, and the scanned band."""
    return {
        "second_checker": stage.one(Role.NURSE_LEAD, 2).subject,
        "scanned_band": case_code_of(patient),
        **more,
    }


def case_code_of(patient: Patient) -> str:
    """What the patient's band shows."""
    return case_code(UUID(patient.case_id))


async def start(stage: Stage, patient: Patient, person: Any, path: str, body: object) -> Any:  # noqa: ANN401
    """GO on the clearance as it stands; anything else ends the story."""
    seen = await patient.clearance()
    return (await person.post(MAKING, path, body, seen=seen.etag)).body


async def culture(stage: Stage, patient: Patient, collection_id: str, label: str) -> Batch:
    """The received material, grown under a permit."""
    tech = stage.one(Role.LAB_TECH)
    receipt = {
        "received_at": (await stage.now()).isoformat(),
        "scanned_label": label,
        "giver": stage.one(Role.APHERESIS_PHYSICIAN).subject,
        "place": "clean room 1",
        "condition": "intact",
    }
    received = await tech.post(MAKING, f"/collections/{collection_id}/receive", receipt)
    batch = Batch(str(received.body["batch_id"]), label)
    stage.check(received.body["state"] == "received", "the material is received under its label")
    for metric, value, unit in (("start_viability", "94", "%"), ("start_mnc", "5e9", "1")):
        await _measure(stage, batch, metric, value, unit)
    path = f"/batches/{batch.batch_id}/start"
    body = press(stage, patient, scanned_label=label)
    await refuse_against_hold(stage, patient, Gate.MANUFACTURING_START, tech, path, body)
    go = await start(stage, patient, tech, path, body)
    stage.check(go["go"], "culture: permit granted, GO")
    return batch


async def _measure(stage: Stage, batch: Batch, metric: str, value: str, unit: str) -> None:
    body = {
        "metric": metric,
        "value": value,
        "unit": unit,
        "measured_at": (await stage.now()).isoformat(),
    }
    await stage.one(Role.LAB_TECH).post(MAKING, f"/batches/{batch.batch_id}/measures", body)


async def grow_and_harvest(
    stage: Stage, patient: Patient, batch: Batch, calendar: Calendar
) -> Batch:
    """Culture day by day, harvest, and eight frozen doses."""
    days = (calendar.harvest - calendar.collection).days
    for number, name in enumerate(_STEPS_AFTER_START, start=1):
        await stage.jump(calendar.at(calendar.collection + timedelta(days=number), 9))
        await _step(stage, batch, name)
    for day in range(7, days, 6):
        await stage.jump(calendar.at(calendar.collection + timedelta(days=day), 9))
        await _measure(stage, batch, "viable_cells", f"{day}e8", "1")
    await stage.jump(calendar.at(calendar.harvest, 9))
    await patient.enter(Role.ONCOLOGIST, say.cycle_given(calendar.cycles[0]))
    stage.note("the oncologist reports the first planned cycle as given")
    await _step(stage, batch, "harvest")
    await _step(stage, batch, "formulate", form="cryopreserved", doses=INFUSIONS)
    await _step(stage, batch, "freeze")
    shown = await stage.one(Role.LAB_TECH).get(MAKING, f"/batches/{batch.batch_id}")
    doses = tuple(str(dose["dose_id"]) for dose in shown["doses"])
    stage.check(len(doses) == INFUSIONS, f"harvested on day {days}, {len(doses)} doses frozen")
    return Batch(batch.batch_id, batch.material_label, doses)


async def _step(stage: Stage, batch: Batch, name: str, **more: object) -> None:
    body = {
        "step": name,
        "performed_at": (await stage.now()).isoformat(),
        "scanned_label": batch.material_label,
        **more,
    }
    await stage.one(Role.LAB_TECH).post(MAKING, f"/batches/{batch.batch_id}/steps", body)


async def release(stage: Stage, batch: Batch) -> None:
    """QC results, a refused release, and the release by two different people."""
    await _report(stage, batch, list(RELEASE_RESULTS)[:-1])
    early = await _sign(stage, batch, number=1)
    stage.check(
        early.status == 409,  # noqa: PLR2004
        f"no release with a test missing ({', '.join(r['code'] for r in early.reasons)})",
    )
    await _report(stage, batch, list(RELEASE_RESULTS)[-1:])
    said: list[Any] = []

    async def first_signed() -> bool:
        # the gate opens once the results have reached the coordination record
        said.append(await _sign(stage, batch, number=1))
        return bool(said[-1].status == 202)  # noqa: PLR2004

    await stage.eventually(
        first_signed, lambda: f"a first signature: {[words_of(r) for r in said[-1].reasons]}"
    )
    stage.check(True, "the first signature alone releases nothing")
    again = await _sign(stage, batch, number=1)
    stage.check(again.status == 409, "the same person cannot sign twice")  # noqa: PLR2004
    second = await _sign(stage, batch, number=2)
    stage.check(second.status == 200, f"a second person signs: {second.body['state']}")  # noqa: PLR2004
    stage.note(f"pending: {', '.join(second.body['pending'])}")


async def _report(stage: Stage, batch: Batch, tests: Sequence[str]) -> None:
    tech = stage.one(Role.LAB_TECH, 2)
    for test in tests:
        value, unit = RELEASE_RESULTS[test]
        body = {
            "test": test,
            "value": value,
            "unit": unit,
            "reported_at": (await stage.now()).isoformat(),
        }
        await tech.post(MAKING, f"/batches/{batch.batch_id}/qc-results", body)


async def _sign(stage: Stage, batch: Batch, *, number: int) -> Any:  # noqa: ANN401 - Reply
    person = stage.one(Role.QA_RELEASE, number)
    seen = await person.look(MAKING, f"/batches/{batch.batch_id}")
    body = {"meaning": "approved_for_use"}
    return await person.ask(MAKING, f"/batches/{batch.batch_id}/release", body, seen=seen.etag)
