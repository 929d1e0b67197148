"""The events that floors and ours both carry: facts about cases, about as large on the wire.

Times are this machine's monotonic clock, which all its processes share.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic import BaseModel
from pydantic_core import to_json

from bench.stage import CASES
from shared.contracts.coordination import FactRecorded
from shared.contracts.vocabulary import Gate

#: connections that write at once, on both sides
WRITERS: Final = 8
_DAY: Final = date(2026, 11, 23)
_GATES: Final = frozenset({Gate.ELIGIBILITY, Gate.COLLECTION, Gate.INFUSION})

Write = Callable[[UUID], Awaitable[UUID]]


def case_number(number: int) -> UUID:
    """The id of a case of the benchmark; numbers go round."""
    return UUID(f"00000000-0000-4000-8000-{number % CASES + 1:012d}")


def fact(case_id: UUID) -> FactRecorded:
    """Our event."""
    return FactRecorded(
        case_id=case_id, fact_id=uuid4(), kind="lab-result-absolute-neutrophil-count",
        effective_day=_DAY, gates=_GATES,
    )  # fmt: skip


class Plain(BaseModel):
    """The floor's event: the same attributes and data in one JSON document."""

    specversion: str
    id: UUID
    source: str
    type: str
    time: datetime
    partitionkey: UUID
    correlationid: UUID
    tandemsafety: str
    epoch: int
    sequence: int
    datacontenttype: str
    data: dict[str, Any]


def plain(case_id: UUID, sequence: int) -> tuple[UUID, bytes]:
    """The id and the bytes of the floor's event."""
    event_id, correlation = uuid4(), uuid4()
    document = {
        "specversion": "1.0", "id": str(event_id), "source": "/tandem/intake",
        "type": "tandem.coordination.fact-recorded.v1", "time": datetime.now(UTC).isoformat(),
        "partitionkey": str(case_id), "correlationid": str(correlation), "tandemsafety": "0",
        "epoch": 0, "sequence": sequence, "datacontenttype": "application/json",
        "data": {
            "case_id": str(case_id), "fact_id": str(uuid4()),
            "kind": "lab-result-absolute-neutrophil-count", "effective_day": _DAY.isoformat(),
            "gates": [gate.value for gate in _GATES],
        },
    }  # fmt: skip
    return event_id, to_json(document)


class Traffic:
    """Writes events and remembers when each write began, just before its transaction."""

    def __init__(self, write: Callable[[int, UUID], Awaitable[UUID]]) -> None:
        self._write = write
        self._next = 0
        self._began: dict[str, float] = {}

    async def saturate(self, count: int) -> dict[str, float]:
        """All writers at once, each as fast as it can; when each write began, by event id."""
        share = count // WRITERS
        await asyncio.gather(*(self._stream(writer, share) for writer in range(WRITERS)))
        return self._taken()

    async def pace(self, count: int, rate: float) -> dict[str, float]:
        """One write after the other, `rate` of them a second; as `saturate`."""
        due = time.perf_counter()
        for number in range(count):
            await self._one(number % WRITERS)
            due = max(due + 1 / rate, time.perf_counter())
            await asyncio.sleep(due - time.perf_counter())
        return self._taken()

    async def _stream(self, writer: int, count: int) -> None:
        for _ in range(count):
            await self._one(writer)

    async def _one(self, writer: int) -> None:
        self._next += 1
        began = time.monotonic()
        event_id = await self._write(writer, case_number(self._next))
        self._began[str(event_id)] = began

    def _taken(self) -> dict[str, float]:
        began, self._began = self._began, {}
        return began


class Seen:
    """When each event's effect was committed, by event id."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._more = asyncio.Event()

    def mark(self, event_ids: list[UUID]) -> None:
        """These were committed just now."""
        now = time.monotonic()
        for event_id in event_ids:
            self._at[str(event_id)] = now
        self._more.set()

    async def until(self, count: int, seconds: float) -> int:
        """How many there are, once there are `count` or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while len(self._at) < count:
                    self._more.clear()
                    await self._more.wait()
        return len(self._at)

    async def take(self) -> dict[str, float]:
        """All of them; begins anew."""
        found, self._at = self._at, {}
        return found
