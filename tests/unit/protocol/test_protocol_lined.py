"""Reading rulebooks value by value: each wrong type is refused with its line."""

from collections.abc import Callable
from enum import StrEnum
from fractions import Fraction
from typing import Any

import pytest

from shared.protocol.lined import Row, RulebookError, read_yaml


class Colour(StrEnum):
    RED = "red"


TEXT = """
a:
  number: 1.5
  ratio: 5/9
  whole: 3
  flag: true
  text: red
  day: 2027-01-02
  texts: [x, y]
  rows: [{id: one}]
  nothing: null
"""


@pytest.fixture
def row() -> Row:
    return read_yaml(TEXT, "book.yaml").row("a")


def test_values_are_read_as_their_types(row: Row) -> None:
    assert row.number("number") == Fraction(3, 2)
    assert row.number("ratio") == Fraction(5, 9)
    assert row.whole("whole") == 3
    assert row.flag("flag") is True
    assert row.word("text", Colour) is Colour.RED
    assert row.text("day") == "2027-01-02"
    assert row.texts("texts") == ("x", "y")
    assert [r.text("id") for r in row.rows("rows")] == ["one"]
    assert row.number_or_none("nothing") is None
    assert row.whole_or_none("nothing") is None
    assert row.row_or_none("nothing") is None
    assert row.texts("nothing") == ()
    assert row.text_or("nothing", "default") == "default"
    row.done()


WRONG: list[tuple[str, Callable[[Row], Any]]] = [
    ("text", lambda row: row.number("text")),
    ("flag", lambda row: row.number("flag")),
    ("number", lambda row: row.whole("number")),
    ("whole", lambda row: row.flag("whole")),
    ("whole", lambda row: row.text("whole")),
    ("whole", lambda row: row.texts("whole")),
    ("texts", lambda row: row.word("day", Colour)),
    ("texts", lambda row: row.row("texts")),
    ("whole", lambda row: list(row.rows("whole"))),
    ("nothing", lambda row: row.need("nothing")),
    ("x", lambda row: row.exact("1/0", "x")),
]


@pytest.mark.parametrize(("key", "read"), WRONG)
def test_a_wrong_type_is_refused_with_its_line(
    row: Row, key: str, read: Callable[[Row], Any]
) -> None:
    with pytest.raises(RulebookError) as refused:
        read(row)

    assert str(refused.value).startswith("book.yaml:3:")


def test_a_key_that_nothing_reads_is_refused(row: Row) -> None:
    with pytest.raises(RulebookError, match="unknown key number"):
        row.done()


def test_a_document_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(RulebookError, match=r"book\.yaml:1"):
        read_yaml("- 1", "book.yaml")
