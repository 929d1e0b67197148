"""Corticosteroid rules STER-001..007 and their pointer WO-STEROID.

Invariant: WO-STEROID fires exactly when STER-001 or STER-003 fires (semantics.steroid_pointer);
a dose that is not known is a hold (STER-007), never a small dose.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction

from shared.protocol.clinic_time import Moment
from shared.protocol.findings import Effect, Finding
from shared.protocol.rulebook.rows import Rule
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.conditions import condition_edges, present
from shared.protocol.rules.known import union_edges
from shared.protocol.rules.steroid_days import (
    ONE_DAY,
    AboveLimit,
    SteroidUse,
    Stretch,
    Taken,
    steroid_use,
)


def steroid_checks(case: Case) -> Iterator[Check]:
    """Yield the checks of the steroid rules at the gates of their scope."""
    rules, use = case.protocol.steroids, steroid_use(case.record)
    if not case.covers(rules.above):
        return
    for course in use.above:
        wait = rules.short_min_days if course.is_short else rules.above_min_days
        yield Check(_course(case, course, wait), _edges(course.days, wait))
    for taken in use.unknown:
        yield Check(_unknown(case, taken), _edges(taken.days, rules.above_min_days))
    for taken in use.absorbable:
        yield Check(_absorbable(case, taken), _edges(taken.days, rules.absorbable_min_days))
    yield from _commentary(case, use)
    if case.covers(rules.premedication):
        for taken in use.for_cik:
            yield Check(_for_cik(case, taken), _edges(taken.days, 1))


def _edges(days: Stretch, wait: int) -> frozenset[date]:
    edges = {days.first}
    if days.last is not None:
        edges |= {days.last + ONE_DAY, days.last + timedelta(days=wait)}
    return frozenset(edges)


def _waiting(days: Stretch, wait: int, day: date) -> bool:
    """True on the days themselves and until `wait` days after the last one."""
    if day < days.first:
        return False
    return days.last is None or day < days.last + timedelta(days=wait)


def _clears(days: Stretch, wait: int) -> date | None:
    return None if days.last is None else days.last + timedelta(days=wait)


def _anchor(days: Stretch, day: date) -> date:
    return day if days.last is None or day < days.last else days.last


def _course(case: Case, course: AboveLimit, wait: int) -> Callable[[Moment], Sequence[Finding]]:
    rules = case.protocol.steroids
    own = rules.short if course.is_short else rules.above

    def find(at: Moment) -> Sequence[Finding]:
        if not _waiting(course.days, wait, at.day):
            return ()
        clear = _clears(course.days, wait)
        anchor = _anchor(course.days, at.day)
        named = {
            "episode": _episode(course.facts[0].id, course.days),
            "uses": course.facts,
            "value": f"{amount(course.mg_on(anchor))} mg/d",
            "limit": f"{amount(rules.limit_mg_per_day)} mg/d",
            "since": anchor,
            "clears_at": clear,
            "days": (at.day - anchor).days,
            "wait": wait,
        }
        ongoing = ".ongoing" if clear is None else ""
        return (
            case.finding(own, f"steroid.above{ongoing}", **named),  # type: ignore[arg-type]
            case.finding(rules.pointer, f"steroid.pointer{ongoing}", **named, see=own.id),  # type: ignore[arg-type]
        )

    return find


def _episode(fact_id: str, days: Stretch) -> str:
    return f"{fact_id}:{days.first.isoformat()}"


def _unknown(case: Case, taken: Taken) -> Callable[[Moment], Sequence[Finding]]:
    rules = case.protocol.steroids
    return _simple(
        case, rules.unknown, taken, rules.above_min_days, "steroid.unknown", unknown=True
    )


def _absorbable(case: Case, taken: Taken) -> Callable[[Moment], Sequence[Finding]]:
    rules = case.protocol.steroids
    return _simple(case, rules.absorbable, taken, rules.absorbable_min_days, "steroid.absorbable")


def _for_cik(case: Case, taken: Taken) -> Callable[[Moment], Sequence[Finding]]:
    return _simple(case, case.protocol.steroids.premedication, taken, 1, "steroid.premedication")


def _simple(
    case: Case, rule: Rule, taken: Taken, wait: int, sentence: str, *, unknown: bool = False
) -> Callable[[Moment], Sequence[Finding]]:
    def find(at: Moment) -> Sequence[Finding]:
        if not _waiting(taken.days, wait, at.day):
            return ()
        clear = _clears(taken.days, wait) if rule.effect is not Effect.INFO else None
        return (
            case.finding(
                rule,
                sentence,
                episode=_episode(taken.fact.id, taken.days),
                uses=(taken.fact,),
                since=_anchor(taken.days, at.day),
                clears_at=clear,
                unknown=unknown,
                drug=taken.fact.name or case.protocol.sentences.word("corticosteroid"),
                route=taken.fact.route or case.protocol.sentences.word("unknown_route"),
            ),
        )

    return find


def _commentary(case: Case, use: SteroidUse) -> Iterator[Check]:
    """Yield the info findings: local routes, and replacement within its limit."""
    rules = case.protocol.steroids
    for taken in use.exempt:
        yield Check(_simple(case, rules.exempt, taken, 1, "steroid.exempt"), _edges(taken.days, 1))
    for taken in use.replacement:
        yield _replacement(case, use, taken)


def _replacement(case: Case, use: SteroidUse, taken: Taken) -> Check:
    """Documented replacement is shown while the day is within the limit, else STER-001 holds."""
    rules = case.protocol.steroids
    said = _simple(case, rules.replacement, taken, 1, "steroid.replacement")

    def find(at: Moment) -> Sequence[Finding]:
        is_above = any(course.days.covers(at.day) for course in use.above)
        documented = rules.replacement_documented_by
        if is_above or not any(present(case.record, name, at) for name in documented):
            return ()
        return said(at)

    parts = [condition_edges(case.record, name) for name in rules.replacement_documented_by]
    parts += [(set(_edges(days, 1)), set()) for days in (taken.days, *(c.days for c in use.above))]
    return Check(find, *union_edges(parts))


def amount(value: Fraction) -> str:
    """Return a quantity as people write it, rounded to two places where it has no end."""
    rounded = round(value, 2)
    text = f"{float(rounded):.2f}".rstrip("0").rstrip(".")
    return text if rounded == value else f"about {text}"
