"""A service as it is, which also tells when it has committed what a hold has led to.

`python -m bench.ours.observed <service> <file>`: one line for each effect, with the case, the type
of the event, and the time on the machine's monotonic clock after COMMIT was answered.
"""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from shared.contracts.coordination import HoldRecorded
from shared.contracts.event import Envelope, Event
from shared.contracts.infusion import InfusionSuspended
from shared.messaging.reactions import Reaction
from shared.messaging.unit_of_work import Work
from shared.runtime.service import ServiceParts, ServiceProgram, Surroundings, main

#: the first hop's event and the second's
_TOLD: Final[tuple[type[Event], ...]] = (HoldRecorded, InfusionSuspended)


def _tell(descriptor: int, envelope: Envelope[Any]) -> None:
    line = f"{envelope.case_id} {type(envelope.data).__name__} {time.monotonic()}\n"
    os.write(descriptor, line.encode())


async def _observed(
    reaction: Reaction[Any], descriptor: int, work: Work[Any], envelope: Envelope[Any]
) -> None:
    await reaction(work, envelope)
    work.after_commit.append(partial(_tell, descriptor, envelope))


def observed(program: ServiceProgram[Any], path: Path) -> ServiceProgram[Any]:
    """The program with its reactions to holds and suspensions watched."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def build(around: Surroundings[Any]) -> ServiceParts[Any]:
        parts = await program.build(around)
        known = parts.reactions.handlers
        watched: Mapping[type[Event], Reaction[Any]] = {
            kind: partial(_observed, known[kind], descriptor) for kind in _TOLD if kind in known
        }
        reactions = replace(parts.reactions, handlers={**known, **watched})
        return replace(parts, reactions=reactions)

    return replace(program, build=build)


if __name__ == "__main__":
    main(observed(import_module(f"services.{sys.argv[1]}.bootstrap").PROGRAM, Path(sys.argv[2])))
