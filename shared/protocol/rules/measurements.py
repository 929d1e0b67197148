"""Measured values in the rule's unit, and which of them count at a moment.

Invariant: a value whose unit is not in the tables, or that is outside its plausible range, is
unknown and stays visible as such; nothing is converted by guess. Newer specimens supersede older
ones by clinical time, never by arrival; of values that cannot be ordered the worse one counts.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction

from shared.protocol.clinic_time import ClinicTime, Moment, full_years
from shared.protocol.facts import Lab, Measured, Patient, Performance, Stated, Vital
from shared.protocol.record import Record
from shared.protocol.resolution import BEFORE_ALL
from shared.protocol.rulebook.spelling import spelled
from shared.protocol.rulebook.tables import Tables
from shared.protocol.words import FactStatus, Sex

CREATININE, CLEARANCE = "creatinine", "creatinine_clearance"
_DATE_SPAN_MAX = timedelta(days=2)
"""Longer than any local day, with room for a clock change."""
BELOW = frozenset({"<", "<="})
ABOVE = frozenset({">", ">="})


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a metric. `low` and `high` differ for results such as "< 5"; None: open end.

    `is_usable` False: unit, code or size make it unknown. `may_clear` False: it may hold, but not
    clear (preliminary, or not quite what the rule asks). `word`: positive or negative.
    """

    metric: str
    fact: Stated
    day: date
    earliest: datetime
    latest: datetime
    low: Fraction | None = None
    high: Fraction | None = None
    word: bool | None = None
    is_usable: bool = True
    may_clear: bool = True
    shown: str = ""


def values(record: Record, metric: str) -> tuple[Value, ...]:
    """Return the values of a metric, oldest first."""
    table = record.shared.get("values")
    if table is None:
        table = record.shared["values"] = _all_values(record)
    return table.get(metric, ())  # type: ignore[attr-defined, no-any-return]  # written only here


def mentioned(record: Record, metric: str) -> bool:
    """True when anything was stated about the metric, usable or not, even if withdrawn."""
    if values(record, metric):
        return True
    return bool(withdrawn(record, metric))


def withdrawn(record: Record, metric: str) -> tuple[Measured, ...]:
    """Return the measurements of a metric, or those it is computed from, entered in error."""
    tables = record.protocol.tables
    names = (metric, CREATININE) if metric == CLEARANCE else (metric,)
    return tuple(
        fact
        for fact in record.resolved.in_error
        if isinstance(fact, Measured) and _metric(fact, tables) in names
    )


def standing(found: Sequence[Value], at: Moment) -> list[Value]:
    """Return the values measured by `at` that no later final value supersedes, newest first.

    `found` is in the order of `values`, so the search ends once everything left is older than the
    newest final value by more than the day that a date without a time can span.
    """
    count = bisect_right(found, at.instant, key=_earliest)
    standing_now: list[Value] = []
    newest_final: datetime | None = None
    for value in reversed(found[:count]):
        if newest_final is None or value.latest >= newest_final:
            standing_now.append(value)
        elif newest_final - value.earliest > _DATE_SPAN_MAX:
            break
        if value.may_clear and newest_final is None:
            newest_final = value.earliest
    return standing_now


def _earliest(value: Value) -> datetime:
    return value.earliest


def _all_values(record: Record) -> dict[str, tuple[Value, ...]]:
    found: dict[str, list[Value]] = {}
    for value in _read(record):
        found.setdefault(value.metric, []).append(value)
    for value in _clearances(record, found):
        found.setdefault(value.metric, []).append(value)
    return {
        metric: tuple(sorted(members, key=lambda v: (v.earliest, v.latest, v.fact.id)))
        for metric, members in found.items()
    }


def _read(record: Record) -> Iterator[Value]:
    tables, time = record.protocol.tables, record.time
    for fact in (*record.all(Lab), *record.all(Vital)):
        yield _measured(fact, tables, time)
    for status in record.all(Performance):
        if status.ecog is not None:
            yield _exact("ecog", status, Fraction(status.ecog), tables, time)
    for patient in record.all(Patient):
        if patient.weight_kg is not None:
            yield _exact("weight_kg", patient, Fraction(patient.weight_kg), tables, time)


def _metric(fact: Measured, tables: Tables) -> str:
    name = tables.aliases.get(fact.metric, fact.metric)
    name = tables.hold_only.get(name, name)
    return tables.per_uln.get(name, name)


def _times(fact: Stated, time: ClinicTime) -> tuple[date, datetime, datetime]:
    if fact.effective is None:
        # Without a time it is older than anything dated, and too old for every limit of age.
        return date.min, BEFORE_ALL, BEFORE_ALL
    return time.day_of(fact.effective), time.earliest(fact.effective), time.latest(fact.effective)


def _exact(metric: str, fact: Stated, amount: Fraction, tables: Tables, time: ClinicTime) -> Value:
    day, earliest, latest = _times(fact, time)
    return Value(
        metric,
        fact,
        day,
        earliest,
        latest,
        amount,
        amount,
        is_usable=_is_plausible(metric, amount, amount, tables),
        may_clear=fact.status is not FactStatus.PRELIMINARY,
        shown=shown(amount),
    )


