"""The measurements; each answers the figures of one or more goals.

`MEASUREMENTS` is the order in which they are made, with the goals that each has figures for.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from bench.figures import Figure
from bench.measure import (
    cds,
    http,
    kernel,
    permit,
    pipeline,
    protocol,
    protocol_change,
    relay,
    services,
)
from bench.stage import Stage

Measure = Callable[[Stage, int], Awaitable[Mapping[str, Mapping[str, Figure]]]]

MEASUREMENTS: Final[tuple[tuple[tuple[str, ...], Measure], ...]] = (
    (("P1", "L1", "C1"), pipeline.measure),
    (("P2",), relay.measure_drain),
    (("P3", "P5"), kernel.measure),
    (("R1",), protocol.measure),
    (("R2",), protocol_change.measure),
    (("L2", "C2", "C3", "R3"), services.measure),
    (("R4",), cds.measure),
    (("P4",), http.measure),
    (("L3",), permit.measure),
    (("S2", "C3"), relay.measure_million),
)
