"""Chairs and the slots that they offer: a fixed grid per chair and clinic-local day."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from uuid import UUID

from services.infusion_scheduling.domain.placement import Slot


@dataclass(frozen=True, slots=True)
class Chair:
    """Where an infusion can be given. `weekdays` are ISO (1 = Monday); times are clinic-local."""

    chair_id: UUID
    name: str
    weekdays: tuple[int, ...]
    opens_at: time
    closes_at: time
    visit_minutes: int

    def slots_on(self, day: date, zone: tzinfo) -> Iterator[Slot]:
        """The chair's slots of one day, in order, free or not."""
        if day.isoweekday() not in self.weekdays:
            return
        visit = timedelta(minutes=self.visit_minutes)
        start = datetime.combine(day, self.opens_at, zone).astimezone(UTC)
        end = datetime.combine(day, self.closes_at, zone).astimezone(UTC)
        while start + visit <= end:
            yield Slot(start, start + visit, self.chair_id)
            start += visit


class FreeSlots:
    """The free slots of some chairs from `first` to `last` that begin after `after`.

    Days are clinic-local in `zone`. A day's slots are made when they are looked at, and kept: a
    search that finds a place soon does not make those of a year and a half.
    """

    def __init__(
        self,
        chairs: Sequence[Chair],
        taken: Iterable[tuple[UUID, datetime]],
        *,
        first: date,
        last: date,
        after: datetime,
        zone: tzinfo,
    ) -> None:
        self._chairs = tuple(chairs)
        self._taken = frozenset(taken)
        self._first = first
        self._last = last
        self._after = after
        self._zone = zone
        self._days: dict[date, tuple[Slot, ...]] = {}

    def from_day(self, day: date) -> Iterator[Slot]:
        """Those on `day` and later, by time and chair."""
        day = max(day, self._first)
        while day <= self._last:
            yield from self._on(day)
            day += timedelta(days=1)

    def last(self) -> Slot | None:
        """The last of all."""
        day = self._last
        while day >= self._first:
            if slots := self._on(day):
                return slots[-1]
            day -= timedelta(days=1)
        return None

    def _on(self, day: date) -> tuple[Slot, ...]:
        found = self._days.get(day)
        if found is None:
            slots = (slot for chair in self._chairs for slot in chair.slots_on(day, self._zone))
            found = self._days[day] = tuple(sorted(filter(self._is_free, slots)))
        return found

    def _is_free(self, slot: Slot) -> bool:
        return slot.starts_at > self._after and (slot.chair_id, slot.starts_at) not in self._taken
