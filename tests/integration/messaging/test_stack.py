"""A whole process's worth of messaging on real servers: watermarks, wake-ups, readiness."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.contracts.coordination import ConsentRecorded
from shared.contracts.vocabulary import Service
from shared.messaging.heartbeats import stream_is_current
from shared.messaging.partitioning import partition_of
from shared.messaging.reactions import Reactions, lock_case_rows
from shared.messaging.stack import Messaging
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.messaging.wakes import PostgresWakes
from shared.persistence.database import Tx
from tests.integration.messaging.rig import (
    PARTITIONS,
    Rig,
    Store,
    add_effect,
    consent,
    eventually,
    reactions,
    running,
    world,
)

pytestmark = pytest.mark.integration


@asynccontextmanager
async def service(
    rig: Rig, store: Store, its_reactions: Reactions[Tx], source: Service, **more: Any
) -> AsyncIterator[tuple[Messaging[Tx], UnitOfWork[Tx]]]:
    unit = store.unit_of_work(source)
    messaging = Messaging(
        reactions=its_reactions, unit_of_work=unit, bus=rig.bus, partitions=PARTITIONS,
        wakes=PostgresWakes(store.dsn, world().waiter), beat_seconds=0.2, alarm=rig.alarms.append,
        **more,
    )  # fmt: skip
    async with running(messaging.run(), messaging.stop):
        yield messaging, unit


def intake_reactions() -> Reactions[Tx]:
    return Reactions(consumer=Service.INTAKE, topics=frozenset({"tandem.infusion.v1"}), handlers={})


async def emit(unit: UnitOfWork[Tx], case: UUID) -> None:
    async with unit.begin(Cause("test", uuid4())) as work:
        await lock_case_rows(work.tx, [case])
        work.emit(consent(case))


async def current(rig: Rig, case: UUID, *, seconds: float = 30.0) -> bool:
    async with rig.infusion.database.transaction() as tx:
        return await stream_is_current(
            tx, Service.INFUSION_SCHEDULING, Service.INTAKE, partition_of(case, PARTITIONS),
            now=datetime.now(UTC), age_seconds_max=seconds,
        )  # fmt: skip


async def test_a_beat_makes_a_stream_current_and_silence_ends_it(rig: Rig) -> None:
    case = uuid4()
    infusion = reactions({ConsentRecorded: add_effect})
    async with service(rig, rig.infusion, infusion, Service.INFUSION_SCHEDULING) as (consumer, _):
        assert not await current(rig, case)
        async with service(rig, rig.intake, intake_reactions(), Service.INTAKE) as (_, unit):
            await emit(unit, case)
            await eventually("the stream is current", lambda: current(rig, case))
            effects = await rig.infusion.effects()
            await eventually("ready", lambda: _is(consumer.ready))

    assert [row["sequence"] for row in effects] == [1]
    later = datetime.now(UTC) + timedelta(seconds=31)
    async with rig.infusion.database.transaction() as tx:
        assert not await stream_is_current(
            tx, Service.INFUSION_SCHEDULING, Service.INTAKE, partition_of(case, PARTITIONS),
            now=later, age_seconds_max=30,
        )  # fmt: skip


async def test_a_commit_in_another_process_wakes_the_active_relay(rig: Rig) -> None:
    case = uuid4()
    both = service(rig, rig.intake, intake_reactions(), Service.INTAKE, ordinal=0)
    async with both as (first, _):
        await eventually("the first relay leads", lambda: _is(first.relay_figures.active))
        second = service(rig, rig.intake, intake_reactions(), Service.INTAKE, ordinal=1)
        async with second as (other, unit), rig.consuming():
            await eventually("both listen", lambda: _is(other.kernel.started.is_set()))
            await emit(unit, case)
            await eventually("the first effect", lambda: _effects(rig, 1))
            began = asyncio.get_running_loop().time()
            for _ in range(20):
                await emit(unit, case)
            await eventually("all effects", lambda: _effects(rig, 21))
            took = asyncio.get_running_loop().time() - began
            assert not other.relay_figures.active

    assert took < 0.9, f"{took:.2f} s: the commits waited for the relay's poll"


async def _is(value: bool) -> bool:
    return value


async def _effects(rig: Rig, count: int) -> bool:
    return len(await rig.infusion.effects()) >= count
