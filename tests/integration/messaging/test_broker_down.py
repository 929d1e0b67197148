"""A broker that dies, stays away and comes back, on servers that this module may kill."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from shared.contracts.vocabulary import Service
from shared.messaging.reactions import lock_case_rows
from shared.messaging.stack import Messaging
from shared.messaging.unit_of_work import Cause
from shared.testing.infra import Infra
from tests.integration.messaging.rig import (
    CLEAN,
    PARTITIONS,
    Rig,
    consent,
    eventually,
    judge_effects,
    make_template,
    reactions,
    running,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


@pytest.fixture
async def rig(own_infra: Infra) -> AsyncIterator[Rig]:
    made = Rig(own_infra, await make_template(own_infra))
    await made.prepare()
    yield made
    await made.close()


async def test_a_killed_broker_costs_time_and_nothing_else(rig: Rig) -> None:
    """Traps: `start()` does not retry a dead broker and `stop()` hangs with all brokers down
    (aiokafka #659, #764). Events committed meanwhile wait in the outbox."""
    cases = [uuid4() for _ in range(9)]
    emitted = [i for case in cases for i in await rig.emit(case, 5)]
    async with rig.relay() as relay, rig.consuming():
        await eventually("45 effects", lambda: _effects(rig, 45))

        await rig.infra.kill_kafka()
        emitted += [i for case in cases for i in await rig.emit(case, 20, wake=relay.wake)]
        emitted.append(await _stops_quickly(rig))
        late = rig.kernel()
        async with running(late.run(), late.stop):
            assert len(await rig.infusion.effects()) == 45
            await rig.infra.start_kafka()
            began = asyncio.get_running_loop().time()
            await eventually("all effects", lambda: _effects(rig, 226), within_seconds=30)
            took = asyncio.get_running_loop().time() - began
            await eventually("it joined after all", lambda: _true(late.started.is_set()))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN
    assert await rig.intake.value("SELECT count(*) FROM outbox") == 0
    assert took < 15, f"drained {took:.1f} s after the broker was back"


async def _stops_quickly(rig: Rig) -> UUID:
    """A whole process's messaging starts without Kafka, takes commands, and stops in time."""
    unit = rig.intake.unit_of_work(Service.INTAKE)
    messaging = Messaging(
        reactions=reactions(consumer=Service.NOTIFICATION), unit_of_work=unit, bus=rig.bus,
        partitions=PARTITIONS,
    )  # fmt: skip
    case = uuid4()
    async with running(messaging.run(), messaging.stop):
        async with unit.begin(Cause("test", uuid4())) as work:
            await lock_case_rows(work.tx, [case])
            event_id = work.emit(consent(case))
        assert not messaging.ready
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 10
    return event_id


async def test_a_restarted_database_costs_time_and_nothing_else(rig: Rig) -> None:
    """Sessions, locks and open batches are gone at once; seat, relay and filler begin again."""
    case = uuid4()
    async with rig.relay() as relay, rig.consuming(ordinal=0) as kernel:
        emitted = await rig.emit(case, 5, wake=relay.wake)
        await eventually("five effects", lambda: _effects(rig, 5))

        await rig.infra.kill_postgres()
        await rig.infra.start_postgres()
        emitted += await rig.emit(case, 5, wake=relay.wake)
        await eventually("ten effects", lambda: _effects(rig, 10), within_seconds=20)
        await eventually("it sits again", lambda: _true(bool(kernel.positions)))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN


async def _effects(rig: Rig, count: int) -> bool:
    return len(await rig.infusion.effects()) == count


async def _true(value: bool) -> bool:
    return value
