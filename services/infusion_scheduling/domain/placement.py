"""Places the infusions of one series into open plan intervals, free chairs and usable doses.

Standard treatment is an input that never moves (COORD-001): an infusion that finds no place is
reported as impossible, with the rules that bind.

The search is exact although it only looks forward: an infusion has a lower bound that rises with
its predecessor's day and no other tie to it, so the earliest feasible slot of each infusion leaves
every later one at least as much room as any other choice (tested against brute force).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Protocol
from uuid import UUID

from services.infusion_scheduling.domain.availability import Availability
from services.infusion_scheduling.domain.schedule import ScheduleTemplate


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A chair at a time. Slots sort by time, then chair."""

    starts_at: datetime
    ends_at: datetime
    chair_id: UUID


class Slots(Protocol):
    """Free slots."""

    def from_day(self, day: date) -> Iterator[Slot]:
        """Those on the clinic-local `day` and later, by time and chair."""
        ...

    def last(self) -> Slot | None:
        """The last of all."""
        ...


@dataclass(frozen=True, slots=True)
class DoseWindow:
    """When a dose can be used: from its release (or forecast) until its clock runs out."""

    dose_id: UUID
    usable_from: datetime
    usable_until: datetime

    def covers(self, slot: Slot) -> bool:
        """Whether the dose is usable during the whole slot."""
        return self.usable_from <= slot.starts_at and slot.ends_at <= self.usable_until


@dataclass(frozen=True, slots=True)
class Placed:
    """An infusion with its place."""

    number: int
    slot: Slot
    dose_id: UUID | None


@dataclass(frozen=True, slots=True)
class Impossible:
    """An infusion without a place before the horizon, and what stood in the way."""

    number: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """The result for the whole series, in the order of numbers."""

    placed: tuple[Placed, ...]
    impossible: tuple[Impossible, ...]

    @property
    def complete(self) -> bool:
        """Whether every infusion has a place."""
        return not self.impossible


@dataclass(frozen=True, slots=True)
class SeriesRequest:
    """What is to be placed.

    `first_number` is the first infusion without a fixed place; `previous_on` the clinic-local day
    of its predecessor (None for the first of the course); `not_before` the earliest day at all;
    `doses` the dose of each number where one is bound.
    """

    template: ScheduleTemplate
    first_number: int
    previous_on: date | None
    not_before: date
    doses: Mapping[int, DoseWindow]


def place_series(
    request: SeriesRequest,
    availability: Availability,
    free_slots: Slots,
    zone: tzinfo,
) -> Placement:
    """The earliest place of each infusion from `first_number` on.

    Days are clinic-local in `zone`. After an impossible infusion the
    later ones are impossible too: the order of a series is kept.
    """
    placed: list[Placed] = []
    previous_on = request.previous_on
    for number in range(request.first_number, request.template.count + 1):
        earliest = _earliest_day(request, number, previous_on)
        search = _Search(earliest, availability, free_slots, zone)
        slot = search.first_fit(request.doses.get(number))
        if slot is None:
            reasons = search.why_not(request.doses.get(number))
            return Placement(tuple(placed), _rest_impossible(request, number, reasons))
        dose = request.doses.get(number)
        placed.append(Placed(number, slot, dose.dose_id if dose else None))
        previous_on = slot.starts_at.astimezone(zone).date()
    return Placement(tuple(placed), ())


def _earliest_day(request: SeriesRequest, number: int, previous_on: date | None) -> date:
    if previous_on is None:
        return request.not_before
    return max(request.not_before, request.template.earliest_after(number, previous_on))


@dataclass(frozen=True, slots=True)
class _Search:
    """The search for one infusion's place, on the clinic-local day `earliest` or later.

    Only slots in open parts are looked at: a case that is closed for long costs next to nothing,
    and it is searched for in the transaction of the hold that closed it.
    """

    earliest: date
    availability: Availability
    slots: Slots
    zone: tzinfo

    def first_fit(self, dose: DoseWindow | None) -> Slot | None:
        """The earliest slot during all of which planning is open and the dose usable."""
        for part in self.availability.open_parts():
            for slot in self._between(part.starts_at, part.ends_at):
                is_usable = dose is None or dose.covers(slot)
                if is_usable and self.availability.can_plan(slot.starts_at, slot.ends_at):
                    return slot
        return None

    def why_not(self, dose: DoseWindow | None) -> tuple[str, ...]:
        """What stands in the way where nothing fits."""
        first, last = next(self.slots.from_day(self.earliest), None), self.slots.last()
        if first is None or last is None:
            return ("no-free-chair",)
        reasons = set(self.availability.closing_rules(first.starts_at, last.ends_at))
        if dose is not None and not self._is_ever_usable(dose):
            reasons.add("dose-not-usable")
        elif dose is not None and self.first_fit(None) is not None:
            reasons.add("dose-expires-first")
        end = self.availability.ends_at
        if end is None or last.starts_at > end:
            reasons.add("timeline-ends")
        return tuple(sorted(reasons))

    def _is_ever_usable(self, dose: DoseWindow) -> bool:
        return any(map(dose.covers, self._between(dose.usable_from, dose.usable_until)))

    def _between(self, since: datetime, until: datetime) -> Iterator[Slot]:
        """The slots that begin in `[since, until)`."""
        day = max(self.earliest, since.astimezone(self.zone).date())
        for slot in self.slots.from_day(day):
            if slot.starts_at >= until:
                return
            if slot.starts_at >= since:
                yield slot


def _rest_impossible(
    request: SeriesRequest, number: int, reasons: tuple[str, ...]
) -> tuple[Impossible, ...]:
    first = Impossible(number, reasons)
    later = range(number + 1, request.template.count + 1)
    return (first, *(Impossible(n, ("follows-impossible",)) for n in later))
