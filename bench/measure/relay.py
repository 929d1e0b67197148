"""P2 and S2: how fast the relay empties an outbox, and what a million events leave of it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import asyncpg

from bench.children import playing
from bench.figures import Figure, largest, ratio
from bench.ours.pipeline import unit_of
from bench.stage import CASES, Stage
from bench.traffic import case_number, fact
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.persistence.database import Tx

BACKLOG: Final = 20_000
MILLION: Final = 1_000_000
#: rows of one insert of the feeder, and how many may wait before it pauses: a busy service's outbox
CHUNK: Final = 4_000
WAITING_MAX: Final = 8_000
#: the memory of a process that has just begun grows with its caches
SETTLED: Final = 200_000
_MIB: Final = 2**20
#: copies of one row as the unit of work wrote it, over all cases
_COPIES: Final = """
INSERT INTO outbox (event_id, topic, case_id, lane, headers, payload)
SELECT gen_random_uuid(), o.topic,
       ('00000000-0000-4000-8000-' || lpad((g % $2 + 1)::text, 12, '0'))::uuid,
       o.lane, o.headers, o.payload
FROM bench_row o, generate_series(1, $1::int) g
"""
_KEEP_ROW: Final = """
CREATE TABLE bench_row AS SELECT topic, lane, headers, payload FROM outbox LIMIT 1;
DELETE FROM outbox
"""


@asynccontextmanager
async def feeder(order: Mapping[str, str]) -> AsyncIterator[Any]:
    """A connection to a database that has a row to copy."""
    connection = await asyncpg.connect(order["writing"])
    try:
        yield connection
    finally:
        await connection.close()


async def _template_row(order: Mapping[str, str], connection: Any) -> None:  # noqa: ANN401
    """One event by the product's own unit of work, kept to be copied."""
    async with AsyncExitStack() as stack:
        unit: UnitOfWork[Tx] = await unit_of(stack, order["writing"], Service.INTAKE)
        async with unit.begin(Cause("bench", unit.world.ids.new())) as work:
            work.emit(fact(case_number(0)))
    await connection.execute(_KEEP_ROW)


async def measure_drain(stage: Stage, pairs: int) -> Mapping[str, Mapping[str, Figure]]:
    """The figures of P2."""
    floors, ours = [], []
    for _ in range(pairs):
        order = await stage.order("writing")
        async with playing("bench.floors.clients:producer", order, stage.logs) as producer:
            floors.append(await producer.ask("produce", count=BACKLOG))
        async with feeder(order) as connection:
            await _template_row(order, connection)
            await connection.execute(_COPIES, BACKLOG, CASES)
            await connection.execute("ANALYZE outbox")
        async with playing("bench.ours.relay:sender", order, stage.logs) as relay:
            ours.append(await relay.ask("drain", count=BACKLOG))
        await stage.drop(order, "writing")
    return {"P2": {"rate ratio": ratio(floors, ours, unit="events/s")}}


async def measure_million(
    stage: Stage, _pairs: int, events: int = MILLION
) -> Mapping[str, Mapping[str, Figure]]:
    """The figures of S2, and the growth of C3."""
    order = await stage.order("writing")
    async with (
        playing("bench.ours.relay:sender", order, stage.logs) as relay,
        feeder(order) as connection,
    ):
        await _template_row(order, connection)
        await relay.ask("start")
        memory: list[float] = []
        for fed in range(0, events, CHUNK):
            await connection.execute(_COPIES, CHUNK, CASES)
            await relay.ask("sent", count=fed + CHUNK - WAITING_MAX)
            if fed >= min(SETTLED, events // 2) and not memory:
                memory.append(await relay.ask("memory"))
        await relay.ask("sent", count=events)
        memory.append(await relay.ask("memory"))
        unsent = await connection.fetchval("SELECT count(*) FROM outbox")
        size = await connection.fetchval("SELECT pg_total_relation_size('outbox')")
    await stage.drop(order, "writing")
    return {
        "S2": {
            "unsent rows": largest([float(unsent)], unit="rows"),
            "size": largest([size / _MIB], unit="MB"),
        },
        "C3": {"growth": largest([(memory[1] / memory[0] - 1) * 100], unit="%")},
    }
