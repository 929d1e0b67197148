"""The generated part of docs/performance.md: the table of the last full run, between two marks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.report import table

BEGIN: Final = "<!-- table: begin (written by `make bench ARGS=--write-docs`) -->"
END: Final = "<!-- table: end -->"


def written(text: str, report: Mapping[str, Any]) -> str:
    """The text with the table of this report between the marks. Raises ValueError without marks."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError("the document needs both marks, once each")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    machine = report["machine"]
    size = (
        f"Commit {report['commit']}, {report['at'][:10]}: {machine['cores']} cores, "
        f"{machine['memory_gb']} GB of memory, Python {machine['python']}."
    )
    return f"{head}{BEGIN}\n{size}\n\n{table(report)}\n{END}{tail}"


def write(path: Path, report: Mapping[str, Any]) -> None:
    """Puts the table into the document."""
    path.write_text(written(path.read_text(encoding="utf-8"), report), encoding="utf-8")
