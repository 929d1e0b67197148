"""What manufacturing reads from the timelines that the authority publishes.

Manufacturing runs no rule engine: it plans against intervals. Invariant: an instant that no
interval covers is unknown, and unknown is not plannable.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.vocabulary import Verdict


@dataclass(frozen=True, slots=True)
class Interval:
    """`[starts_at, ends_at)` with the verdict for planning and the rules behind it."""

    starts_at: datetime
    ends_at: datetime
    plan: Verdict
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The intervals of one gate of one case, in order; possibly none."""

    intervals: tuple[Interval, ...]

    def at(self, instant: datetime) -> Interval | None:
        """The interval that covers the instant, or None when nothing is known of it."""
        return next((i for i in self.intervals if i.starts_at <= instant < i.ends_at), None)

    def plannable_between(self, start: datetime, end: datetime) -> datetime | None:
        """The first instant in `[start, end)` at which the step may be planned, or None."""
        return next(iter(self._openings(start, end)), None)

    def plannable_after(self, start: datetime) -> datetime | None:
        """The first instant from `start` on at which the step may be planned, or None."""
        opening = (i for i in self.intervals if i.plan is Verdict.GO and i.ends_at > start)
        return next((max(i.starts_at, start) for i in opening), None)

    def _openings(self, start: datetime, end: datetime) -> Iterable[datetime]:
        for interval in self.intervals:
            begin = max(interval.starts_at, start)
            if interval.plan is Verdict.GO and begin < min(interval.ends_at, end):
                yield begin
