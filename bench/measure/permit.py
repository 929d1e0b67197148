"""L3: one press of start, from the request until GO, against two services that lock and insert."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final
from uuid import uuid4

from bench.children import playing
from bench.deployment import Deployment, deployed
from bench.figures import Figure, percentile, ratio
from bench.stage import Stage
from bench.traffic import case_number
from shared.contracts.vocabulary import Role, Service
from shared.runtime.ports import LOOPBACK, free_port
from shared.runtime.programs import wait_until

PRESSES: Final = 40
WARM: Final = 10
HEARD_SECONDS: Final = 30.0
#: a grant waits for what either holder has said lately
_THREE: Final = (Service.INTAKE, Service.MANUFACTURING, Service.INFUSION_SCHEDULING)
_FLOORS: Final = "bench.floors.permit"

#: a URL, and the bodies of presses
Presses = tuple[str, Sequence[Mapping[str, object]]]


async def measure(stage: Stage, pairs: int) -> Mapping[str, Mapping[str, Figure]]:
    """The figures of L3."""
    floors, ours = [], []
    async with (
        deployed(stage, _THREE, module="bench.ours.permitting") as services,
        AsyncExitStack() as both,
    ):
        bare = await _bare(stage, services, both)
        await _p50_ms(services, bare, WARM)
        await _until_granted(services)
        for _ in range(pairs):
            floors.append(await _p50_ms(services, bare, PRESSES))
            ours.append(await _p50_ms(services, await _cases(services, PRESSES), PRESSES))
    return {"L3": {"p50 ratio": ratio(floors, ours, unit="ms")}}


async def _until_granted(services: Deployment) -> None:
    """A grant needs both holders' streams, on the case's partition: some beats after the start."""

    async def granted() -> bool:
        try:
            await _p50_ms(services, await _cases(services, WARM), WARM)
        except RuntimeError:
            return False
        return True

    await wait_until(granted, "permits granted in a row", within_seconds=HEARD_SECONDS)


async def _p50_ms(services: Deployment, presses: Presses, count: int) -> float:
    """The median time of a press, one after the other."""
    url, bodies = presses
    headers = services.bearer(Role.COORDINATOR)
    times = []
    for body in bodies[:count]:
        began = time.perf_counter()
        answer = await services.client.post(url, json=body, headers=headers)
        times.append((time.perf_counter() - began) * 1e3)
        if answer.is_error:
            raise RuntimeError(f"{url}: {answer.text[:500]}")
    return percentile(times, 0.5)


async def _cases(services: Deployment, count: int) -> Presses:
    """Presses for cases that have just been opened, with their clearance as it is."""
    bodies = []
    for number in range(count):
        headers = services.bearer(Role.COORDINATOR, number)
        referral = {"identifiers": [["urn:example:mrn", uuid4().hex]]}
        case = await services.post(Service.INTAKE, "/cases", referral, headers)
        url = f"{services.url(Service.INTAKE)}/cases/{case['case_id']}"
        seen = (await services.client.get(url, headers=headers)).json()["clearance"]
        bodies.append({"case_id": case["case_id"], **seen})
    return services.url(Service.MANUFACTURING) + "/bench/presses", bodies


async def _bare(stage: Stage, services: Deployment, stack: AsyncExitStack) -> Presses:
    """The floor's two services, at the same sign-in."""
    asked, started = free_port(), free_port()
    order = {
        **await stage.order("writing", "reading"),
        "issuer": services.issuer, "jwks_url": f"{services.issuer}/jwks",
        "token_url": f"{services.issuer}/token",
        "secret": services.identity.secret_of(Service.INFUSION_SCHEDULING),
        "authority": f"http://{LOOPBACK}:{asked}/starts",
    }  # fmt: skip
    for role, port in (("authority", asked), ("holder", started)):
        child = playing(f"{_FLOORS}:{role}", {**order, "port": port}, stage.logs)
        await stack.enter_async_context(child)
    cases = [{"case_id": str(case_number(number))} for number in range(PRESSES)]
    return f"http://{LOOPBACK}:{started}/starts", cases
