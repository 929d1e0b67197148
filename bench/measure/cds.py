"""R4: what an oncologist waits for while signing: the cards for an order or an appointment.

The record is a full one: a real bundle of 1 MB, a course of eight infusions that scheduling has
planned, and a chemotherapy plan of six cycles. The floor is a trivial POST by the same client.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from bench.children import playing
from bench.deployment import FOUR, Deployment, deployed
from bench.figures import Figure, largest, percentile, ratio
from bench.measure.bundles import bundle_of_somebody
from bench.measure.courses import IDENTIFIER_SYSTEM, planned_case
from bench.stage import Stage
from bench.traffic import case_number, plain
from shared.contracts.vocabulary import Role, Service
from shared.runtime.ports import LOOPBACK, free_port
from shared.runtime.programs import wait_until

#: one after the other, as one physician asks
CALLS: Final = 60
_WARM_CALLS: Final = 5
_KNOWN_SECONDS: Final = 30.0
_CYCLES: Final = 6
_SHARE: Final = 0.95
_RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
_SNOMED: Final = "http://snomed.info/sct"
#: close enough together that one of them is too near to an infusion, whatever their days are
_SERIES_DAYS: Final = (30, 36, 42)
_CARBOPLATIN, _CHEMOTHERAPY = "40048", "367336001"


async def measure(stage: Stage, pairs: int) -> Mapping[str, Mapping[str, Figure]]:
    """The figures of R4."""
    floors: list[float] = []
    hooks: dict[str, list[float]] = {"order-sign": [], "appointment-book": []}
    async with deployed(stage, FOUR) as services:
        identifier = await _full_case(services)
        port = free_port()
        async with playing("bench.floors.http:server", {"port": port}, stage.logs):
            for _ in range(pairs):
                floors.append(_p95(await _floor_ms(services, port)))
                for hook, runs in hooks.items():
                    runs.append(_p95(await _hook_ms(services, hook, identifier)))
    found: dict[str, Figure] = {}
    for hook, runs in hooks.items():
        found[f"{hook} p95"] = largest(runs, unit="ms")
        found[f"{hook} ratio"] = ratio(floors, runs, unit="ms")
    return {"R4": found}


def _p95(values: Sequence[float]) -> float:
    return percentile(values, _SHARE)


async def _full_case(services: Deployment) -> str:
    """The identifier of a patient whose case has all that is compared, known to intake."""
    identifier, headers = uuid4().hex, services.bearer(Role.TREATING_PHYSICIAN)
    case_id = await planned_case(services, 0, identifier=identifier)
    bundle = bundle_of_somebody(0, (IDENTIFIER_SYSTEM, identifier))
    imported = await services.post(Service.INTAKE, "/fhir/Bundle", bundle, headers)
    if imported["case_id"] != case_id:
        raise RuntimeError("the bundle went to another case")
    plan = {
        "form": "chemotherapy-plan", "regimen": "cisplatin", "cycle_days": 21,
        "first_day": _days_ahead(7).isoformat(), "cycles": _CYCLES,
    }  # fmt: skip
    await services.post(Service.INTAKE, f"/cases/{case_id}/entries", plan, headers)

    async def has_cards() -> bool:
        url, body = _call(services, "order-sign", identifier)
        answer = await services.client.post(url, json=body, headers=headers)
        answer.raise_for_status()
        return bool(answer.json()["cards"])

    await wait_until(has_cards, "an order that collides", within_seconds=_KNOWN_SECONDS)
    return identifier


async def _hook_ms(services: Deployment, hook: str, identifier: str) -> list[float]:
    took: list[float] = []
    for number in range(CALLS + _WARM_CALLS):
        headers = services.bearer(Role.ONCOLOGIST, number)
        url, body = _call(services, hook, identifier)
        began = time.perf_counter()
        answer = await services.client.post(url, json=body, headers=headers)
        took.append((time.perf_counter() - began) * 1e3)
        answer.raise_for_status()
        if not answer.json()["cards"]:
            raise RuntimeError(f"{hook} found nothing to compare")
    return took[_WARM_CALLS:]


async def _floor_ms(services: Deployment, port: int) -> list[float]:
    took: list[float] = []
    headers = {"content-type": "application/json"}
    for number in range(CALLS + _WARM_CALLS):
        body = plain(case_number(number), number)[1]
        began = time.perf_counter()
        url = f"http://{LOOPBACK}:{port}/e"
        answer = await services.client.post(url, content=body, headers=headers)
        took.append((time.perf_counter() - began) * 1e3)
        answer.raise_for_status()
    return took[_WARM_CALLS:]


def _call(services: Deployment, hook: str, identifier: str) -> tuple[str, dict[str, Any]]:
    """Where an EHR asks, and what: an order of a week, or a series of appointments."""
    name, resources = {
        "order-sign": ("draftOrders", [_order()]),
        "appointment-book": ("appointments", [_appointment(days) for days in _SERIES_DAYS]),
    }[hook]
    patient = {
        "resourceType": "Patient", "id": "p-1",
        "identifier": [{"system": IDENTIFIER_SYSTEM, "value": identifier}],
    }  # fmt: skip
    body = {
        "hook": hook,
        "hookInstance": str(uuid4()),
        "context": {
            "userId": "Practitioner/onc", "patientId": "p-1",
            name: {"resourceType": "Bundle", "entry": [{"resource": r} for r in resources]},
        },
        "prefetch": {"patient": patient},
    }  # fmt: skip
    return f"{services.url(Service.INTAKE)}/cds-services/{hook}", body


def _days_ahead(days: int) -> date:
    return datetime.now(UTC).date() + timedelta(days=days)


def _order() -> dict[str, Any]:
    """Carboplatin on each day of a week."""
    coding = [{"system": _RXNORM, "code": _CARBOPLATIN}]
    return {
        "resourceType": "MedicationRequest", "id": "o-1", "status": "draft", "intent": "order",
        "subject": {"reference": "Patient/p-1"}, "medicationCodeableConcept": {"coding": coding},
        "dosageInstruction": [
            {"timing": {"event": [_days_ahead(30 + day).isoformat() for day in range(7)]}}
        ],
    }  # fmt: skip


def _appointment(days: int) -> dict[str, Any]:
    coding = [{"system": _SNOMED, "code": _CHEMOTHERAPY}]
    return {
        "resourceType": "Appointment", "id": f"a-{days}", "status": "proposed",
        "serviceType": [{"coding": coding}],
        "start": f"{_days_ahead(days).isoformat()}T09:00:00Z",
        "participant": [{"actor": {"reference": "Patient/p-1"}, "status": "accepted"}],
    }  # fmt: skip
