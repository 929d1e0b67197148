"""S4: walking the pages of a growing list returns each old row exactly once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.web.pages import PageRequest, cursor_of, page_of, page_request
from shared.web.problems import Problem


@given(
    rows=st.lists(st.integers(0, 1000), unique=True, max_size=40),
    added=st.lists(st.integers(0, 1000), unique=True, max_size=40),
    limit=st.integers(1, 7),
)
def test_each_old_row_is_seen_once_while_rows_are_added(
    rows: list[int], added: list[int], limit: int
) -> None:
    table, waiting, seen = set(rows), list(added), []
    cursor: str | None = None
    for _ in range(200):
        asked = page_request(limit, cursor)
        after = int(asked.after[0]) if asked.after else -1
        found = sorted(row for row in table if row > after)[: limit + 1]
        page = page_of(found, asked, item=lambda row: row, key=lambda row: (row,))
        seen += page.items
        if waiting:
            table.add(waiting.pop())
        cursor = page.next
        if cursor is None:
            break

    assert cursor is None
    assert [row for row in seen if row in set(rows)] == sorted(rows)
    assert len(seen) == len(set(seen))


def test_a_cursor_brings_back_its_key() -> None:
    request = page_request(5, cursor_of("2027-03-09T08:00:00+00:00", "Ä/1"))

    assert request == PageRequest(5, ("2027-03-09T08:00:00+00:00", "Ä/1"))


@pytest.mark.parametrize("cursor", ["x", "!!!!", "W10", "eyJhIjoxfQ", "WzFd", "bnVsbA"])
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(Problem, match="cursor-malformed"):
        page_request(5, cursor)
