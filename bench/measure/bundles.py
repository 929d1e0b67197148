"""A real bundle of 1.0 MB as the referral of somebody new, sent as staff apps send it."""

import gzip
import json
import time
from typing import Any, Final
from uuid import uuid4

from bench.deployment import Deployment
from shared.contracts.vocabulary import Role, Service
from shared.runtime.paths import CHECKOUT

BUNDLE: Final = (
    CHECKOUT / "tests" / "data" / "fhir" / "synthea-3.3.0-seed42-full"
    / "Kendrick479_Dickinson688_a1636bf9-84a7-a5d4-daac-e8170eed44cf.json.gz"
)  # fmt: skip


def bundle_of_somebody(number: int, *known: tuple[str, str]) -> dict[str, Any]:
    """The bundle with identifiers that no case has, besides those of a case that are `known`."""
    document: dict[str, Any] = json.loads(gzip.decompress(BUNDLE.read_bytes()))
    for entry in document["entry"]:
        if entry["resource"]["resourceType"] == "Patient":
            for identifier in entry["resource"].get("identifier", []):
                identifier["value"] = f"{identifier.get('value', '')}-{number}-{uuid4().hex}"
            own = [{"system": system, "value": value} for system, value in known]
            entry["resource"].setdefault("identifier", []).extend(own)
    return document


async def import_ms(services: Deployment, number: int) -> float:
    """From the first byte sent until the answer, which comes after the last commit."""
    body = json.dumps(bundle_of_somebody(number)).encode()
    headers = services.bearer(Role.COORDINATOR, number)
    headers["content-type"] = "application/fhir+json"
    url = services.url(Service.INTAKE) + "/fhir/Bundle"
    began = time.perf_counter()
    answer = await services.client.post(url, content=body, headers=headers)
    took = (time.perf_counter() - began) * 1e3
    answer.raise_for_status()
    return took
