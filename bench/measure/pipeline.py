"""P1, L1 and C1: a command's event until its effect is committed elsewhere, against dual write."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bench.children import Child, playing
from bench.figures import Figure, middle, percentile, ratio
from bench.machine import cpu_seconds
from bench.stage import Stage

WARM_EVENTS: Final = 240
PACED_EVENTS: Final = 400
PACED_RATE: Final = 50.0
SATURATED_EVENTS: Final = 6_000
#: what is lost would be waited for in vain
ARRIVE_SECONDS: Final = 60.0
FLOOR: Final = "bench.floors.dual_write"
OURS: Final = "bench.ours.pipeline"
HOPS: Final = 1


class EventsLostError(RuntimeError):
    """Not every event has had its effect: the figures would be of another thing."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one side."""

    per_second: float
    cpu_ms: float
    cpu_parts: tuple[float, float, float]
    p50_ms: float
    p99_ms: float


async def run_once(stage: Stage, side: str) -> Run:
    """Warm up, 50 a second, then as fast as it goes."""
    order = await stage.order("writing", "reading")
    async with (
        playing(f"{side}:reader", order, stage.logs) as reader,
        playing(f"{side}:writer", order, stage.logs) as writer,
    ):
        await _carried(writer, reader, WARM_EVENTS, "saturate")
        paced = await _carried(writer, reader, PACED_EVENTS, "pace", rate=PACED_RATE)
        delays = [(seen - began) * 1e3 for began, seen in paced]
        before = _cpu(stage, writer, reader)
        saturated = await _carried(writer, reader, SATURATED_EVENTS, "saturate")
        after = _cpu(stage, writer, reader)
    await stage.drop(order, "writing", "reading")
    scale = 1e3 / len(saturated) / HOPS
    servers, writing, reading = (
        (now - then) * scale for then, now in zip(before, after, strict=True)
    )
    parts = (servers, writing, reading)
    span = max(seen for _, seen in saturated) - min(began for began, _ in saturated)
    return Run(
        per_second=len(saturated) / span,
        cpu_ms=sum(parts),
        cpu_parts=parts,
        p50_ms=percentile(delays, 0.5),
        p99_ms=percentile(delays, 0.99),
    )


def _cpu(stage: Stage, writer: Child, reader: Child) -> tuple[float, ...]:
    return tuple(cpu_seconds([pid]) for pid in (stage.pid, writer.pid, reader.pid))


async def _carried(
    writer: Child, reader: Child, count: int, how: str, **more: float
) -> list[tuple[float, float]]:
    """For each event when its write began and when its effect was committed."""
    began: Mapping[str, float] = await writer.ask(how, count=count, **more)
    await reader.ask("until", count=len(began), seconds=ARRIVE_SECONDS)
    seen: Mapping[str, float] = await reader.ask("take")
    lost = len(began.keys() - seen.keys())
    if lost:
        counted = await reader.ask("figures")
        raise EventsLostError(f"{lost} of {len(began)} events after {how}; reader: {counted}")
    return [(at, seen[event_id]) for event_id, at in began.items()]


async def measure(stage: Stage, pairs: int) -> Mapping[str, Mapping[str, Figure]]:
    """The figures of P1, L1 and C1."""
    floors, ours = [], []
    for _ in range(pairs):
        floors.append(await run_once(stage, FLOOR))
        ours.append(await run_once(stage, OURS))
    cpu = ratio([r.cpu_ms for r in floors], [r.cpu_ms for r in ours], unit="ms CPU an event")
    return {
        "P1": {
            "throughput ratio": ratio(
                [r.per_second for r in floors], [r.per_second for r in ours], unit="events/s"
            ),
            "CPU ratio": cpu,
        },
        "L1": {
            "p50 ratio": ratio([r.p50_ms for r in floors], [r.p50_ms for r in ours], unit="ms"),
            "p99 ratio": ratio([r.p99_ms for r in floors], [r.p99_ms for r in ours], unit="ms"),
        },
        "C1": {
            "CPU per event": middle([r.cpu_ms for r in ours], unit="ms"),
            "CPU ratio": cpu,
        },
    }
