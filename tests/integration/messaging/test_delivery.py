"""From a committed change to its effect in another service, on real Kafka and PostgreSQL."""

import asyncio
from uuid import uuid4

import pytest

from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import Cause
from tests.integration.messaging.rig import CLEAN, Rig, consent, eventually, judge_effects

pytestmark = pytest.mark.integration


async def test_committed_events_take_effect_once_and_in_order(rig: Rig) -> None:
    cases = [uuid4() for _ in range(5)]

    async with rig.relay() as relay, rig.consuming():
        emitted = [
            event_id
            for ids in await asyncio.gather(
                *(rig.emit(case, 20, wake=relay.wake) for case in cases)
            )
            for event_id in ids
        ]
        await eventually("100 effects", lambda: _has(rig, 100))

    assert judge_effects(await rig.infusion.effects(), emitted) == CLEAN
    assert await rig.intake.value("SELECT count(*) FROM outbox") == 0


async def test_rolled_back_work_emits_nothing(rig: Rig) -> None:
    case = uuid4()
    unit = rig.intake.unit_of_work(Service.INTAKE)

    async def fail_after_emitting() -> None:
        async with unit.begin(Cause("test", uuid4())) as work:
            work.emit(consent(case))
            await work.flush()
            raise RuntimeError("after emit")

    with pytest.raises(RuntimeError, match="after emit"):
        await fail_after_emitting()

    assert await rig.intake.value("SELECT count(*) FROM outbox") == 0
    assert await rig.intake.value("SELECT count(*) FROM stream_head") == 0


async def _has(rig: Rig, count: int) -> bool:
    return bool(await rig.infusion.value("SELECT count(*) FROM effect") == count)
