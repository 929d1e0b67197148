"""When a gate is open for planning, as intake published it: exact intervals, nothing sampled."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.vocabulary import Verdict


@dataclass(frozen=True, slots=True)
class TimelinePart:
    """`[starts_at, ends_at)` with the verdicts of the gate and the rules that close planning."""

    starts_at: datetime
    ends_at: datetime
    start: Verdict
    plan: Verdict
    rules: tuple[str, ...] = ()


class Availability:
    """The published timeline of one gate. Outside of what was published nothing is open."""

    def __init__(self, parts: Iterable[TimelinePart]) -> None:
        self._parts = tuple(sorted(parts, key=lambda part: part.starts_at))
        self._starts = [part.starts_at for part in self._parts]

    @property
    def ends_at(self) -> datetime | None:
        """Where the published timeline ends, or None when there is none."""
        return self._parts[-1].ends_at if self._parts else None

    def at(self, instant: datetime) -> TimelinePart | None:
        """The part that covers `instant`, or None."""
        index = bisect_right(self._starts, instant) - 1
        if index < 0 or self._parts[index].ends_at <= instant:
            return None
        return self._parts[index]

    def is_open_at(self, instant: datetime) -> bool:
        """Whether `plan` is go at the instant at which an infusion begins.

        It is all that a planned one needs: the gate is asked at its start, and what closes it
        during the visit (the clock of a thawed dose) is no reason against a start in time.
        """
        part = self.at(instant)
        return part is not None and part.plan is Verdict.GO

    def open_parts(self) -> Iterator[TimelinePart]:
        """The parts in which `plan` is go, in order; two may touch."""
        return (part for part in self._parts if part.plan is Verdict.GO)

    def can_plan(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether `plan` is go during all of `[starts_at, ends_at)`."""
        instant = starts_at
        while instant < ends_at:
            part = self.at(instant)
            if part is None or part.plan is not Verdict.GO:
                return False
            instant = part.ends_at
        return True

    def closing_rules(self, starts_at: datetime, ends_at: datetime) -> tuple[str, ...]:
        """The rules that close planning somewhere in `[starts_at, ends_at)`, sorted."""
        closed = (
            part.rules
            for part in self._parts
            if part.plan is not Verdict.GO and part.starts_at < ends_at and starts_at < part.ends_at
        )
        return tuple(sorted({rule for rules in closed for rule in rules}))

    def rules_at(self, instant: datetime) -> tuple[str, ...]:
        """The rules that close planning at the instant, sorted."""
        return self.closing_rules(instant, instant + timedelta.resolution)
