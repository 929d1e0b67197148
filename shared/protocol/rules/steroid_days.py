"""Corticosteroids day by day: which drug counts, how much it is in prednisone, which days exceed.

Invariant: sums are exact fractions over all counted drugs of a local day; a dose that is not known
is kept apart as unknown and never counted as nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from shared.protocol.facts import Dose, Medication
from shared.protocol.record import Record
from shared.protocol.rulebook.rows import SteroidRules
from shared.protocol.rules.courses import courses
from shared.protocol.words import Intent

ONE_DAY = timedelta(days=1)
SYSTEMIC = "corticosteroid_systemic"
LOCAL = "corticosteroid_local"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive days; `last` None: ongoing. `first` is the first day of the calendar if open."""

    first: date
    last: date | None

    def covers(self, day: date) -> bool:
        """True when the day lies in the stretch."""
        return self.first <= day and (self.last is None or day <= self.last)


@dataclass(frozen=True, slots=True)
class Taken:
    """A counted drug over a stretch; `mg_per_day` in prednisone, None when not known."""

    fact: Medication
    days: Stretch
    mg_per_day: Fraction | None
    is_short_indication: bool


@dataclass(frozen=True, slots=True)
class AboveLimit:
    """A course: consecutive days above the limit, as one."""

    days: Stretch
    facts: tuple[Medication, ...]
    amounts: tuple[tuple[date, Fraction], ...]
    is_short: bool

    def mg_on(self, day: date) -> Fraction:
        """Return the sum in prednisone on a day of the course."""
        return next(mg for first, mg in reversed(self.amounts) if first <= day)


@dataclass(frozen=True, slots=True)
class SteroidUse:
    """Everything that the steroid rules ask about."""

    above: tuple[AboveLimit, ...]
    exempt: tuple[Taken, ...]
    absorbable: tuple[Taken, ...]
    replacement: tuple[Taken, ...]
    for_cik: tuple[Taken, ...]
    unknown: tuple[Taken, ...]


def steroid_use(record: Record) -> SteroidUse:
    """Return the use of corticosteroids on record; built once."""
    found = record.shared.get("steroids")
    if found is None:
        found = record.shared["steroids"] = _use(record)
    return found  # type: ignore[return-value]  # only this function writes the key


def _use(record: Record) -> SteroidUse:
    rules = record.protocol.steroids
    sorted_in = _Sorting(rules, {}, [], [], [], [], [], [])
    for course in courses(record):
        if isinstance(course.fact, Medication) and course.classes & {SYSTEMIC, LOCAL}:
            sorted_in.add(course.fact, course.names, is_systemic=SYSTEMIC in course.classes)
    return SteroidUse(
        above=_above(sorted_in.counted, sorted_in.unknown, rules),
        exempt=tuple(sorted_in.exempt),
        absorbable=tuple(sorted_in.absorbable),
        replacement=tuple(sorted_in.replacement),
        for_cik=tuple(sorted_in.for_cik),
        unknown=tuple(sorted_in.unknown),
    )


@dataclass(slots=True)
class _Sorting:
    """Puts each stated dose where it belongs by drug and route."""

    rules: SteroidRules
    _unused: dict[str, str]
    counted: list[Taken]
    exempt: list[Taken]
    absorbable: list[Taken]
    replacement: list[Taken]
    for_cik: list[Taken]
    unknown: list[Taken]

    def add(self, fact: Medication, names: frozenset[str], *, is_systemic: bool) -> None:
        place = self._place(fact, names, is_systemic=is_systemic)
        for dose, days in _stretches(fact):
            place_dose = self._counted_place if place is self.counted else place.append
            place_dose(self._taken(fact, names, dose, days))
            if place is self.counted and fact.intent is Intent.REPLACEMENT:
                self.replacement.append(self._taken(fact, names, dose, days))
            if fact.premedication_for == "cik" and place is not self.exempt:
                self.for_cik.append(self._taken(fact, names, dose, days))

    def _place(self, fact: Medication, names: frozenset[str], *, is_systemic: bool) -> list[Taken]:
        route = (fact.route or "").strip().lower().replace(" ", "_").replace("-", "_")
        if names and all(self.rules.equivalent_mg.get(name, 0) is None for name in names):
            return self.exempt  # mineralocorticoid replacement is not counted, whatever its route
        if route in self.rules.exempt_routes:
            return self.exempt
        if route in self.rules.absorbable_routes:
            return self.absorbable
        if route in self.rules.above_routes:
            if not is_systemic or names & self.rules.oral_local_drugs:
                return self.absorbable
            return self.counted
        return self.unknown

    def _counted_place(self, taken: Taken) -> None:
        (self.unknown if taken.mg_per_day is None else self.counted).append(taken)

    def _taken(
        self, fact: Medication, names: frozenset[str], dose: Dose | None, days: Stretch
    ) -> Taken:
        return Taken(fact, days, self._prednisone(names, dose), self._is_short_indication(fact))

    def _prednisone(self, names: frozenset[str], dose: Dose | None) -> Fraction | None:
        factors = [self.rules.equivalent_mg.get(name) for name in names]
        if dose is None or len(factors) != 1 or factors[0] is None:
            return None
        amount = dose.mg_per_day
        if amount is None and dose.day is not None:
            amount = dose.mg
        return None if amount is None else Fraction(amount) * factors[0]

    def _is_short_indication(self, fact: Medication) -> bool:
        if fact.intent in self.rules.short_intents:
            return True
        is_premedication = fact.intent is Intent.PREMEDICATION
        return is_premedication and fact.premedication_for in self.rules.short_premedication_for


