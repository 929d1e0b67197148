"""The page on feeds says what the reader does with the reference messages today."""

from pathlib import Path

import pytest
from hl7_builders import SHARED, read

from services.intake.adapters.hl7v2 import split_messages

PAGE = Path(__file__).resolve().parents[3] / "docs" / "architecture" / "feeds.md"


def row(path: Path) -> str:
    """One line of the table: counts of segments, and why the whole was refused."""
    (message,) = (read(raw) for raw in split_messages(path.read_bytes()))
    counts = message.counts
    why = ", ".join(problem.code for problem in message.problems)
    cells = (path.name, counts["used"], counts["ignored"], counts["rejected"], why)
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


@pytest.mark.realdata
def test_each_reference_message_has_its_row() -> None:
    written = PAGE.read_text(encoding="utf-8").splitlines()

    assert [row(path) for path in sorted(SHARED.glob("*.hl7")) if row(path) not in written] == []


def test_a_row_that_tells_something_else_is_not_on_the_page() -> None:
    own = Path(__file__).resolve().parents[2] / "data" / "hl7v2" / "oru-r01.hl7"

    assert row(own) not in PAGE.read_text(encoding="utf-8").splitlines()
