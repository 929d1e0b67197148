"""The days of the story, counted from the last treatment in the main bundle.

They are the clinic's plan, written down as a coordinator would; what is allowed on them is decided
by the protocol alone, and a day that does not fit would be refused.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, Final

#: resources that say that a treatment was given
_GIVEN: Final = ("MedicationAdministration", "Procedure")
#: chemotherapy is given on three days in a row, every four weeks, as in the bundle
CYCLE_DAYS: Final = 3
CYCLE_EVERY_DAYS: Final = 28
CYCLES_PLANNED: Final = 4


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days in the clinic's zone."""

    last_treatment: date
    zone: tzinfo

    @property
    def referral(self) -> date:
        """The day after the last treatment: the story begins."""
        return self.last_treatment + timedelta(days=1)

    @property
    def collection(self) -> date:
        """A fortnight after the last treatment, before the next cycle."""
        return self.last_treatment + timedelta(days=14)

    @property
    def cycles(self) -> tuple[tuple[date, ...], ...]:
        """The planned chemotherapy: the days of each cycle."""
        first = self.last_treatment - timedelta(days=CYCLE_DAYS - 1 - CYCLE_EVERY_DAYS)
        starts = (first + timedelta(days=CYCLE_EVERY_DAYS * n) for n in range(CYCLES_PLANNED))
        return tuple(tuple(s + timedelta(days=n) for n in range(CYCLE_DAYS)) for s in starts)

    @property
    def harvest(self) -> date:
        """Within the harvest window of the culture."""
        return self.collection + timedelta(days=19)

    @property
    def release(self) -> date:
        """When the rapid tests are back."""
        return self.harvest + timedelta(days=2)

    @property
    def first_infusion(self) -> date:
        """The earliest day that is asked for."""
        return self.collection + timedelta(days=22)

    def at(self, day: date, hour: int, minute: int = 0) -> datetime:
        """A time of day in the clinic."""
        return datetime.combine(day, time(hour, minute), self.zone)


def last_treatment(bundle: bytes, zone: tzinfo) -> date:
    """The clinic-local day of the last treatment that a bundle reports as given."""
    resources = (entry["resource"] for entry in json.loads(bundle)["entry"])
    return max(moment.astimezone(zone).date() for r in resources for moment in _treated(r))


def _treated(resource: dict[str, Any]) -> Iterator[datetime]:
    if resource["resourceType"] not in _GIVEN or resource.get("status") != "completed":
        return
    period = resource.get("effectivePeriod") or resource.get("performedPeriod") or {}
    for text in (resource.get("effectiveDateTime"), period.get("start")):
        if text:
            yield datetime.fromisoformat(text)
