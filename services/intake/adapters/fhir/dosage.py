"""Dosage elements -> days and milligrams.

Invariant: a daily dose is stated only when amount, unit and frequency are all given; anything less
leaves the milligrams out, which the steroid rules read as unknown.
"""

import math
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from services.intake.adapters.fhir.access import Json, codes, mapping, mappings, number, text
from services.intake.adapters.fhir.moments import Moment, moment
from services.intake.adapters.fhir.observation import unit_of

_MG_PER_UNIT = {
    "mg": Decimal(1),
    "g": Decimal(1000),
    "ug": Decimal("0.001"),
    "mcg": Decimal("0.001"),
    "µg": Decimal("0.001"),
}
_COUNTED = frozenset(
    {"", "1", "{tbl}", "{capsule}", "tablet", "tablets", "tab", "capsule", "{unit}"}
)
"""Units that count tablets or capsules; the product's strength turns them into milligrams."""
_HOURS_PER_UNIT = {"h": Decimal(1), "d": Decimal(24), "wk": Decimal(168), "min": Decimal(1) / 60}
_HOURS_PER_DAY = Decimal(24)
_TIMES_PER_DAY = {"qd": 1, "am": 1, "pm": 1, "bed": 1, "bid": 2, "tid": 3, "qid": 4}
_TIMES_PER_DAY |= {"q24h": 1, "q12h": 2, "q8h": 3, "q6h": 4, "q4h": 6}
_EVERY_DAY_MAX_HOURS = Decimal(24)


def amount_mg(dosage: Json, mg_per_unit: float | None) -> Decimal | None:
    """Return the milligrams of one dose, or None when amount or unit are not known."""
    for part in (*mappings(dosage.get("doseAndRate")), dosage):
        given = mapping(part.get("doseQuantity") or part.get("dose") or part.get("quantity"))
        value = number(given.get("value"))
        if value is not None:
            return _to_mg(Decimal(str(value)), (unit_of(given) or "").lower(), mg_per_unit)
    return None


def _to_mg(value: Decimal, unit: str, mg_per_unit: float | None) -> Decimal | None:
    if unit in _MG_PER_UNIT:
        return value * _MG_PER_UNIT[unit]
    if unit in _COUNTED and mg_per_unit is not None:
        return value * Decimal(str(mg_per_unit))
    return None


def times_per_day(dosage: Json) -> Decimal | None:
    """Return how often a day a dose is taken, None when unknown, a range or less than daily."""
    timing = mapping(dosage.get("timing"))
    repeat = mapping(timing.get("repeat"))
    if repeat.get("frequencyMax") is not None or repeat.get("periodMax") is not None:
        return None
    every = _every(repeat)
    if every is not None:
        frequency, hours = every
        return None if hours > _EVERY_DAY_MAX_HOURS else frequency * _HOURS_PER_DAY / hours
    known = [_TIMES_PER_DAY[code] for code in codes(timing.get("code")) if code in _TIMES_PER_DAY]
    return Decimal(known[0]) if known else None


def _as_needed(dosage: Json) -> bool:
    reasons = ("asNeededCodeableConcept", "asNeededFor")
    given = [dosage.get(element) for element in ("asNeededBoolean", "asNeeded")]
    return True in given or any(dosage.get(element) is not None for element in reasons)


def daily_mg(dosages: Sequence[Json], mg_per_unit: float | None) -> float | None:
    """Return the milligrams a day of all ``dosages`` together, None when any is unknown.

    Steps of a taper (different sequence numbers) are no sum: without their dates the dose of a day
    is unknown.
    """
    if not dosages or len({number(dosage.get("sequence")) for dosage in dosages}) > 1:
        return None
    total = Decimal(0)
    for dosage in dosages:
        amount, times = amount_mg(dosage, mg_per_unit), times_per_day(dosage)
        if amount is None or times is None or _as_needed(dosage):
            return None
        total += amount * times
    return plain(total)


def plain(value: Decimal) -> float | int:
    """Return a JSON number, whole where it is whole."""
    return int(value) if value == value.to_integral_value() else float(value)


def bounds(dosage: Json, pointer: str) -> tuple[Moment | None, Moment | None]:
    """Return the first and last moment of one dosage, from boundsPeriod."""
    repeat = mapping(mapping(dosage.get("timing")).get("repeat"))
    period = mapping(repeat.get("boundsPeriod"))
    at = f"{pointer}/timing/repeat/boundsPeriod"
    return moment(period.get("start"), f"{at}/start"), moment(period.get("end"), f"{at}/end")


def length_of(dosage: Json) -> timedelta | None:
    """Return how long one dosage runs, from boundsDuration or from the number of its doses."""
    repeat = mapping(mapping(dosage.get("timing")).get("repeat"))
    duration = mapping(repeat.get("boundsDuration"))
    value = number(duration.get("value"))
    days = {"d": 1, "wk": 7}.get((unit_of(duration) or "").lower())
    if value is not None and days is not None:
        return _days(value * days)
    doses, every = number(repeat.get("countMax")) or number(repeat.get("count")), _every(repeat)
    if not doses or every is None:
        return None
    frequency, hours = every
    # Doses that do not fill their last period still need all of it: the end is late, never early.
    periods = math.ceil(Decimal(str(doses)) / frequency)
    return _days(math.ceil(periods * hours / _HOURS_PER_DAY))


def _days(amount: float) -> timedelta | None:
    return timedelta(days=amount) if 0 < amount < timedelta.max.days // 1000 else None


def _every(repeat: Json) -> tuple[Decimal, Decimal] | None:
    """Return (times, per hours), None when either is unknown or a range."""
    frequency, period = number(repeat.get("frequency")), number(repeat.get("period"))
    unit = repeat.get("periodUnit") or repeat.get("periodUnits")  # the older name
    hours = _HOURS_PER_UNIT.get(text(unit) or "")
    if not frequency or not period or not hours or frequency < 0 or period < 0:
        return None
    return Decimal(str(frequency)), Decimal(str(period)) * hours


def events(dosage: Json, pointer: str) -> list[Moment]:
    """Return the single times of a dosage (timing.event)."""
    given = mapping(dosage.get("timing")).get("event")
    found = []
    for index, event in enumerate(given if isinstance(given, list) else []):
        read = moment(event, f"{pointer}/timing/event/{index}")
        if read is not None:
            found.append(read)
    return found


def scheduled_doses(dosages: Sequence[Json], pointer: str, mg_per_unit: float | None) -> list[Any]:
    """Return doses on single days, where the dosages name them."""
    found: list[dict[str, Any]] = []
    for index, dosage in enumerate(dosages):
        amount = amount_mg(dosage, mg_per_unit)
        for event in events(dosage, f"{pointer}/{index}"):
            dose = {"day": event.written_latest}
            found.append(dose | ({"mg": plain(amount)} if amount is not None else {}))
    return found
