"""The repository as these tests look at it: committed files, and Python modules as syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("services", "shared")
#: what import contracts speak of: the product, and the benchmark that stands above it
CONTRACTED = (*PACKAGES, "bench")


@dataclass(frozen=True)
class Module:
    """One Python file, by its path below the root."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.text)

    @property
    def name(self) -> str:
        """The dotted name by which it is imported."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def modules() -> tuple[Module, ...]:
    """All modules of the product."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return tuple(
        Module(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
        for path in sorted(found)
    )


@cache
def committed_files() -> tuple[str, ...]:
    """The paths that git keeps, below the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return tuple(path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file())


def text_files() -> Iterator[tuple[str, str]]:
    """Every committed file that is text, as (path, content)."""
    for path in committed_files():
        try:
            yield path, (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
