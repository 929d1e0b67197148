"""P4: a command over HTTP against a trivial POST on the same server and framework.

The command is a hold: token, validation, the rules of its kind, one transaction with audit and
outbox. Facts are not the command here: they re-assess the whole case, which R1 bounds by itself.
"""

import json
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from bench.children import playing
from bench.deployment import Deployment, deployed
from bench.figures import Figure, ratio
from bench.load import request
from bench.stage import Stage
from bench.traffic import case_number, plain
from shared.contracts.vocabulary import Role, Service
from shared.runtime.ports import LOOPBACK, free_port

SECONDS: Final = 3.0
WARM_SECONDS: Final = 0.5
#: enough people that nobody reaches the limit of holds in the time
_CASES: Final = 400


async def measure(stage: Stage, pairs: int) -> Mapping[str, Mapping[str, Figure]]:
    """The figures of P4."""
    floors, ours = [], []
    async with deployed(stage, (Service.INTAKE,)) as services:
        holds = await _holds(services)
        trivial = [request("/e", plain(case_number(n), n)[1], {}) for n in range(100)]
        port = free_port()
        address = {"host": LOOPBACK, "port": services.port(Service.INTAKE)}
        async with (
            playing("bench.floors.http:server", {"port": port}, stage.logs),
            playing("bench.load:client", {"host": LOOPBACK, "port": port}, stage.logs) as floor,
            playing("bench.load:client", address, stage.logs) as mine,
        ):
            await floor.ask("drive", requests=trivial, seconds=WARM_SECONDS)
            await mine.ask("drive", requests=holds, seconds=WARM_SECONDS)
            for _ in range(pairs):
                floors.append(await floor.ask("drive", requests=trivial, seconds=SECONDS))
                ours.append(await mine.ask("drive", requests=holds, seconds=SECONDS))
    return {"P4": {"rate ratio": ratio(floors, ours, unit="requests/s")}}


async def _holds(services: Deployment) -> list[str]:
    """Requests for holds, by many people on many cases."""
    body = {"kind": "clinical_concern", "gates": ["infusion"], "reason": "observed at rounds"}
    encoded = json.dumps(body).encode()
    found = []
    for number in range(_CASES):
        headers = services.bearer(Role.COORDINATOR, number)
        referral = {"identifiers": [["urn:example:mrn", uuid4().hex]]}
        case = await services.post(Service.INTAKE, "/cases", referral, headers)
        found.append(request(f"/cases/{case['case_id']}/holds", encoded, headers))
    return found
