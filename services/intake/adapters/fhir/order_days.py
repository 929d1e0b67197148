"""When a drug is taken: the days of an order, of a patient's statement, of an administration.

Invariant: a day is never dropped for want of precision; where an end is not known, the last day
that it can have counts, and an order that was stopped or completed is not ongoing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.intake.adapters.fhir.access import Json, Rejected, codes, mapping, mappings
from services.intake.adapters.fhir.context import Context, Span
from services.intake.adapters.fhir.dosage import (
    amount_mg,
    bounds,
    daily_mg,
    length_of,
    plain,
    scheduled_doses,
)
from services.intake.adapters.fhir.entries import Entry
from services.intake.adapters.fhir.moments import Moment, Precision
from services.intake.adapters.fhir.reading import Reason
from services.intake.adapters.fhir.terminology import DrugMatch

_ENDED = frozenset({"completed", "stopped", "ended"})


@dataclass(frozen=True, slots=True)
class Timing:
    """The days of one resource; ``is_open``: taken until further notice."""

    doses: list[dict[str, Any]]
    start: Moment
    is_open: bool


def dosages_of(resource: Json) -> tuple[list[Json], str]:
    """Return the dosages and the pointer of their element."""
    for element in ("dosageInstruction", "dosage"):
        if resource.get(element) is not None:
            return mappings(resource[element]), f"/{element}"
    return [], "/dosageInstruction"


def administered(resource: Json, drug: DrugMatch | None, context: Context) -> Timing:
    """Return the day or days of one administration."""
    span = context.span(resource, "effective", "effectiveTime")
    if span is None:
        raise Rejected(Reason.MISSING, "no time of administration", "/effectiveDateTime")
    dosage = mapping(resource.get("dosage"))
    amount = amount_mg(dosage, drug.mg_per_unit if drug else None)
    mg = {"mg": plain(amount)} if amount is not None else {}
    running = "in-progress" in codes(resource.get("status"))
    if running:
        return Timing([{"from": span.start.written}], span.start, is_open=True)
    if span.end is not None and span.end.last_day > span.start.first_day:
        days = {"from": span.start.written, "to": span.end.written_latest}
        return Timing([days], span.start, is_open=False)
    return Timing([{"day": span.start.written_latest, **mg}], span.start, is_open=False)


def ordered(entry: Entry, drug: DrugMatch | None, context: Context) -> Timing:
    """Return the days of an order or of a patient's own statement."""
    resource = entry.resource
    written = context.at(resource, "authoredOn") or context.at(resource, "dateWritten")
    ended = bool(codes(resource.get("status")) & _ENDED)
    span = context.span(resource, "effective") if entry.type == "MedicationStatement" else None
    asserted = context.at(resource, "dateAsserted")
    start = (span.start if span else None) or written or asserted
    if start is None:
        raise Rejected(Reason.MISSING, "no date of the order", "/authoredOn")
    strength = drug.mg_per_unit if drug else None
    dosages, pointer = dosages_of(resource)
    single = scheduled_doses(dosages, pointer, strength)
    if single:
        return Timing(single, start, is_open=False)
    end = (span.end if span else None) or context.at(resource, "dateEnded")
    if ended and end is None and span is not None and span.is_period:
        end = context.over_by(resource, "dateAsserted")
    steps = _steps(dosages, pointer, strength, start, _Ends(span, end, ended))
    return Timing(steps, start, is_open=any("day" not in s and "to" not in s for s in steps))


@dataclass(frozen=True, slots=True)
class _Ends:
    """What the resource itself says of its span, before its dosages are looked at."""

    span: Span | None
    end: Moment | None
    ended: bool


def _steps(
    dosages: Sequence[Json], pointer: str, strength: float | None, start: Moment, own: _Ends
) -> list[dict[str, Any]]:
    bounded = [
        (*_bounds(dosage, f"{pointer}/{index}", start), dosage)
        for index, dosage in enumerate(dosages)
    ]
    if len({(first, last) for first, last, _ in bounded if first or last}) > 1:
        return [_step(f or start, t, own.ended, daily_mg([d], strength)) for f, t, d in bounded]
    first, last = next(((f, t) for f, t, _ in bounded if f or t), (None, None))
    begin = own.span.start if own.span else _earlier(first, start)
    end = own.end or last
    return [_step(begin, end, own.ended, daily_mg(dosages, strength), only=start)]


def _bounds(dosage: Json, pointer: str, start: Moment) -> tuple[Moment | None, Moment | None]:
    first, last = bounds(dosage, pointer)
    length = length_of(dosage)
    if last is None and length is not None:
        day = (first or start).first_day + length - timedelta(days=1)
        last = Moment(day, day, Precision.DAY)
    return first, last


def _earlier(first: Moment | None, start: Moment) -> Moment:
    return first if first is not None and first.first_day < start.first_day else start


def _step(
    begin: Moment,
    end: Moment | None,
    ended: bool,
    mg_per_day: float | None,
    *,
    only: Moment | None = None,
) -> dict[str, Any]:
    mg = {"mg_per_day": mg_per_day} if mg_per_day is not None else {}
    if end is not None and end.last_day >= begin.first_day:
        return {"from": begin.written, "to": end.written_latest, **mg}
    if ended:
        amount = {"mg": mg_per_day} if mg_per_day is not None else {}
        return {"day": (only or begin).written_latest, **amount}
    return {"from": begin.written, **mg}
