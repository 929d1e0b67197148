"""Redrive and skip over HTTP, on real servers: who may, in which order, with how many people."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from shared.contracts.vocabulary import Role, Service
from shared.messaging.partitioning import partition_of
from shared.messaging.redrive import Redrive
from shared.observability.figures import Figures
from shared.testing.role_matrix import OPERATIONS, check_role_matrix
from shared.testing.sign_in import SignIn
from shared.web.app import create_app
from shared.web.ops import ops_router
from shared.web.second_signature import second_person
from tests.integration.messaging.rig import COORDINATION, PARTITIONS, Rig, eventually, reactions

pytestmark = pytest.mark.integration

CONSUMER = Service.INFUSION_SCHEDULING
WHY = "nonsense, looked at"


class Ops:
    """One consumer's operations endpoints, with two people."""

    def __init__(self, rig: Rig, sign_in: SignIn) -> None:
        self.sign_in = sign_in
        store = rig.infusion
        redrive = Redrive(reactions(), store.unit_of_work(CONSUMER))
        second = partial(second_person, sign_in.authenticator)
        world = store.unit_of_work(CONSUMER).world
        self.app = create_app(
            CONSUMER,
            routers=[ops_router(CONSUMER, redrive, store.unit_of_work(CONSUMER), second)],
            world=world,
            authenticator=sign_in.authenticator,
            mode="demo",
            figures=Figures(),
        )
        transport = httpx.ASGITransport(app=self.app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")

    async def get(self, path: str) -> Any:
        headers = self.sign_in.person(Role.OPS, subject="ops-1")
        return await self.client.get(f"/ops/parked{path}", headers=headers)

    async def post(self, path: str, key: str | None = None, **body: Any) -> httpx.Response:
        headers = self.sign_in.person(Role.OPS, subject="ops-1")
        if key is not None:
            headers["idempotency-key"] = key
        return await self.client.post(f"/ops/parked{path}", headers=headers, json=body)

    def token(self, subject: str) -> str:
        return self.sign_in.person(Role.OPS, subject=subject)["authorization"].split()[1]


@pytest.fixture
async def ops(rig: Rig, tmp_path: Any) -> AsyncIterator[Ops]:
    found = Ops(rig, SignIn(tmp_path, rig.infusion.unit_of_work(CONSUMER).world.machine_clock))
    yield found
    await found.client.aclose()


async def parked_behind_nonsense(rig: Rig) -> UUID:
    """A case with a record that is no event, and two events that wait behind it."""
    case_id = uuid4()
    async with rig.relay() as relay, rig.consuming():
        await produce_nonsense(rig, case_id)
        await eventually("it is parked", lambda: waiting(rig, 1))
        await rig.emit(case_id, 2, wake=relay.wake)
        await eventually("both events wait behind it", lambda: waiting(rig, 3))
    return case_id


async def produce_nonsense(rig: Rig, case_id: UUID) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=rig.infra.kafka_bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(
            rig.prefix + COORDINATION, b"{", key=str(case_id).encode(),
            partition=partition_of(case_id, PARTITIONS),
        )  # fmt: skip
    finally:
        await producer.stop()


async def waiting(rig: Rig, count: int) -> bool:
    sql = "SELECT count(*) FROM parked_record WHERE settled_at IS NULL"
    return bool(await rig.infusion.value(sql) == count)


async def test_a_parked_case_comes_back_by_skip_and_redrive(rig: Rig, ops: Ops) -> None:
    case_id = await parked_behind_nonsense(rig)

    listed = (await ops.get("")).json()["items"]
    records = (await ops.get(f"/{case_id}")).json()["items"]
    dry = (await ops.post(f"/{case_id}/redrive", reason=WHY, dry_run=True)).json()
    bad = records[0]["id"]
    alone = await ops.post(f"/{case_id}/skip", reason=WHY, record_id=bad)
    same = await ops.post(
        f"/{case_id}/skip", reason=WHY, record_id=bad, second_signer_token=ops.token("ops-1")
    )
    two = await ops.post(
        f"/{case_id}/skip", reason=WHY, record_id=bad, second_signer_token=ops.token("ops-2")
    )
    done = (await ops.post(f"/{case_id}/redrive", reason=WHY)).json()

    assert [(c["case_id"], c["records"]) for c in listed] == [(str(case_id), 3)]
    assert [r["cause"] for r in records] == ["malformed", "behind", "behind"]
    assert [r["outcome"] for r in dry["records"]] == ["still-unreadable"]
    assert (alone.status_code, alone.json()["code"]) == (409, "second-person")
    assert (same.status_code, same.json()["code"]) == (409, "second-person")
    assert two.status_code == 200, two.text
    assert [r["outcome"] for r in done["records"]] == ["applied", "applied"]
    assert done["unparked"] is True
    effects = [row["sequence"] for row in await rig.infusion.effects()]
    assert effects == [1, 2]
    assert (await ops.get("")).json()["items"] == []


async def test_a_repeated_skip_or_redrive_gets_the_first_answer(rig: Rig, ops: Ops) -> None:
    case_id = await parked_behind_nonsense(rig)
    (bad, *_) = (await ops.get(f"/{case_id}")).json()["items"]
    skip = {
        "reason": WHY, "record_id": bad["id"], "second_signer_token": ops.token("ops-2"),
    }  # fmt: skip

    skipped = [await ops.post(f"/{case_id}/skip", key="k-1", **skip) for _ in range(2)]
    redriven = [await ops.post(f"/{case_id}/redrive", key="k-2", reason=WHY) for _ in range(2)]

    for first, again in (skipped, redriven):
        assert (first.status_code, again.status_code) == (200, 200), again.text
        assert first.content == again.content
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
    assert redriven[0].json()["unparked"] is True
    assert [row["sequence"] for row in await rig.infusion.effects()] == [1, 2]


async def test_no_record_of_another_case_is_skipped(rig: Rig, ops: Ops) -> None:
    case_id = await parked_behind_nonsense(rig)
    (bad, *_) = (await ops.get(f"/{case_id}")).json()["items"]

    answer = await ops.post(
        f"/{uuid4()}/skip", reason=WHY, record_id=bad["id"],
        second_signer_token=ops.token("ops-2"),
    )  # fmt: skip

    assert answer.status_code == 404
    assert await waiting(rig, 3)


async def test_operations_staff_alone_may_do_this(ops: Ops) -> None:
    assert await check_role_matrix(ops.app, ops.sign_in, OPERATIONS) > len(OPERATIONS)
