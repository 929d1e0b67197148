"""Import directions are as declared in pyproject.toml, and each contract is seen to bite.

The contracts run on a copy of the tree, into which one violation per contract is planted.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.tree import CONTRACTED, ROOT

CONTRACTS = tuple(
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
)


@dataclass(frozen=True)
class Planted:
    """A line that breaks a contract, added to (or alone in) a file."""

    contract: str
    file: str
    line: str


BELOW_THE_BENCHMARK = "shared never imports a service, and neither imports the benchmark"
VIOLATIONS = (
    Planted(
        BELOW_THE_BENCHMARK,
        "shared/contracts/event.py",
        "import services.intake.domain",
    ),
    Planted(BELOW_THE_BENCHMARK, "services/intake/domain/__init__.py", "import bench.figures"),
    Planted(
        "services meet only through events",
        "services/notification/domain/__init__.py",
        "import services.intake.domain",
    ),
    Planted(
        "imports point inward",
        "services/intake/domain/__init__.py",
        "import services.intake.application",
    ),
    Planted(
        "imports point inward",
        "services/manufacturing/application/__init__.py",
        "import services.manufacturing.adapters",
    ),
    Planted(
        "imports point inward",
        "services/intake/utils.py",
        '"""A drawer for everything."""',
    ),
    Planted(
        "decisions do no I/O", "services/infusion_scheduling/domain/__init__.py", "import httpx"
    ),
    Planted("decisions do no I/O", "shared/protocol/__init__.py", "import asyncpg"),
    Planted("decisions do no I/O", "shared/contracts/event.py", "import shared.persistence"),
    Planted("shared is layered", "shared/ports.py", "import shared.contracts"),
    Planted("shared is layered", "shared/messaging/wire.py", "import shared.permits"),
    Planted("shared is layered", "shared/audit/chain.py", "import shared.messaging"),
    Planted("shared is layered", "shared/auth/principal.py", "import shared.web"),
    Planted("shared is layered", "shared/helpers.py", '"""A drawer for everything."""'),
    Planted(
        "the console reads events and calls interfaces",
        "services/console/cli.py",
        "import services.manufacturing.domain",
    ),
    Planted(
        "the console reads events and calls interfaces",
        "services/console/__init__.py",
        "import services.intake.application",
    ),
)


def lint(tree: Path) -> str:
    """What import-linter says of a tree; the last line counts kept and broken contracts."""
    finished = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.stdout + finished.stderr


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", tree)
    for package in CONTRACTED:
        shutil.copytree(
            ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tree


@pytest.fixture
def planted(copied: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    violation: Planted = request.param
    file = copied / violation.file
    before = file.read_text(encoding="utf-8") if file.exists() else None
    file.write_text((before or "") + f"\n{violation.line}\n", encoding="utf-8")
    yield copied
    if before is None:
        file.unlink()
    else:
        file.write_text(before, encoding="utf-8")


def test_all_contracts_are_kept(copied: Path) -> None:
    said = lint(copied)

    assert f"{len(CONTRACTS)} kept, 0 broken" in said, said


@pytest.mark.parametrize(
    ("planted", "violation"),
    [(v, v) for v in VIOLATIONS],
    indirect=["planted"],
    ids=[f"{v.contract}: {v.file}" for v in VIOLATIONS],
)
def test_a_planted_violation_is_reported(planted: Path, violation: Planted) -> None:
    said = lint(planted)

    assert "0 broken" not in said
    assert violation.contract in said


def test_every_contract_has_a_planted_violation() -> None:
    assert {violation.contract for violation in VIOLATIONS} == set(CONTRACTS)
