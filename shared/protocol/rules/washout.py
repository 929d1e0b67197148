"""Wash-outs and leads: free days after a treatment and before its next planned dose.

Invariant: an unknown next dose of an open regimen is a hold, and a planned dose whose day has come
counts as given on that day. Nothing here ever asks for a treatment to be moved (COORD-001, -002).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from shared.protocol.clinic_time import Moment
from shared.protocol.facts import PlanChange, Stated
from shared.protocol.findings import Effect, Finding, FindingKind, Need
from shared.protocol.rulebook.rows import Course as Kind
from shared.protocol.rulebook.rows import WashoutRule
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.courses import Course, courses, replanned, rule_ids, statement_day

ONE_DAY = timedelta(days=1)
CONFIRMATION = "treatment_confirmation"


@dataclass(frozen=True, slots=True)
class RowState:
    """One wash-out row with the courses that it is about, at one gate."""

    row: WashoutRule
    courses: tuple[Course, ...]
    open_courses: tuple[Course, ...]
    min_days: int
    lead_days: int

    def anchor(self, day: date) -> tuple[date, Course] | None:
        """Return the last day given, or planned and come, up to `day`, and its course."""
        best: tuple[date, Course] | None = None
        for course in self.courses:
            reached = [given for given in (course.given_on_or_before(day),) if given is not None]
            reached += [plan for plan in course.planned if plan <= day]
            if reached and (best is None or max(reached) > best[0]):
                best = (max(reached), course)
        return best

    def next_dose(self, day: date) -> tuple[date, Course] | None:
        """Return the first dose after `day` that is planned or stated, and its course."""
        ahead = [
            (at, course)
            for course in self.courses
            for at in (*course.planned, *course.starts_after(day))
            if at > day
        ]
        return min(ahead, key=lambda pair: (pair[0], pair[1].fact.id), default=None)

    def lead_is_unknown(self, day: date) -> bool:
        """True when a regimen goes on and nobody has stated its next dose."""
        if not self.lead_days or self.next_dose(day) is not None:
            return False
        if self._has_unconfirmed(day):
            return False  # DATA-010 holds until that dose is confirmed
        return any(_has_begun(course, day) for course in self.open_courses)

    def _has_unconfirmed(self, day: date) -> bool:
        return any(
            plan <= day and not is_confirmed(plan, self.courses, day)
            for course in self.courses
            for plan in course.planned
        )

    def elapsed_days(self, day: date) -> int | None:
        """Return the free days since the anchor; None when nothing was given."""
        anchor = self.anchor(day)
        return None if anchor is None else (day - anchor[0]).days

    def lead(self, day: date) -> int | None:
        """Return the free days before the next dose; None when none is known."""
        following = self.next_dose(day)
        return None if following is None else (following[0] - day).days

    def passes(self, day: date) -> bool:
        """True when the whole row, elapsed and lead together, passes on `day`."""
        elapsed = self.elapsed_days(day)
        if elapsed is not None and elapsed < self.min_days:
            return False
        return self.leads_pass(day) and not self.lead_is_unknown(day)

    def leads_pass(self, day: date) -> bool:
        """True when no known next dose is too near."""
        lead = self.lead(day)
        return not self.lead_days or lead is None or lead >= self.lead_days

    def clears(self, day: date) -> date | None:
        """Return the first day after `day` on which the whole row passes; None: never by time."""
        ends = {end for course in self.courses for _, end in course.spans if end is not None}
        ends |= {plan for course in self.courses for plan in course.planned}
        later = sorted(end + timedelta(days=self.min_days) for end in ends)
        return next((at for at in later if at > day and self.passes(at)), None)

    def edges(self) -> Iterator[date]:
        """Yield the days on which the row's answer may change."""
        wash, lead = timedelta(days=self.min_days), timedelta(days=self.lead_days)
        for course in self.courses:
            for first, end in course.spans:
                if first is not None:
                    yield first
                    yield first - lead + ONE_DAY
                if end is not None:
                    yield end + ONE_DAY
                    yield end + wash
            for plan in course.planned:
                yield from (plan, plan + ONE_DAY, plan + wash, plan - lead + ONE_DAY)


def is_confirmed(plan: date, among: Sequence[Course], day: date) -> bool:
    """True when a dose on or after the planned day is reported by `day`."""
    return any(
        (given := course.given_on_or_before(day)) is not None and given >= plan for course in among
    )


