"""P3 and P5: the consumer kernel over one filled topic, against bare clients over the same.

Parsing, in both floors, is what a consumer cannot do without: ids and times of the headers, and the
body by its model. Reading the bare JSON alone is measured beside it.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

from bench.children import Child, playing
from bench.figures import Figure, ratio
from bench.stage import Stage

EVENTS: Final = 20_000
#: a transaction for each event is slow; its rate does not depend on how many there are
EVENTS_ONE_BY_ONE: Final = 600
FLOORS: Final = "bench.floors.clients"
OURS: Final = "bench.ours.kernel"


async def measure(stage: Stage, pairs: int) -> Mapping[str, Mapping[str, Figure]]:
    """The figures of P3 and P5."""
    rates: dict[str, list[float]] = {}
    order = await stage.order("reading")
    async with playing(f"{FLOORS}:producer", order, stage.logs) as producer:
        await producer.ask("fill", count=EVENTS)
    for _ in range(pairs):
        for name, rate in (await _round(stage, order)).items():
            rates.setdefault(name, []).append(rate)
    await stage.drop(order, "reading")
    unit = "events/s"
    return {
        "P3": {
            "against parse-only": ratio(rates["validate"], rates["kernel"], unit=unit),
            "against bare JSON": ratio(rates["parse"], rates["kernel"], unit=unit),
            "against one by one": ratio(rates["one by one"], rates["kernel"], unit=unit),
        },
        "P5": {"rate ratio": ratio(rates["validate"], rates["decide"], unit=unit)},
    }


async def _round(stage: Stage, order: Mapping[str, str]) -> Mapping[str, float]:
    """One rate of each, floor and ours in turn; whoever keeps begins with an empty database."""
    rates: dict[str, float] = {}
    async with AsyncExitStack() as stack:

        async def child(role: str) -> Child:
            fresh = {**order, "reading": await stage.database("reading")}
            return await stack.enter_async_context(playing(role, fresh, stage.logs))

        bare, kernel = await child(f"{FLOORS}:reader"), await child(f"{OURS}:reader")
        rates["one by one"] = await bare.ask("read", way="one by one", count=EVENTS_ONE_BY_ONE)
        rates["parse"] = await bare.ask("read", way="parse", count=EVENTS)
        rates["kernel"] = await kernel.ask("consume", count=EVENTS)
        rates["validate"] = await bare.ask("read", way="validate", count=EVENTS)
        rates["decide"] = await kernel.ask("decide", count=EVENTS)
    return rates
