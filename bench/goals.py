"""The goals, each with its limits and the names of the figures that they are about.

The numbers are the design's; a figure's name is what the measurements in `bench/measure` call it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bench.verdicts import Limit


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal: what is compared with what, and which limits must hold."""

    name: str
    text: str
    limits: tuple[Limit, ...]


def _least(figure: str, bound: float) -> Limit:
    return Limit(figure, bound, at_least=True)


_ALL: Final = (
    Goal(
        "P1",
        "saturated pipeline (command → relay → Kafka → inbox) against unsafe dual write",
        (_least("throughput ratio", 0.9),),
    ),
    Goal(
        "P2", "relay drain against pipelined produce", (_least("rate ratio", 0.4),),
    ),
    Goal(
        "P3",
        "kernel with its full transaction against parse-only, and against one by one",
        (_least("against parse-only", 0.15), _least("against one by one", 20.0)),
    ),
    Goal(
        "P4",
        "command POST (token, validation, rules, transaction, outbox) against trivial POST",
        (_least("rate ratio", 0.30),),
    ),
    Goal(
        "P5",
        "what the kernel does with a record against raw aiokafka and pydantic",
        (_least("rate ratio", 0.8),),
    ),
    Goal(
        "L1", "one hop at 50/s against dual write",
        (Limit("p50 ratio", 1.5), Limit("p99 ratio", 2.5)),
    ),
    Goal(
        "L2",
        "hold reported → infusions suspended and alert stored, against the bare two hops",
        (Limit("p50 ratio", 2.0), Limit("p99 ratio", 3.0), Limit("p99 at 50/s", 500.0)),
    ),
    Goal(
        "L3",
        "start permit (request → grant → start) against two services that lock and insert",
        (Limit("p50 ratio", 2.0),),
    ),
    Goal(
        "C1", "CPU of the whole stack per event and hop, saturated",
        (Limit("CPU per event", 1.0), Limit("CPU ratio", 1.3)),
    ),
    Goal("C2", "an idle service", (Limit("share of a core", 2.0),)),
    Goal(
        "C3", "resident memory: one service, all four, and growth over 1 M events",
        (
            Limit("largest service", 120.0), Limit("four services", 450.0),
            Limit("growth", 5.0),
        ),
    ),
    Goal(
        "S2", "the outbox after 1 M events", (Limit("unsent rows", 0.0), Limit("size", 50.0)),
    ),
    Goal(
        "R1", "decision for one gate over a full record; timeline of a year, all gates",
        (Limit("decision", 200.0), Limit("timeline", 20.0)),
    ),
    Goal(
        "R2", "100,000 cases with full records assessed anew after a protocol change",
        (Limit("100 k cases", 180.0), Limit("decision meanwhile p99", 250.0)),
    ),
    Goal(
        "R3", "FHIR import of a bundle of 1 MB, to facts committed", (Limit("import", 250.0),),
    ),
    Goal(
        "R4",
        "CDS Hooks over HTTP: cards for an order and for an appointment, against a trivial POST",
        (Limit("order-sign p95", 500.0), Limit("appointment-book p95", 500.0)),
    ),
)  # fmt: skip
GOALS: Final[Mapping[str, Goal]] = MappingProxyType({goal.name: goal for goal in _ALL})
