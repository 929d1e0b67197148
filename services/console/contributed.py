"""The programs that run beside Kafka and PostgreSQL, as packages contribute them by entry point."""

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points

from shared.runtime.programs import Program
from shared.runtime.stack import Stack

PROGRAMS = "tandem.programs"


def contributed_programs(stack: Stack) -> list[Program]:
    """The programs of all packages, in the order of their entry points."""
    programs: list[Program] = []
    for entry in entry_points(group=PROGRAMS):
        contribute: Callable[[Stack], Sequence[Program]] = entry.load()
        programs += contribute(stack)
    return programs
