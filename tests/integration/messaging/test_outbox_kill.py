"""SIGKILL between COMMIT and the send, and between the send and the DELETE: one effect each."""

from typing import Any
from uuid import uuid4

import pytest

from tests.integration.messaging.process import said, started
from tests.integration.messaging.rig import COORDINATION, Rig, eventually

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("after_answer", [False, True], ids=["before_send", "before_delete"])
async def test_killed_relay_loses_and_doubles_nothing(rig: Rig, after_answer: bool) -> None:
    case = uuid4()
    async with started(
        "commit_and_stick", case_id=str(case), after_answer=after_answer, **place(rig)
    ) as process:
        await said(process, "stuck")
        process.kill()
        await process.wait()
    assert await rig.intake.value("SELECT count(*) FROM outbox") == 1

    async with rig.relay(), rig.consuming():
        await eventually("the outbox is empty", lambda: _outbox_is_empty(rig))
        following = await rig.emit(case)
        await eventually("both effects", lambda: _effects(rig, 2))

    effects = await rig.infusion.effects()
    assert [row["sequence"] for row in effects] == [1, 2]
    assert effects[1]["event_id"] == following[0]
    assert await _ends(rig) == (3 if after_answer else 2)


def place(rig: Rig) -> dict[str, Any]:
    return {
        "dsn": rig.intake.dsn, "bootstrap": rig.infra.kafka_bootstrap, "prefix": rig.prefix,
    }  # fmt: skip


async def _outbox_is_empty(rig: Rig) -> bool:
    return bool(await rig.intake.value("SELECT count(*) FROM outbox") == 0)


async def _effects(rig: Rig, count: int) -> bool:
    return len(await rig.infusion.effects()) == count


async def _ends(rig: Rig) -> int:
    sink = rig.bus.sink()
    await sink.connect()
    ends = await sink.ends(COORDINATION)
    await sink.close()
    return sum(ends.values())