def _stretches(fact: Medication) -> Iterable[tuple[Dose | None, Stretch]]:
    for dose in fact.doses:
        if dose.day is not None:
            yield dose, Stretch(dose.day, dose.day)
            continue
        last = dose.last
        if last is None and fact.last_dose is not None:
            last = fact.last_dose
        first = dose.first or date.min
        if last is None or first <= last:
            yield dose, Stretch(first, last)
    if not fact.doses and (fact.last_dose or (fact.next_planned is None)):
        first = date.min if fact.last_dose is None else fact.last_dose
        yield None, Stretch(first, fact.last_dose)


def _above(
    counted: Sequence[Taken], unknown: Sequence[Taken], rules: SteroidRules
) -> tuple[AboveLimit, ...]:
    pieces = [piece for piece in _pieces(counted, rules)]
    runs = _runs(pieces)
    days = [Stretch(run[0].first, run[-1].last) for run in runs]
    return tuple(
        AboveLimit(
            days[i],
            tuple({taken.fact.id: taken.fact for piece in run for taken in piece.taken}.values()),
            tuple((piece.first, piece.total) for piece in run),
            _is_short(run, days, i, unknown, rules),
        )
        for i, run in enumerate(runs)
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    """Days on which the same doses were taken and their sum is above the limit."""

    first: date
    last: date | None
    taken: tuple[Taken, ...]
    total: Fraction
    is_excess_short: bool


def _pieces(counted: Sequence[Taken], rules: SteroidRules) -> Iterable[_Piece]:
    starts = {taken.days.first for taken in counted}
    starts |= {taken.days.last + ONE_DAY for taken in counted if taken.days.last is not None}
    ordered = sorted(starts)
    for i, first in enumerate(ordered):
        taken = tuple(t for t in counted if t.days.covers(first))
        total = _sum(taken)
        if total > rules.limit_mg_per_day:
            last = ordered[i + 1] - ONE_DAY if i + 1 < len(ordered) else None
            rest = _sum(t for t in taken if not t.is_short_indication)
            yield _Piece(first, last, taken, total, rest <= rules.limit_mg_per_day)


def _sum(taken: Iterable[Taken]) -> Fraction:
    return sum((t.mg_per_day for t in taken if t.mg_per_day is not None), Fraction(0))


def _runs(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    runs: list[list[_Piece]] = []
    for piece in pieces:
        before = runs[-1][-1].last if runs else None
        if before is not None and before + ONE_DAY == piece.first:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return runs


def _is_short(
    run: Sequence[_Piece],
    days: Sequence[Stretch],
    index: int,
    unknown: Sequence[Taken],
    rules: SteroidRules,
) -> bool:
    """True for a short premedication course with nothing above the limit in the days before it.

    Days on which a dose is not known may have been above the limit: they spoil the course.
    """
    own = days[index]
    if own.last is None or own.first == date.min or not all(p.is_excess_short for p in run):
        return False
    if (own.last - own.first).days >= rules.short_max_days:
        return False
    before = Stretch(own.first - timedelta(days=rules.short_lookback_days), own.last)
    others = [day for i, day in enumerate(days) if i != index]
    others += [taken.days for taken in unknown]
    return not any(_overlap(before, other) for other in others)


def _overlap(a: Stretch, b: Stretch) -> bool:
    starts_in_time = b.last is None or a.first <= b.last
    return starts_in_time and (a.last is None or b.first <= a.last)
