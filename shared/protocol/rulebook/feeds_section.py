"""Reads the feeds section: which sources of evidence there can be, and how long each may be silent.

Invariant: what a feed supplies is an item of the rulebook or a kind of statement, and no feed is
described twice.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.protocol.lined import Row
from shared.protocol.rulebook.heads import Heads, gates, roles
from shared.protocol.rulebook.rows import Rule
from shared.protocol.statement_fields import KIND_FIELDS


@dataclass(frozen=True, slots=True)
class FeedRule:
    """A feed: silent `silent_after_hours` after it was last heard, it supplies nothing known."""

    rule: Rule
    feed: str
    silent_after_hours: int
    supplies: tuple[str, ...]
    owner: str


def read_feeds(top: Row, heads: Heads) -> Mapping[str, FeedRule]:
    """Return the feeds by name, in the order of the file."""
    found: dict[str, FeedRule] = {}
    for row in top.rows("feeds"):
        read = _feed(row, heads)
        if read.feed in found:
            raise row.bad(f"feed {read.feed!r} is described twice")
        found[read.feed] = read
    return MappingProxyType(found)


def _feed(row: Row, heads: Heads) -> FeedRule:
    read = FeedRule(
        rule=heads.read(row, scope=gates(row, "scope")),
        feed=row.text("feed"),
        silent_after_hours=row.whole("silent_after_h"),
        supplies=row.texts("supplies"),
        owner=roles(row, "owner")[0],
    )
    row.done()
    return read


def unknown_supplies(
    feeds: Mapping[str, FeedRule], items: Collection[str]
) -> tuple[tuple[int, str], ...]:
    """Return what feeds are said to supply and nothing asks for, with the line."""
    return tuple(
        (feed.rule.line, f"{feed.rule.id}: {name!r} is neither an item nor a kind of statement")
        for feed in feeds.values()
        for name in feed.supplies
        if name not in items and name not in KIND_FIELDS
    )
