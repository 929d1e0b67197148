"""Starts raced against holds at the bedside, until holds became effective in each of the ways.

First plain races, with the hold at a random distance from the press. What they did not bring about
is then brought about on purpose: intake is frozen until the press is on its way, so that the permit
is granted to a holder that stands still. Every press and every answer is a real one.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable
from typing import Final, TypeVar

from services.console.demo.backstage import ready_again
from services.console.demo.bedside import GO, SCHEDULING, Bedside, permit_out
from services.console.demo.people import DONE
from services.console.demo.stage import Stage
from shared.contracts.vocabulary import EffectiveBy

T = TypeVar("T")

PLAIN_RACES: Final = 8
#: a press, its permit and its GO take less; the hold falls anywhere around it
RACE_SECONDS: Final = 0.4
#: the lease is over for the holder after 8 s and for the authority after 14 s
AFTER_THE_LEASE_SECONDS: Final = 9.0
_OK: Final = 200


async def race(stage: Stage, bedside: Bedside) -> None:
    """All races, with a line for each; then each way has occurred."""
    chance = random.SystemRandom()
    for number in range(1, PLAIN_RACES + 1):
        await _plain_race(stage, bedside, number, chance.uniform(-RACE_SECONDS, RACE_SECONDS))
    await _frozen_race(stage, bedside, until_lapse=True)
    if not bedside.effective_by[EffectiveBy.ACK.value]:
        await _frozen_race(stage, bedside, until_lapse=False)
    if not bedside.effective_by[EffectiveBy.NO_PERMIT.value]:
        await bedside.settle((await bedside.hold())["hold_id"], None)
    stage.note(f"answers: {_told(bedside.answers)}; effective by: {_told(bedside.effective_by)}")
    for way in (EffectiveBy.NO_PERMIT, EffectiveBy.ACK, EffectiveBy.LAPSE):
        stage.check(bedside.effective_by[way.value], f"a hold became effective by {way.value}")


async def _plain_race(stage: Stage, bedside: Bedside, number: int, head_start: float) -> None:
    await bedside.ready()
    pressing = asyncio.create_task(_later(bedside.press(), -head_start))
    hold = (await _later(bedside.hold(), head_start))["hold_id"]
    reply = await pressing
    way = await bedside.settle(hold, reply)
    answer = GO if reply.status == _OK else f"{reply.status} {reply.code}"
    stage.note(f"race {number}: start {answer}, hold effective by {way}")


async def _later(call: Awaitable[T], seconds: float) -> T:
    await asyncio.sleep(max(0.0, seconds))
    return await call


async def _frozen_race(stage: Stage, bedside: Bedside, *, until_lapse: bool) -> None:
    """A hold meets a permit whose holder stands still: it has to wait, and says so."""
    await bedside.ready()
    async with permit_out(stage, bedside) as pressing:
        hold = await bedside.hold()
        stage.check(
            hold["state"] == "RECORDED" and hold["may_start_until"],
            f"a hold is recorded, not yet effective: something may start until "
            f"{hold['may_start_until']} at {hold['may_be_running'][0]['bay']}",
        )
        if until_lapse:
            await bedside.effective(hold["hold_id"])
        else:
            await asyncio.sleep(AFTER_THE_LEASE_SECONDS)
    reply = await pressing
    stage.check(reply.status not in DONE, f"its holder, awake again, does not start: {reply.code}")
    # one that was away for so long may begin anew
    await ready_again(stage, SCHEDULING)
    way = await bedside.settle(hold["hold_id"], None)
    stage.note(f"hold effective by {way}")


def _told(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))
