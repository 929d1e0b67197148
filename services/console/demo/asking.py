"""Asks the stores the questions of `queries.sql`, by psql, in sessions that cannot write.

Invariant: nothing here can change a store: every session is read-only for the server.
"""

import asyncio
import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

#: the server refuses every writing statement of such a session
READ_ONLY: Final = "-c default_transaction_read_only=on"
_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_SECONDS_MAX: Final = 20.0


class QuestionFailedError(RuntimeError):
    """psql did not answer; the text is its complaint."""


def questions() -> Mapping[str, str]:
    """The SQL of each question by name, with its comment."""
    text = (resources.files("services.console.demo") / "queries.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}


def sql_of(question: str) -> str:
    """The question without its comment."""
    lines = questions()[question].splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


async def answer(psql: Sequence[str], question: str, **variables: str) -> Any:  # noqa: ANN401
    """The answer to a question, one JSON value (numbers are JSON too).

    `psql` is the command with the database's address.
    """
    given = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
    process = await asyncio.create_subprocess_exec(
        *psql, "-X", "-A", "-t", "-q", *given, "-v", "ON_ERROR_STOP=1",
        env={**os.environ, "PGOPTIONS": READ_ONLY},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_SECONDS_MAX):
            out, complaint = await process.communicate((sql_of(question) + ";\n").encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise QuestionFailedError(complaint.decode().strip())
    return json.loads(out.decode().strip() or "null")
