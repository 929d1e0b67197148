"""How a serving process runs: its event loop, and a garbage collector that leaves it in peace.

A round trip to PostgreSQL is most of what a command costs, and uvloop halves its share of CPU. The
collector, as it comes, walks through every module, model and schema again and again: 5 to 10 us for
each event that is decoded, and pauses that the slowest requests wait for.
"""

import gc
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import uvloop

T = TypeVar("T")

#: new objects between two looks at the youngest (Python: 700); a batch of events fits in
YOUNG_OBJECTS: Final = 10_000
#: looks at the younger generation between two at the next older one (as Python has it); more would
#: let cycles of long-lived objects pile up
LOOKS_BETWEEN: Final = 10


def run_until_done(work: Coroutine[Any, Any, T]) -> T:
    """What the work returns, run on uvloop."""
    return uvloop.run(work)


def spare_the_collector() -> None:
    """Takes what is there now out of the collector's sight; call it when all is imported and built.

    Garbage of later is found as before, only less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, LOOKS_BETWEEN, LOOKS_BETWEEN)
