"""The infusion course: days between infusions and collections, reactions, red flags.

Invariant: while an infusion is paused the infusion gate asks about its resumption, and rules about
the time since the last infusion, or before the next one, do not apply to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.vocabulary import Gate
from shared.protocol.clinic_time import Moment
from shared.protocol.facts import Collection, Infusion, Reaction, RedFlag, When
from shared.protocol.findings import Finding
from shared.protocol.rulebook.rows import ConditionRule, GapRule
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.conditions import has_begun, has_come
from shared.protocol.rules.known import ONE_DAY

RESTART = "restart_decision"


def paused(case: Case, at: Moment) -> Infusion | None:
    """Return the infusion that is paused at the moment and may be resumed."""
    if not case.asks_for_infusion:
        return None
    waiting = [
        infusion
        for infusion in case.record.all(Infusion)
        if infusion.paused_at is not None
        and infusion.paused_at <= at.instant
        and not (infusion.ended_at is not None and infusion.ended_at <= at.instant)
    ]
    return max(waiting, key=lambda i: (i.n, i.id), default=None)


def pause_edges(case: Case) -> Iterator[datetime]:
    """Yield the instants at which an infusion is paused or ends."""
    for infusion in case.record.all(Infusion):
        for when in (infusion.paused_at, infusion.ended_at, infusion.stable_since):
            if when is not None:
                yield when


def course_checks(case: Case) -> Iterator[Check]:
    """Yield the checks on gaps, reactions and red flags at the gate."""
    for rule in case.protocol.patient_rules:
        if not case.covers(rule.rule):
            continue
        if isinstance(rule, GapRule):
            yield from _gap(case, rule)
        elif isinstance(rule, ConditionRule) and case.record.all(Reaction):
            yield from _reactions(case, rule)
    if case.covers(case.protocol.red_flag):
        for flag in case.record.all(RedFlag):
            yield _red_flag(case, flag)


def _gap(case: Case, rule: GapRule) -> Iterator[Check]:
    done: tuple[Collection | Infusion, ...] = case.record.all(Infusion)
    if case.gate is Gate.COLLECTION:
        done = case.record.all(Collection)
    given = [(fact, fact.day) for fact in done if fact.day is not None]
    if not given:
        return
    days = {case.time.day_of(day) for _, day in given}
    edges = days | {day + timedelta(days=rule.min_days) for day in days}
    edges |= {day + ONE_DAY for day in days}
    starts = {case.time.earliest(day) for _, day in given} | set(pause_edges(case))
    yield Check(_GapCheck(case, rule, tuple(given)), frozenset(edges), frozenset(starts))


@dataclass(frozen=True, slots=True)
class _GapCheck:
    case: Case
    rule: GapRule
    given: tuple[tuple[Collection | Infusion, When], ...]

    def __call__(self, at: Moment) -> Sequence[Finding]:
        if paused(self.case, at) is not None:
            return ()
        time = self.case.time
        past = [(time.day_of(d), f) for f, d in self.given if has_come(d, at, time)]
        if not past:
            return ()
        day, fact = max(past, key=lambda pair: (pair[0], pair[1].id))
        elapsed = (at.day - day).days
        if elapsed >= self.rule.min_days:
            return ()
        return (
            self.case.finding(
                self.rule.rule,
                "course.gap",
                episode=fact.id,
                uses=(fact,),
                value=f"{elapsed} d",
                limit=f"{self.rule.min_days} d",
                since=day,
                clears_at=day + timedelta(days=self.rule.min_days),
            ),
        )


def _reactions(case: Case, rule: ConditionRule) -> Iterator[Check]:
    for reaction in case.record.all(Reaction):
        if _is_about(rule, reaction):
            instants = {
                case.time.earliest(when)
                for when in (
                    reaction.started,
                    reaction.grade_le_1_since,
                    reaction.restart_decision,
                )
                if when is not None
            }
            instants |= set(pause_edges(case))
            if rule.resume_stable_minutes is not None:
                wait = timedelta(minutes=rule.resume_stable_minutes)
                instants |= {i + wait for i in pause_edges(case)}
            yield Check(_ReactionCheck(case, rule, reaction), (), frozenset(instants))


def _is_about(rule: ConditionRule, reaction: Reaction) -> bool:
    if rule.reactions is not None:
        return reaction.grade in rule.reactions.get(reaction.scale, ())
    return rule.reaction_grade_min is not None and reaction.grade >= rule.reaction_grade_min


@dataclass(frozen=True, slots=True)
class _ReactionCheck:
    case: Case
    rule: ConditionRule
    reaction: Reaction

    def __call__(self, at: Moment) -> Sequence[Finding]:
        reaction, time = self.reaction, self.case.time
        if not has_begun(reaction.started, at, time):
            return ()
        resumed = paused(self.case, at)
        if resumed is not None and self.rule.resume_stable_minutes is not None:
            return self._resumption(resumed, at)
        if self.rule.until == RESTART and has_come(reaction.restart_decision, at, time):
            return ()
        if self.rule.until not in (None, RESTART) and has_come(reaction.grade_le_1_since, at, time):
            return ()
        return (self._finding("course.reaction", None),)

    def _resumption(self, resumed: Infusion, at: Moment) -> Sequence[Finding]:
        """A paused infusion goes on at grade 1 or less and after a time of stable vitals."""
        wait = timedelta(minutes=self.rule.resume_stable_minutes or 0)
        since = resumed.stable_since
        is_mild = has_come(self.reaction.grade_le_1_since, at, self.case.time)
        if is_mild and since is not None and since + wait <= at.instant:
            return ()
        clear = since + wait if is_mild and since is not None else None
        return (self._finding("course.reaction.resume", clear),)

    def _finding(self, sentence: str, clear: datetime | None) -> Finding:
        return self.case.finding(
            self.rule.rule,
            sentence,
            episode=self.reaction.id,
            uses=(self.reaction,),
            value=f"grade {self.reaction.grade}",
            since=self.reaction.started,
            clears_at=clear,
            infusion=self.reaction.infusion,
        )


def _red_flag(case: Case, flag: RedFlag) -> Check:
    rule = case.protocol.red_flag

    def find(at: Moment) -> Sequence[Finding]:
        if not has_begun(flag.started, at, case.time) or has_come(flag.closed, at, case.time):
            return ()
        return (
            case.finding(
                rule,
                "course.red_flag",
                episode=flag.id,
                uses=(flag,),
                since=flag.started,
                symptom=case.protocol.sentences.word(flag.symptom),
            ),
        )

    times = {case.time.earliest(when) for when in (flag.started, flag.closed) if when is not None}
    return Check(find, (), frozenset(times))
