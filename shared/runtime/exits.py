"""What the exit codes of all commands of `tandem` mean."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes; each command says in its help which of them it has."""

    DONE = 0
    FAILED = 1
    BAD_USAGE = 2
    INPUT_REFUSED = 3
    UNREACHABLE = 4
    ALREADY_RUNNING = 5
    NO_GO = 10
