"""When a source counts as silent: the dead-man's rule. Pure, on machine time."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from shared.contracts.vocabulary import Service

#: heartbeats come every 2 s; seven missing ones are no hiccup (design: "stream broken" after 15 s)
SILENT_AFTER: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class StreamState:
    """What is known of one source. `broken_since` None: it is heard."""

    source: Service
    last_seen_at: datetime
    broken_since: datetime | None


def judge(
    state: StreamState, heard_at: datetime | None, *, watching_since: datetime, now: datetime
) -> tuple[StreamState, Literal["broken", "restored"] | None]:
    """The new state of a source, and what changed.

    A source is not called silent before this process has listened for as long itself; one that is
    called silent is restored only by a heartbeat, not by a restart of the listener.
    """
    seen = state if heard_at is None else replace(
        state, last_seen_at=max(state.last_seen_at, heard_at)
    )  # fmt: skip
    silent = now - max(seen.last_seen_at, watching_since) >= SILENT_AFTER
    if state.broken_since is None and silent:
        return replace(seen, broken_since=seen.last_seen_at), "broken"
    fresh = now - seen.last_seen_at < SILENT_AFTER
    if state.broken_since is not None and fresh:
        return replace(seen, broken_since=None), "restored"
    return seen, None
