"""What the programs print: prefixed for people, kept in bounded files for later.

Invariant: a line is never mixed with another program's, and no file grows without bound.
"""

import logging
import sys
import zlib
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

Sink = Callable[[str, str], None]
"""Takes a program's name and one line of its output, without the line end."""

# As wide as the longest name of a service.
NAME_WIDTH = 19
# Kafka and PostgreSQL are quiet at these levels; this holds weeks of them.
LOG_BYTES_MAX = 5_000_000
LOG_FILES_KEPT = 2
# Readable on dark and light backgrounds.
_COLOURS = (36, 32, 33, 35, 34, 96, 92, 95)


def discard(name: str, line: str) -> None:
    """Forgets the line."""


def console(stream: TextIO = sys.stdout, *, colour: bool | None = None) -> Sink:
    """Writes `name | line`, the name coloured when a person looks on (or as told)."""
    painted = stream.isatty() if colour is None else colour

    def write(name: str, line: str) -> None:
        prefix = f"{name:<{NAME_WIDTH}} |"
        if painted:
            shade = _COLOURS[zlib.crc32(name.encode()) % len(_COLOURS)]
            prefix = f"\x1b[{shade}m{prefix}\x1b[0m"
        stream.write(f"{prefix} {line}\n")
        stream.flush()

    return write


class LogFiles:
    """Keeps each program's lines in `<directory>/<name>.log`; close it when done."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[str, RotatingFileHandler] = {}

    def __call__(self, name: str, line: str) -> None:
        """Appends the line to the program's file."""
        record = logging.LogRecord(name, logging.INFO, "", 0, line, None, None)
        self._file(name).emit(record)

    def _file(self, name: str) -> RotatingFileHandler:
        if name not in self._open:
            self._directory.mkdir(parents=True, exist_ok=True)
            handler = RotatingFileHandler(
                self._directory / f"{name}.log",
                maxBytes=LOG_BYTES_MAX,
                backupCount=LOG_FILES_KEPT,
                encoding="utf-8",
            )
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            self._open[name] = handler
        return self._open[name]

    def close(self) -> None:
        """Closes the files; a later line opens its own again."""
        while self._open:
            self._open.popitem()[1].close()


def tee(*sinks: Sink) -> Sink:
    """Gives each line to all of them, in order."""

    def write(name: str, line: str) -> None:
        for sink in sinks:
            sink(name, line)

    return write
