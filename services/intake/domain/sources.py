"""Sources of evidence at this installation: who sends, how fresh it is, what silence means. Pure.

Invariant: a watermark says by itself when it becomes silence, so that a press before the timer has
run and the timer come to the same decision. Recorded silences have ids of their own: one source may
fall silent twice after the same word (its limit was changed), and the second must count.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.protocol import Fact, Protocol
from shared.protocol.facts import Silence
from shared.protocol.rules.feeds import silent_from

#: name=feed@site; without a feed the name is the feed's, without a site it serves all of them
_ENTRY: Final = re.compile(
    r"(?P<name>[a-z][a-z0-9_-]{0,39})(=(?P<feed>[a-z_]+))?(@(?P<site>[\w.-]{1,60}))?"
)
BEGUN: Final = 1
ENDED: Final = 2


@dataclass(frozen=True, slots=True)
class Configured:
    """A source that this installation expects to hear. No `site`: it serves every site."""

    name: str
    feed: str
    site: str | None


@dataclass(frozen=True, slots=True)
class Watermark:
    """When a source was last heard; None: never since it was configured."""

    name: str
    feed: str
    site: str | None
    configured_at: datetime
    heard_at: datetime | None

    @property
    def statement(self) -> Silence:
        """Nothing was heard since: a silence, or what becomes one at its limit."""
        since = self.heard_at or self.configured_at
        return Silence(
            id=f"watermark/{self.name}/{since.isoformat()}",
            version=BEGUN,
            effective=since,
            source=self.name,
            feed=self.feed,
            heard_at=self.heard_at,
        )


@dataclass(frozen=True, slots=True)
class SourceSilence:
    """A silence that was noticed. Cases are told of its beginning, and later of its end."""

    silence_id: str
    name: str
    feed: str
    site: str | None
    effective: datetime
    heard_at: datetime | None
    ended_at: datetime | None

    @property
    def statement(self) -> Silence:
        """What a case's record says of it now."""
        return Silence(
            id=self.silence_id,
            version=BEGUN if self.ended_at is None else ENDED,
            effective=self.effective,
            source=self.name,
            feed=self.feed,
            heard_at=self.heard_at,
            heard_again_at=self.ended_at,
        )


def configured_sources(text: str, feeds: Collection[str]) -> tuple[Configured, ...]:
    """The sources of a setting such as `lab=laboratory_feed@north,ordering_feed`.

    Raises ValueError for a malformed entry, a feed that the protocol does not know, a name twice.
    """
    found: dict[str, Configured] = {}
    for entry in (part.strip() for part in text.split(",") if part.strip()):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ValueError(f"{entry!r} is not name=feed@site")
        name, feed = match["name"], match["feed"] or match["name"]
        if feed not in feeds:
            raise ValueError(f"{feed!r} is not a feed of the protocol ({', '.join(feeds)})")
        if name in found:
            raise ValueError(f"{name!r} is named twice")
        found[name] = Configured(name, feed, match["site"])
    return tuple(found.values())


def silent_since(protocol: Protocol, watermark: Watermark, now: datetime) -> datetime | None:
    """From when on what the source supplies is unknown; None while it is heard."""
    if watermark.heard_at is None:
        return watermark.configured_at
    begins = silent_from(protocol, watermark.statement)
    return begins if begins is not None and begins <= now else None


def with_watermarks(facts: Sequence[Fact], watermarks: Sequence[Watermark]) -> tuple[Fact, ...]:
    """The facts with what is known of the sources at this moment.

    A source whose silence the record still counts as open is left at that: the record is behind
    by a moment, and shut.
    """
    return (*facts, *added_watermarks(facts, watermarks))


def added_watermarks(facts: Sequence[Fact], watermarks: Sequence[Watermark]) -> tuple[Silence, ...]:
    """What the watermarks say beyond the record."""
    told = [fact for fact in facts if isinstance(fact, Silence)]
    ended = {fact.id for fact in told if fact.heard_again_at is not None}
    quiet = {fact.source for fact in told if fact.id not in ended}
    return tuple(mark.statement for mark in watermarks if mark.name not in quiet)
