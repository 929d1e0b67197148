"""Kafka or PostgreSQL goes away: a clear answer, ready says no, and nothing is lost."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from shared.contracts.vocabulary import Service
from shared.testing.infra import Infra
from tests.system.deployment import Deployment, deployed, eventually
from tests.system.staff import INTAKE, Staff

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
#: what a person waits for an answer that says no
ANSWER_SECONDS_MAX = 15.0


@pytest.fixture(scope="module")
async def fragile(
    own_infra: Infra, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployment]:
    """Intake and notification on servers of their own, which may be killed."""
    var = tmp_path_factory.mktemp("fragile")
    async with deployed(own_infra, var, [INTAKE, Service.NOTIFICATION]) as found:
        yield found


async def _is_ready(deployment: Deployment, service: Service) -> bool:
    answer = await deployment.client.get(f"{deployment.url(service)}/health/ready")
    return answer.status_code == 200


async def test_without_kafka_holds_are_recorded_and_leave_when_it_is_back(
    fragile: Deployment, own_infra: Infra
) -> None:
    staff = Staff(fragile)
    case_id = await staff.refer()
    await own_infra.kill_kafka()

    hold = await staff.hold(case_id)
    assert hold["state"] == "EFFECTIVE"
    await own_infra.start_kafka()

    alerts = await eventually(
        lambda: staff.alerts(case_id, hold["hold_id"]),
        "the alert about a hold recorded while Kafka was down",
        within_seconds=60,
    )
    assert len(alerts) == 1


async def test_without_postgres_the_answer_is_no_and_then_yes_again(
    fragile: Deployment, own_infra: Infra
) -> None:
    staff = Staff(fragile)
    case_id = await staff.refer()
    body = {"kind": "clinical_concern", "gates": ["infusion"], "hold_id": str(uuid4())}
    url = f"{fragile.url(INTAKE)}/cases/{case_id}/holds"
    await own_infra.kill_postgres()

    refused = await fragile.client.post(
        url, headers=staff.coordinator, json=body, timeout=ANSWER_SECONDS_MAX
    )

    async def not_ready() -> bool:
        return not await _is_ready(fragile, INTAKE)

    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert "retry-after" in refused.headers
    await eventually(not_ready, "intake saying that it is not ready")
    await own_infra.start_postgres()

    async def taken() -> bool:
        answer = await fragile.client.post(url, headers=staff.coordinator, json=body)
        return answer.status_code == 201

    await eventually(taken, "the hold taken once PostgreSQL is back", within_seconds=60)
    alerts = await eventually(
        lambda: staff.alerts(case_id, body["hold_id"]), "its alert", within_seconds=60
    )
    assert len(alerts) == 1
