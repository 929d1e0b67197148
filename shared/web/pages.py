"""Lists in pages: a cursor names the last row seen, so rows added meanwhile shift nothing.

A list is ordered by a key that never changes and is unique (usually time-ordered id), and its
statement asks for rows after the cursor's key. Walking all pages returns each old row exactly once.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel

from shared.web.problems import Problem

PAGE_SIZE: Final = 50
PAGE_SIZE_MAX: Final = 200
CURSOR_LENGTH_MAX: Final = 500

T = TypeVar("T")
R = TypeVar("R")


class Page(BaseModel, Generic[T]):
    """One page, in the list's order. `next`: the cursor of the following page, null at the end."""

    items: list[T]
    next: str | None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for: at most `limit` rows after the row whose key is `after`."""

    limit: int
    after: tuple[str, ...] | None


def page_request(
    limit: Annotated[int, Query(ge=1, le=PAGE_SIZE_MAX)] = PAGE_SIZE,
    cursor: Annotated[str | None, Query(max_length=CURSOR_LENGTH_MAX)] = None,
) -> PageRequest:
    """A dependency: the page asked for. Raises `Problem` 400 for a cursor that is none of ours."""
    return PageRequest(limit, None if cursor is None else _decoded(cursor))


Paged = Annotated[PageRequest, Depends(page_request)]


def cursor_of(*key: object) -> str:
    """The opaque cursor of a row."""
    text = json.dumps([str(part) for part in key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def page_of(
    rows: Sequence[R],
    request: PageRequest,
    *,
    item: Callable[[R], T],
    key: Callable[[R], Sequence[object]],
) -> Page[T]:
    """The page made of `rows`, of which the caller has fetched up to `limit + 1`.

    The row too many only tells that there is a next page.
    """
    shown = rows[: request.limit]
    more = len(rows) > request.limit
    following = cursor_of(*key(shown[-1])) if more and shown else None
    return Page(items=[item(row) for row in shown], next=following)


def _decoded(cursor: str) -> tuple[str, ...]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise _bad_cursor() from error
    if not (isinstance(parts, list) and parts and all(isinstance(p, str) for p in parts)):
        raise _bad_cursor()
    return tuple(parts)


def _bad_cursor() -> Problem:
    return Problem(400, "cursor-malformed", "Use the cursor from the last page as it is.")