def _measured(fact: Measured, tables: Tables, time: ClinicTime) -> Value:
    stated = tables.aliases.get(fact.metric, fact.metric)
    metric = _metric(fact, tables)
    day, earliest, latest = _times(fact, time)
    may_clear = fact.status is not FactStatus.PRELIMINARY and stated not in tables.hold_only
    text = f"{fact.comparator or ''}{fact.value} {fact.unit or ''}".strip()
    if isinstance(fact.value, str):
        word = _word(fact.value, tables)
        return Value(
            metric,
            fact,
            day,
            earliest,
            latest,
            low=Fraction(0) if word is False else None,
            high=Fraction(0) if word is False else None,
            word=word,
            is_usable=word is not None,
            may_clear=may_clear,
            shown=text,
        )
    amount = _converted(stated, fact, tables)
    if amount is None:
        return Value(
            metric, fact, day, earliest, latest, is_usable=False, may_clear=may_clear, shown=text
        )
    low = Fraction(0) if fact.comparator in BELOW else amount
    high = None if fact.comparator in ABOVE else amount
    return Value(
        metric,
        fact,
        day,
        earliest,
        latest,
        low,
        high,
        word=amount > 0 or fact.comparator is not None,
        is_usable=_is_plausible(metric, amount, amount, tables),
        may_clear=may_clear,
        shown=text,
    )


def _word(stated: str, tables: Tables) -> bool | None:
    if stated in tables.positive:
        return True
    return False if stated in tables.negative else None


def _converted(stated: str, fact: Measured, tables: Tables) -> Fraction | None:
    """Return the amount in the rule's unit, or None when the unit is not known."""
    table = tables.units.get(tables.hold_only.get(stated, stated))
    unit = spelled(fact.unit or "1")
    if table is None or unit not in table.factors or isinstance(fact.value, str):
        return None
    amount, factor = Fraction(fact.value), table.factors[unit]
    if unit in table.offsets:
        amount += table.offsets[unit]
    if factor != 1:  # most results come in the rule's unit, and exact arithmetic is slow
        amount *= factor
    if stated not in tables.per_uln:
        return amount
    if not fact.range_high or fact.range_high <= 0:
        return None  # times the upper limit of normal needs that limit
    return amount / (Fraction(fact.range_high) * factor)


def _is_plausible(metric: str, low: Fraction, high: Fraction, tables: Tables) -> bool:
    bounds = tables.plausible.get(metric)
    return bounds is None or bounds[0] <= low <= high <= bounds[1]


def _clearances(record: Record, found: dict[str, list[Value]]) -> Iterator[Value]:
    """Yield a creatinine clearance for each creatinine, where age, sex and weight are known."""
    formula, tables = record.protocol.tables.cockcroft_gault, record.protocol.tables
    person = patient(record)
    for creatinine in found.get(CREATININE, ()):
        weight = _weight_at(found.get("weight_kg", ()), creatinine)
        age = _age_at(person, creatinine.day)
        sex = None if person is None else person.sex
        is_known = creatinine.is_usable and creatinine.high and sex in (Sex.FEMALE, Sex.MALE)
        if not is_known or weight is None or weight.high is None or age is None:
            yield _as_clearance(creatinine, None, tables)
            continue
        factor = formula.female_factor if sex is Sex.FEMALE else Fraction(1)
        years = Fraction(formula.age_from - age)
        assert creatinine.high is not None  # noqa: S101  (is_known)
        amount = years * weight.high * factor / (formula.divisor * creatinine.high)
        yield _as_clearance(creatinine, amount, tables)


def _as_clearance(creatinine: Value, amount: Fraction | None, tables: Tables) -> Value:
    is_usable = amount is not None and _is_plausible(CLEARANCE, amount, amount, tables)
    return Value(
        CLEARANCE,
        creatinine.fact,
        creatinine.day,
        creatinine.earliest,
        creatinine.latest,
        amount,
        amount,
        is_usable=is_usable,
        may_clear=creatinine.may_clear,
        shown=creatinine.shown if amount is None else f"{shown(amount)} mL/min",
    )


def _weight_at(weights: Sequence[Value], creatinine: Value) -> Value | None:
    """Return the last usable weight up to the creatinine's day, else the first one after it."""
    usable = [w for w in weights if w.is_usable and w.may_clear]
    before = [w for w in usable if w.day <= creatinine.day]
    if before:
        return max(before, key=lambda w: (w.earliest, w.fact.id))
    return min(usable, key=lambda w: (w.earliest, w.fact.id), default=None)


def patient(record: Record) -> Patient | None:
    """Return the patient, each detail as last stated; None when nothing is."""
    if "patient" not in record.shared:
        record.shared["patient"] = _merged_patient(record)
    return record.shared["patient"]  # type: ignore[return-value]  # written only here


def _merged_patient(record: Record) -> Patient | None:
    stated = sorted(record.all(Patient), key=lambda p: (_times(p, record.time)[1], p.version, p.id))
    if not stated:
        return None
    merged = stated[-1]
    for older in reversed(stated[:-1]):
        absent = {
            name: getattr(older, name)
            for name in ("birth_date", "sex", "childbearing_potential", "deceased")
            if getattr(merged, name) is None
        }
        merged = replace(merged, **absent)
    return merged


def _age_at(person: Patient | None, day: date) -> int | None:
    if person is None or person.birth_date is None or day <= person.birth_date:
        return None
    return full_years(person.birth_date, day)


def age_years(record: Record, day: date) -> int | None:
    """Return the patient's age on a day in completed years; None when not known."""
    return _age_at(patient(record), day)


def shown(amount: Fraction) -> str:
    """Return a number as people write it, rounded to two places."""
    return f"{float(round(amount, 2)):.2f}".rstrip("0").rstrip(".")
