"""Tells open pages that the read models have changed, so that they ask for themselves anew.

A hint and no more: a page that misses one (another replica projected it) asks again by itself
within some seconds.
"""

import asyncio
from collections import OrderedDict
from typing import Final
from uuid import UUID

#: cases whose last change is remembered one by one; an older one counts as changed
CASES_MAX: Final = 10_000


class Changes:
    """Counts the commits of this process that changed something, in all and by case."""

    def __init__(self) -> None:
        self._count = 0
        self._cases: OrderedDict[UUID, int] = OrderedDict()
        self._forgotten = 0
        self._moved = asyncio.Event()
        self.ended = False

    def note(self, case_id: UUID) -> None:
        """Something about this case was committed."""
        self._count += 1
        self._cases[case_id] = self._count
        self._cases.move_to_end(case_id)
        if len(self._cases) > CASES_MAX:
            self._forgotten = self._cases.popitem(last=False)[1]
        self._wake()

    def end(self) -> None:
        """Nobody waits any longer."""
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def count(self, case_id: UUID | None) -> int:
        """The count of the last change of a case, or of any."""
        if case_id is None:
            return self._count
        return self._cases.get(case_id, self._forgotten)

    async def after(self, seen: int, case_id: UUID | None, *, seconds: float) -> int:
        """The count once it is above `seen`, or as it is when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                while self.count(case_id) <= seen and not self.ended:
                    await self._moved.wait()
        except TimeoutError:
            pass
        return self.count(case_id)
