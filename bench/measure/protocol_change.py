"""R2: how long it takes until every case is assessed by a rulebook that came into force.

Some cases with full records are measured, and 100,000 are told at that rate: work and memory of one
case do not depend on how many there are.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from bench.deployment import Deployment, deployed
from bench.figures import Figure, largest, percentile
from bench.measure.bundles import import_ms
from bench.stage import Stage
from shared.contracts.vocabulary import Gate, Role, Service
from shared.protocol import packaged_texts
from shared.runtime.programs import wait_until

CASES: Final = 40
TOLD_FOR: Final = 100_000
POLL_SECONDS: Final = 0.1
#: the minute of notice that a signature gives, and what the cases take
WITHIN_SECONDS: Final = 180.0


async def measure(stage: Stage, pairs: int) -> Mapping[str, Mapping[str, Figure]]:
    """The figures of R2: one run, since cases are many."""
    async with deployed(stage, (Service.INTAKE,)) as services:
        return {"R2": await _anew(services)}


async def _anew(services: Deployment) -> Mapping[str, Figure]:
    """Seconds for 100,000 cases, and how long a decision takes meanwhile."""
    for number in range(CASES):
        await import_ms(services, number)
    digest = await _signed(services)
    seen: list[tuple[float, int]] = []
    asked: list[float] = []

    async def assessed() -> bool:
        standing = await _standing(services)
        if standing["digest"] != digest:
            return False
        seen.append((time.monotonic(), standing["cases_waiting"]))
        if 0 < standing["cases_waiting"] < seen[0][1]:
            asked.append(await _decision_ms(services, len(asked)))
        return bool(standing["cases_waiting"] == 0)

    await wait_until(assessed, "every case assessed anew", within_seconds=WITHIN_SECONDS)
    most = max(count for _, count in seen)
    begun = max(at for at, count in seen if count == most)
    seconds = (seen[-1][0] - begun) / most * TOLD_FOR
    return {
        "100 k cases": largest([seconds], unit="s"),
        "decision meanwhile p99": largest([percentile(asked, 0.99)], unit="ms"),
    }


async def _signed(services: Deployment) -> str:
    """The digest of another rulebook that will be in force in a minute: the same rules."""
    director = services.bearer(Role.MEDICAL_DIRECTOR)
    body = {"coordination": packaged_texts().coordination + "# measured\n"}
    made = await services.post(Service.INTAKE, "/protocol/versions", body, director)
    again = services.bearer(Role.MEDICAL_DIRECTOR)["authorization"].removeprefix("Bearer ")
    signature = {"reason": "measured", "reauthentication_token": again}
    path = f"/protocol/versions/{made['digest']}/signature"
    await services.post(Service.INTAKE, path, signature, director)
    return str(made["digest"])


async def _standing(services: Deployment) -> Mapping[str, Any]:
    await asyncio.sleep(POLL_SECONDS)
    url = f"{services.url(Service.INTAKE)}/protocol/versions"
    answer = await services.client.get(url, headers=services.bearer(Role.COORDINATOR))
    answer.raise_for_status()
    found: Mapping[str, Any] = answer.json()["in_force"]
    return found


async def _decision_ms(services: Deployment, number: int) -> float:
    """How long a decision of some case takes."""
    headers = services.bearer(Role.COORDINATOR, number)
    cases = f"{services.url(Service.INTAKE)}/cases"
    some = (await services.client.get(cases, headers=headers)).json()["items"][0]["case_id"]
    began = time.perf_counter()
    url = f"{cases}/{some}/decisions/{Gate.INFUSION.value}"
    answer = await services.client.get(url, headers=headers)
    answer.raise_for_status()
    return (time.perf_counter() - began) * 1e3
