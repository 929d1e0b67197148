"""Waiting through the ports: for a signal, for several tasks, for a while, whichever is first.

Every time-out of the kernel and the relay goes through `World.waiter` and is measured on the lease
clock, so that the simulation owns all time.
"""

import asyncio
from collections.abc import Awaitable, Collection
from typing import Any, Final, TypeVar

from shared.ports import LeaseClock, Waiter, World

T = TypeVar("T")

_NS: Final = 1_000_000_000


def now_seconds(clock: LeaseClock) -> float:
    """Seconds since boot: for durations, never for dates."""
    return clock.now_ns() / _NS


async def cancelled(*tasks: "asyncio.Task[Any]") -> None:
    """Cancels the tasks and returns when they have ended, whatever they ended with."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def settled_within(
    waiter: Waiter, tasks: Collection["asyncio.Task[Any]"], seconds: float
) -> None:
    """Returns when all tasks have ended or the time is over. Cancels none of them."""
    timer = asyncio.ensure_future(waiter.sleep(seconds))
    pending = {task for task in tasks if not task.done()}
    try:
        while pending and not timer.done():
            done, _ = await asyncio.wait({*pending, timer}, return_when=asyncio.FIRST_COMPLETED)
            pending -= done
    finally:
        await cancelled(timer)


async def wait_set(waiter: Waiter, event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set before the time was over."""
    if event.is_set():
        return True
    task = asyncio.ensure_future(event.wait())
    try:
        await settled_within(waiter, [task], seconds)
    finally:
        await cancelled(task)
    return event.is_set()


class TooLateError(Exception):
    """The work was not done in time; it was cancelled."""


async def within(waiter: Waiter, seconds: float, work: Awaitable[T]) -> T:
    """The result of `work`. Raises `TooLateError` and cancels it when the time is over."""
    task: asyncio.Task[T] = asyncio.ensure_future(work)
    try:
        await settled_within(waiter, [task], seconds)
        if task.done():
            return task.result()
        raise TooLateError(f"not done within {seconds:g} s")
    finally:
        if not task.done():
            await cancelled(task)


class Pace:
    """Keeps turns apart: what arrives between two of them shares the later one.

    A turn after a pause is not kept waiting; under load each waits for the rest of `seconds`, so
    that a transaction, a send or a fetch is shared instead of being made for every single event.
    """

    def __init__(self, world: World, seconds: float) -> None:
        self._world = world
        self._seconds = seconds
        self._began = float("-inf")

    async def turn(self) -> None:
        """Returns when the next turn may begin."""
        early = self._began + self._seconds - now_seconds(self._world.lease_clock)
        if early > 0:
            await self._world.waiter.sleep(early)
        self._began = now_seconds(self._world.lease_clock)


def backoff_seconds(world: World, attempt: int, *, first: float, most: float) -> float:
    """How long to wait before try `attempt` (from 1): doubling, capped, with half of it jitter."""
    full: float = min(most, first * 2.0 ** min(attempt - 1, 20))
    return full * (0.5 + world.chance.fraction() / 2)
