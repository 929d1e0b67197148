"""A process of a measurement: `python -m bench.child <role> <order as JSON>`.

A role is an async context manager over its order that yields its commands; each command is one line
of JSON on standard input, answered by one line on standard output. The process ends with its input.
Floors run on uvloop, too, and what was only imported is kept from the collector's sight for them: a
floor has no services around it.
"""

import asyncio
import gc
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Any, Final

from shared.runtime.loop import run_until_done

#: a command may bring all requests of a load, an answer one time per event
LINE_BYTES_MAX: Final = 64 * 2**20

Order = Mapping[str, Any]
Command = Callable[..., Awaitable[Any]]
Role = Callable[[Order], AbstractAsyncContextManager[Mapping[str, Command]]]


def _role(name: str) -> Role:
    module, _, attribute = name.rpartition(":")
    found: Role = getattr(import_module(module), attribute)
    return found


async def _lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def _serve(name: str, order: Order) -> None:
    lines = await _lines()
    role = _role(name)
    gc.freeze()
    async with role(order) as commands:
        _say("ready")
        while line := await lines.readline():
            asked = json.loads(line)
            _say(await commands[asked["command"]](**asked["with"]))


def main() -> None:
    """Plays the role until standard input ends."""
    run_until_done(_serve(sys.argv[1], json.loads(sys.argv[2])))


if __name__ == "__main__":
    main()