def _has_begun(course: Course, day: date) -> bool:
    return course.given_on_or_before(day) is not None


def row_states(case: Case, changes: Sequence[PlanChange]) -> tuple[RowState, ...]:
    """Return the rows that apply to the case at its gate, with the plan so changed."""
    record = case.record
    found = replanned(courses(record), changes, record)
    by_rule: dict[str, list[Course]] = {}
    for course in found:
        for name in rule_ids(course, record):
            by_rule.setdefault(name, []).append(course)
    return tuple(
        _state(case, row, tuple(by_rule[row.rule.id]))
        for row in case.protocol.washouts
        if row.rule.id in by_rule and case.gate in row.min_days
    )


def _state(case: Case, row: WashoutRule, about: tuple[Course, ...]) -> RowState:
    lead = row.lead_days if case.asks_for_infusion else 0
    open_courses = tuple(c for c in about if _is_open(c, about, row, case)) if lead else ()
    return RowState(row, about, open_courses, row.min_days[case.gate], lead)


def _is_open(course: Course, about: Sequence[Course], row: WashoutRule, case: Case) -> bool:
    """True unless it is stated, here or by a later statement on the same drugs, what comes next."""
    if row.course is Kind.SINGLE and course.fact.more_planned is not True:
        return False
    return not any(_settles(other, course, case) for other in about)


def _settles(statement: Course, course: Course, case: Case) -> bool:
    # Only "no more" settles a course for good: a planned dose settles it while it lies ahead, and
    # then next_dose finds it before anybody asks whether the regimen is open.
    if statement.fact.more_planned is not False:
        return False
    if statement.fact.id == course.fact.id:
        return True
    if statement.names and not statement.names & course.names:
        return False
    looks_back_to = statement_day(statement, case.time)
    if looks_back_to is None:
        return True
    # "No more" is said of what follows the last planned dose: it settles all up to that day.
    settled_to = max((looks_back_to, *statement.planned))
    last = course.last_given if course.spans else max(course.planned, default=None)
    return last is not None and last <= settled_to


def washout_checks(case: Case) -> Iterator[Check]:
    """Yield one check per wash-out row that can block, and one per planned dose to confirm."""
    states = row_states(case, case.record.all(PlanChange))
    for state in states:
        if _may_say(state) and case.covers(state.row.rule):
            yield Check(_RowCheck(case, state), frozenset(state.edges()))
    yield from _confirmations(case, states)
    yield from _unmapped(case)


def _may_say(state: RowState) -> bool:
    # A row of information is listed while the treatment is given, whether or not it asks for days.
    is_shown = state.row.rule.effect is Effect.INFO
    return bool(state.min_days or state.lead_days) or is_shown


@dataclass(frozen=True, slots=True)
class _RowCheck:
    case: Case
    state: RowState

    def __call__(self, at: Moment) -> Sequence[Finding]:
        state, day = self.state, at.day
        elapsed = state.elapsed_days(day)
        if elapsed is not None and elapsed < state.min_days:
            return (self._too_soon(day, elapsed),)
        if not state.leads_pass(day):
            return (self._too_near(day),)
        if state.lead_is_unknown(day):
            return (self._next_unknown(day),)
        if elapsed == 0 and state.row.rule.effect is Effect.INFO:
            return (self._given(day),)
        return ()

    def _given(self, day: date) -> Finding:
        anchor = self.state.anchor(day)
        assert anchor is not None  # noqa: S101  (elapsed is known)
        return self._finding("washout.given", anchor[1].fact, since=anchor[0])

    def _too_soon(self, day: date, elapsed: int) -> Finding:
        anchor = self.state.anchor(day)
        assert anchor is not None  # noqa: S101  (elapsed is known)
        clear = self.state.clears(day)
        is_ongoing = elapsed == 0 and clear is None
        return self._finding(
            "washout.ongoing" if is_ongoing else "washout.elapsed",
            anchor[1].fact,
            value=f"{elapsed} d",
            limit=f"{self.state.min_days} d",
            since=anchor[0],
            clears_at=clear,
        )

    def _too_near(self, day: date) -> Finding:
        following = self.state.next_dose(day)
        assert following is not None  # noqa: S101  (the lead is known)
        planned, course = following
        clear = self.state.clears(day)
        return self._finding(
            "washout.lead.undated" if clear is None else "washout.lead",
            course.fact,
            value=f"lead {(planned - day).days} d",
            limit=f"{self.state.lead_days} d",
            since=planned,
            clears_at=clear,
        )

    def _next_unknown(self, day: date) -> Finding:
        anchor = self.state.anchor(day)
        about = self.state.open_courses[0] if anchor is None else anchor[1]
        return self._finding(
            "washout.unknown_lead",
            about.fact,
            effect=Effect.HOLD,
            limit=f"{self.state.lead_days} d",
            since=None if anchor is None else anchor[0],
            unknown=True,
        )

    def _finding(self, sentence: str, fact: Stated, **rest: object) -> Finding:
        row = self.state.row
        named = self.case.protocol.sentences.word(row.treatment_class)
        return self.case.finding(
            row.rule,
            sentence,
            episode=row.treatment_class,
            uses=(fact,),
            treatment=named,
            **rest,  # type: ignore[arg-type]  # the named arguments of finding, passed on
        )


