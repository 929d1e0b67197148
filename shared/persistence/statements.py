"""Named SQL: each statement lives in a `queries.sql`, with a name and a comment.

The name is also the seam for the simulation: a store double implements statements by name, so one
awaited call is one SQL statement there too.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with positional parameters ($1, $2, …)."""

    name: str
    sql: str


class Statements(Mapping[str, Statement]):
    """The statements of one file, by name."""

    def __init__(self, statements: Mapping[str, Statement]) -> None:
        self._statements = dict(statements)

    def __getitem__(self, name: str) -> Statement:
        return self._statements[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._statements)

    def __len__(self) -> int:
        return len(self._statements)


def parse_statements(text: str) -> Statements:
    """The statements of a queries.sql text.

    Each begins with a line `-- name: snake_case` and ends before the next one. Raises ValueError
    for a repeated name or a statement without SQL.
    """
    marks = list(_NAME.finditer(text))
    found: dict[str, Statement] = {}
    for index, mark in enumerate(marks):
        end = marks[index + 1].start() if index + 1 < len(marks) else len(text)
        name, sql = mark["name"], text[mark.end() : end].strip()
        if name in found:
            raise ValueError(f"statement {name} is declared twice")
        if not any(line.strip() and not line.startswith("--") for line in sql.splitlines()):
            raise ValueError(f"statement {name} has no SQL")
        found[name] = Statement(name, sql)
    return Statements(found)


def load_statements(package: str, file: str = "queries.sql") -> Statements:
    """The statements in a file that ships with `package`."""
    return parse_statements(files(package).joinpath(file).read_text(encoding="utf-8"))
