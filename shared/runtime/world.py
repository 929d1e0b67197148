"""The real ports: this machine's clocks, ids and waiting, and the demo's clock that jumps."""

import asyncio
import json
import os
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from shared.ports import NO_TRACER, Clock, Http, Tracer, World

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class MachineClock:
    """This machine's wall clock."""

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return datetime.now(UTC)


class DemoClock:
    """The demo's wall clock: this machine's, moved by the seconds in a file that all services read.

    Time runs at its own speed between jumps; a jump replaces the file in one rename, so a reader
    sees the old offset or the new one, never half of it. A missing file is an offset of 0.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._offset = timedelta()

    def now(self) -> datetime:
        """The present instant of the demo, in UTC."""
        return datetime.now(UTC) + self._current_offset()

    def jump_to(self, instant: datetime, *, may_go_back: bool = False) -> None:
        """Moves every service's clock to `instant`.

        Raises ValueError for a jump backwards, unless nothing has happened yet that it would undo.
        """
        offset = instant - datetime.now(UTC)
        if instant < self.now() and not may_go_back:
            raise ValueError("the demo clock only goes forwards")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({"offset_seconds": offset.total_seconds()}), encoding="utf-8")
        os.replace(fresh, self._path)

    def _current_offset(self) -> timedelta:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return timedelta()
        mark = (status.st_mtime_ns, status.st_ino)
        if mark != self._seen:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            self._offset = timedelta(seconds=float(document["offset_seconds"]))
            self._seen = mark
        return self._offset


class BootClock:
    """CLOCK_BOOTTIME: goes on in suspend, never jumps, starts anew with each boot."""

    def __init__(self) -> None:
        if not hasattr(time, "CLOCK_BOOTTIME"):
            raise OSError("this system has no CLOCK_BOOTTIME; permits cannot be judged safely")
        self._boot_id = _BOOT_ID.read_text(encoding="ascii").strip()

    @property
    def boot_id(self) -> str:
        """The kernel's id of this boot."""
        return self._boot_id

    def now_ns(self) -> int:
        """Nanoseconds since boot."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class TimeOrderedIds:
    """UUID version 7."""

    def new(self) -> UUID:
        """A fresh id."""
        return uuid7()


class SystemChance:
    """The operating system's randomness."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def fraction(self) -> float:
        """A number in [0, 1)."""
        return self._random.random()


class EventLoopWaiter:
    """Waiting on the event loop."""

    async def sleep(self, seconds: float) -> None:
        """Returns after that many seconds."""
        await asyncio.sleep(seconds)


def machine_world(
    http: Http, *, demo_clock: Path | None = None, tracer: Tracer = NO_TRACER
) -> World:
    """The world of a real process; with `demo_clock`, the clinic's time is the demo's."""
    machine = MachineClock()
    clock: Clock = DemoClock(demo_clock) if demo_clock is not None else machine
    return World(
        clock=clock,
        machine_clock=machine,
        lease_clock=BootClock(),
        ids=TimeOrderedIds(),
        chance=SystemChance(),
        waiter=EventLoopWaiter(),
        http=http,
        tracer=tracer,
    )
