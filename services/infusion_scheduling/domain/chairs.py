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


def free_slots(
    chairs: Sequence[Chair],
    taken: Iterable[tuple[UUID, datetime]],
    *,
    first: date,
    last: date,
    after: datetime,
    zone: tzinfo,
) -> list[Slot]:
    """The free slots from `first` to `last` that begin after `after`, sorted by time and chair."""
    spoken_for = frozenset(taken)
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    found = [
        slot
        for day in days
        for chair in chairs
        for slot in chair.slots_on(day, zone)
        if slot.starts_at > after and (slot.chair_id, slot.starts_at) not in spoken_for
    ]
    return sorted(found)
