"""Treatments as courses: which classes they belong to, on which days given, what is planned.

Invariant: a drug without an end date is taken on every day until stated otherwise, and one of which
nothing is dated is taken always; a plan is never counted as an administration here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from shared.protocol.clinic_time import ClinicTime
from shared.protocol.facts import Medication, PlanChange, Treatment
from shared.protocol.record import Record
from shared.protocol.resolution import known_at
from shared.protocol.rulebook.codes import ATC, Codes
from shared.protocol.rulebook.tables import Tables

Span = tuple[date | None, date | None]
"""First and last day on which it was given; None: since ever, still."""


@dataclass(frozen=True, slots=True)
class Course:
    """One medication or treatment fact as the wash-out rules see it."""

    fact: Medication | Treatment
    classes: frozenset[str]
    names: frozenset[str]
    spans: tuple[Span, ...]
    planned: tuple[date, ...]
    unmapped: tuple[str, ...] = ()
    is_unmapped_risk: bool = False

    def given_on_or_before(self, day: date) -> date | None:
        """Return the last day on which it was given up to `day`; that day itself if ongoing."""
        last: date | None = None
        for first, end in self.spans:
            if first is None or first <= day:
                reached = day if end is None or end > day else end
                last = reached if last is None or reached > last else last
        return last

    def starts_after(self, day: date) -> Iterator[date]:
        """Yield the first days of stated spans that lie after `day`."""
        return (first for first, _ in self.spans if first is not None and first > day)

    @property
    def last_given(self) -> date | None:
        """The last day on which it was given; None when ongoing or never."""
        ends = [end for _, end in self.spans]
        return max((end for end in ends if end is not None), default=None) if all(ends) else None


def courses(record: Record) -> tuple[Course, ...]:
    """Return the courses of a record; built once."""
    found = record.shared.get("courses")
    if found is None:
        codes, tables = record.protocol.codes, record.protocol.tables
        known = _known_classes(record)
        medications = [_medication(m, codes, tables, known) for m in record.all(Medication)]
        treatments = [_treatment(t, tables, known) for t in record.all(Treatment)]
        found = record.shared["courses"] = (*medications, *treatments)
    return found  # type: ignore[return-value]  # only this function writes the key


def _known_classes(record: Record) -> frozenset[str]:
    rows = {row.treatment_class for row in record.protocol.washouts}
    return frozenset(rows | record.protocol.codes.class_rules.keys())


def _medication(fact: Medication, codes: Codes, tables: Tables, known: frozenset[str]) -> Course:
    names = frozenset(codes.ingredients(fact.name)) if fact.name else frozenset()
    if fact.classes:
        classes, unmapped = _stated_classes(fact.classes, tables, known)
    else:
        classes, unmapped = _looked_up(fact, codes)
    return Course(
        fact,
        classes,
        names,
        _medication_spans(fact),
        () if fact.next_planned is None else (fact.next_planned,),
        unmapped,
        bool(unmapped) and _is_risk(fact, tables),
    )


def _stated_classes(
    stated: Iterable[str], tables: Tables, known: frozenset[str]
) -> tuple[frozenset[str], tuple[str, ...]]:
    classes = [tables.class_aliases.get(name, name) for name in stated]
    return (
        frozenset(name for name in classes if name in known),
        tuple(name for name in classes if name not in known),
    )


def _looked_up(fact: Medication, codes: Codes) -> tuple[frozenset[str], tuple[str, ...]]:
    by_code: set[str] = set()
    for coding in fact.codes:
        by_code |= codes.classes_of_code(coding.system, coding.code)
    by_name, unmapped = codes.classes_of_name(fact.name) if fact.name else (frozenset(), ())
    if by_code and unmapped and len(unmapped) == len(codes.ingredients(fact.name or "")):
        unmapped = ()  # the code says what the name does not
    if not by_code and not by_name and not unmapped:
        unmapped = tuple(coding.code for coding in fact.codes)
    return by_name | by_code, unmapped


def _is_risk(fact: Medication, tables: Tables) -> bool:
    """True when an unmapped drug could be one that the wash-outs are about."""
    if fact.classes or not fact.codes:
        return True
    return any(
        coding.system == ATC and coding.code.startswith(tables.unmapped_atc)
        for coding in fact.codes
    )


def _medication_spans(fact: Medication) -> tuple[Span, ...]:
    spans: list[Span] = []
    for dose in fact.doses:
        span = (dose.day, dose.day) if dose.day is not None else (dose.first, dose.last)
        spans.append(_ended(span, fact.last_dose))
    if fact.last_dose is not None:
        spans.append((fact.last_dose, fact.last_dose))
    if not spans and fact.next_planned is None and fact.more_planned is None:
        spans.append((None, None))
    return tuple(spans)


def _ended(span: Span, last_dose: date | None) -> Span:
    first, last = span
    if last is not None or last_dose is None or (first is not None and first > last_dose):
        return span
    return (first, last_dose)


def _treatment(fact: Treatment, tables: Tables, known: frozenset[str]) -> Course:
    classes, unmapped = _stated_classes(fact.classes, tables, known)
    spans: tuple[Span, ...] = ()
    if fact.day is not None:
        spans = ((fact.day, fact.day),)
    elif fact.first is not None or fact.last is not None:
        spans = ((fact.first, fact.last),)
    elif fact.next_planned is None and fact.more_planned is None:
        spans = ((None, None),)
    planned = () if fact.next_planned is None else (fact.next_planned,)
    names = frozenset({fact.name.lower()}) if fact.name else frozenset[str]()
    return Course(fact, classes, names, spans, planned, unmapped, bool(unmapped))


def rule_ids(course: Course, record: Record) -> frozenset[str]:
    """Return the ids of the wash-out rows that apply to a course."""
    answers: dict[object, frozenset[str]]
    answers = record.shared.setdefault("rule_ids", {})  # type: ignore[assignment]
    found = answers.get(course.classes)
    if found is None:
        found = answers[course.classes] = _rule_ids(course.classes, record)
    return found


def _rule_ids(classes: frozenset[str], record: Record) -> frozenset[str]:
    found = {row.rule.id for row in record.protocol.washouts if row.treatment_class in classes}
    for name in classes:
        found |= record.protocol.codes.class_rules.get(name, frozenset())
    return frozenset(found)


def replanned(
    found: Sequence[Course], changes: Iterable[PlanChange], record: Record
) -> tuple[Course, ...]:
    """Return the courses with moved doses moved; a change of a dose nobody planned adds it."""
    plans = list(found)
    for change in sorted(changes, key=lambda c: (known_at(c, record.time), c.id)):
        plans = _moved(plans, change, record)
    return tuple(plans)


def _moved(plans: list[Course], change: PlanChange, record: Record) -> list[Course]:
    classes = {record.protocol.tables.class_aliases.get(name, name) for name in change.classes}
    result, is_placed = [], False
    for course in plans:
        if change.moved_from in course.planned and course.classes & classes:
            kept = [day for day in course.planned if day != change.moved_from]
            if change.moved_to is not None:
                kept.append(change.moved_to)
            course, is_placed = replace(course, planned=tuple(kept)), True  # noqa: PLW2901
        result.append(course)
    if not is_placed and change.moved_to is not None:
        carrier = Treatment(id=change.id, classes=tuple(sorted(classes)), more_planned=True)
        fact = replace(carrier, version=change.version, recorded=change.recorded)
        result.append(Course(fact, frozenset(classes), frozenset(), (), (change.moved_to,)))
    return result


def statement_day(course: Course, time: ClinicTime) -> date | None:
    """Return the last day that a statement about a plan looks back on; None: all of them."""
    days = [course.last_given] if course.last_given else []
    for when in (course.fact.effective, course.fact.recorded):
        if when is not None:
            days.append(time.day_of(when))
    return max(days, default=None)