def _confirmations(case: Case, states: Sequence[RowState]) -> Iterator[Check]:
    """Yield DATA-010 for each planned dose, once even when several rows are about it."""
    seen: set[tuple[str, date]] = set()
    for state in states:
        if not (state.row.lead_days or state.min_days):
            continue
        for course in state.courses:
            for plan in course.planned:
                if (course.fact.id, plan) not in seen:
                    seen.add((course.fact.id, plan))
                    yield _confirmation(case, state, course, plan)


def _confirmation(case: Case, state: RowState, course: Course, plan: date) -> Check:
    owner = case.protocol.item(CONFIRMATION).owner

    def find(at: Moment) -> Sequence[Finding]:
        if at.day <= plan or is_confirmed(plan, state.courses, at.day):
            return ()
        need = Need(CONFIRMATION, owner, not_before=plan, data_rule="DATA-010")
        # With a further dose on record, or none to come, only the confirmation is lacking. In an
        # open regimen the date of the dose after it is unknown too: nothing can be planned there.
        is_last_known = bool(state.open_courses) and state.next_dose(at.day) is None
        return (
            case.finding(
                case.protocol.rules["DATA-010"],
                "plan.unconfirmed",
                episode=f"{course.fact.id}:{plan.isoformat()}",
                uses=(course.fact,),
                kind=FindingKind.CONDITION if is_last_known else FindingKind.MISSING,
                unknown=is_last_known,
                since=plan,
                needs=(need,),
                treatment=case.protocol.sentences.word(state.row.treatment_class),
            ),
        )

    return Check(find, frozenset((plan + ONE_DAY, *state.edges())))


def _unmapped(case: Case) -> Iterator[Check]:
    """Yield DATA-006 for drugs that the terminology does not know."""
    rows = [row for row in case.protocol.washouts if case.gate in row.min_days]
    if not rows:
        return
    longest = timedelta(days=max(row.min_days[case.gate] for row in rows))
    for course in courses(case.record):
        if course.unmapped:
            ends = [end for _, end in course.spans if end is not None]
            firsts = [first for first, _ in course.spans if first is not None]
            edges = {*firsts, *(end + longest for end in ends), *(end + ONE_DAY for end in ends)}
            yield Check(_UnmappedCheck(case, course, longest), frozenset(edges))


@dataclass(frozen=True, slots=True)
class _UnmappedCheck:
    """An unmapped drug counts as any class: until the longest wash-out is over."""

    case: Case
    course: Course
    longest: timedelta

    def __call__(self, at: Moment) -> Sequence[Finding]:
        given = self.course.given_on_or_before(at.day)
        if given is None or (given + self.longest <= at.day):
            return ()
        is_hold = self.course.is_unmapped_risk
        clear = None
        if is_hold and self.course.last_given is not None:
            clear = self.course.last_given + self.longest
        return (
            self.case.finding(
                self.case.protocol.rules["DATA-006"],
                "drug.unmapped" if is_hold else "drug.unmapped.info",
                episode=self.course.fact.id,
                uses=(self.course.fact,),
                effect=Effect.HOLD if is_hold else Effect.INFO,
                since=given,
                clears_at=clear,
                unknown=is_hold,
                drug=", ".join(self.course.unmapped),
            ),
        )
