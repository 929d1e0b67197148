"""(d) A malformed event parks one case; the others go on; redrive restores the order."""

from collections import Counter
from typing import Any, Final
from uuid import UUID

from services.console.demo.outsider import publish_nonsense
from services.console.demo.patient import Patient
from services.console.demo.stage import Stage
from shared.contracts.vocabulary import Gate, Role, Service

#: who reads intake's topic and therefore meets the record
READERS: Final = (
    Service.MANUFACTURING,
    Service.INFUSION_SCHEDULING,
    Service.NOTIFICATION,
    Service.CONSOLE,
)
#: recorded, released, recorded
_EVENTS_OF_TWO_HOLDS: Final = 3
_REASON: Final = "nonsense from outside, looked at by two people"


async def park_and_redrive(stage: Stage, patient: Patient, other: Patient) -> None:
    """The whole of it, for a case and one beside it."""
    place = await publish_nonsense(stage.site.kafka, UUID(patient.case_id))
    stage.note(f"a record that is no event stands at {place}, keyed by one case")
    await _all_parked(stage, patient, parked=True)
    stage.check(True, f"that case is parked at {', '.join(s.value for s in READERS)}")
    await _check_unprocessed_holds(stage, patient)
    first = await patient.place_hold("clinical_concern", [Gate.INFUSION], "first, while parked")
    await patient.release_hold(first["hold_id"], "first, settled while parked")
    second = await patient.place_hold("clinical_concern", [Gate.INFUSION], "second, still open")
    await _check_others_go_on(stage, other)
    await _check_waiting(stage, patient)
    for service in READERS:
        await _redrive(stage, service, patient)
    await _all_parked(stage, patient, parked=False)
    stage.check(True, "no case is parked any more")
    await _check_order(stage, patient, first, second)
    await patient.release_hold(second["hold_id"], "settled")
    await _no_unprocessed_holds(stage, patient)


async def _all_parked(stage: Stage, patient: Patient, *, parked: bool) -> None:
    for service in READERS:

        async def as_wanted(service: Service = service) -> bool:
            items = (await stage.one(Role.OPS).get(service, "/ops/parked"))["items"]
            return (patient.case_id in [item["case_id"] for item in items]) is parked

        await stage.eventually(as_wanted, f"the case parked at {service.value}: {parked}")


async def _check_unprocessed_holds(stage: Stage, patient: Patient) -> None:
    async def held() -> list[Any]:
        holds = await patient.open_holds()
        return [h for h in holds if h["kind"] == "unprocessed_information"]

    holds = await stage.eventually(held, "a hold for what is not processed")
    stage.check(holds, "unprocessed information holds the case until it is settled")


async def _check_others_go_on(stage: Stage, other: Patient) -> None:
    hold = await other.place_hold("clinical_concern", [Gate.INFUSION], "another case")
    await _alerted(stage, other, hold["hold_id"])
    stage.check(True, "another case goes on: its hold raises an alert meanwhile")
    await other.release_hold(hold["hold_id"], "settled")


async def _alerted(stage: Stage, patient: Patient, hold_id: str) -> None:
    oncologist = stage.one(Role.ONCOLOGIST)
    path = f"/alerts?case_id={patient.case_id}&limit=100"

    async def known() -> bool:
        items = (await oncologist.get(Service.NOTIFICATION, path))["items"]
        return any(hold_id in str(alert["facts"]) for alert in items)

    await stage.eventually(known, f"an alert about hold {hold_id}")


async def _check_waiting(stage: Stage, patient: Patient) -> None:
    ops = stage.one(Role.OPS)
    for service in READERS:

        async def waiting(service: Service = service) -> list[Any]:
            items = (await ops.get(service, f"/ops/parked/{patient.case_id}"))["items"]
            behind = [item for item in items if item["cause"] == "behind"]
            return behind if len(behind) >= _EVENTS_OF_TWO_HOLDS else []

        behind = await stage.eventually(waiting, f"events waiting at {service.value}")
        stage.check(behind, f"{service.value}: {len(behind)} events of the case wait in order")


async def _redrive(stage: Stage, service: Service, patient: Patient) -> None:
    ops = stage.one(Role.OPS)
    path = f"/ops/parked/{patient.case_id}"
    body: dict[str, object] = {"reason": _REASON, "dry_run": True}
    rehearsed = (await ops.post(service, f"{path}/redrive", body)).body["records"]
    bad = (await ops.get(service, path))["items"][0]
    skip = {"reason": _REASON, "record_id": bad["id"]}
    if bad["safety"]:
        alone = await ops.ask(service, f"{path}/skip", skip)
        stage.check(alone.code == "second-person", f"{service.value}: one person cannot skip it")
    skip["second_signer_token"] = stage.one(Role.OPS, 2).token
    await ops.post(service, f"{path}/skip", skip)
    report = (await ops.post(service, f"{path}/redrive", {"reason": _REASON})).body
    applied = Counter(record["outcome"] for record in report["records"])
    stage.note(
        f"{service.value}: dry run {rehearsed[0]['outcome']}; skipped by two, then "
        f"in order: {', '.join(f'{count} {outcome}' for outcome, count in applied.items())}"
    )


async def _check_order(stage: Stage, patient: Patient, first: Any, second: Any) -> None:  # noqa: ANN401
    oncologist = stage.one(Role.ONCOLOGIST)
    path = f"/alerts?case_id={patient.case_id}&limit=100"

    async def in_order() -> bool:
        items = (await oncologist.get(Service.NOTIFICATION, path))["items"]
        about = {
            hold["hold_id"]: [a["state"] for a in items if hold["hold_id"] in str(a["facts"])]
            for hold in (first, second)
        }
        return about[first["hold_id"]] == ["closed"] and about[second["hold_id"]] == ["open"]

    await stage.eventually(in_order, "the first hold's alert closed, the second's open")
    stage.check(True, "after the redrive the first hold's alert is closed, the second's is open")


async def _no_unprocessed_holds(stage: Stage, patient: Patient) -> None:
    async def gone() -> bool:
        kinds = [hold["kind"] for hold in await patient.open_holds()]
        return "unprocessed_information" not in kinds

    await stage.eventually(gone, "the holds for unprocessed information released")
    stage.check(True, "the holds for unprocessed information are released by the redrive")
