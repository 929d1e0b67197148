"""Infection rules: active infection, clear days after one, prophylaxis.

Invariant: an infection is over only when it is stated to be resolved; a therapeutic antimicrobial
that runs is an infection until it ends. Severity that is not stated counts as serious.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from shared.protocol.clinic_time import Moment
from shared.protocol.facts import Antimicrobial, Infection, Medication, Stated, When
from shared.protocol.findings import Effect, Finding, FindingKind, Need
from shared.protocol.rulebook.rows import (
    ActiveInfectionRule,
    AfterInfectionRule,
    FebrileNeutropeniaRule,
    MetricRule,
    ProphylaxisRule,
)
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.conditions import (
    condition_edges,
    has_begun,
    has_come,
    infection_begin,
    present,
    statements,
)
from shared.protocol.rules.courses import courses
from shared.protocol.rules.fever import fever_check, neutropenia_check
from shared.protocol.rules.items import item_edges, item_known
from shared.protocol.rules.known import (
    ANY_AGE,
    ONE_DAY,
    union_edges,
)
from shared.protocol.words import Intent

THERAPEUTIC = "antimicrobial_therapeutic"
OFTEN_PROPHYLACTIC = "antimicrobial_often_prophylactic"


@dataclass(frozen=True, slots=True)
class Drug:
    """An antimicrobial over days; `last` None: still taken."""

    fact: Stated
    name: str
    first: date | None
    last: date | None
    is_prophylaxis: bool

    def runs_on(self, day: date) -> bool:
        """True when it is taken on the day."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


@dataclass(frozen=True, slots=True)
class Episode:
    """One infection, or one therapeutic antimicrobial course without a stated infection."""

    fact: Stated
    type: str
    begin: When | None
    resolved: When | None
    drugs: tuple[Drug, ...]

    def is_active(self, at: Moment, case: Case) -> bool:
        """True while it is not resolved or a therapeutic antimicrobial runs."""
        if not has_begun(self.begin, at, case.time):
            return False
        if self.resolved is None or not has_come(self.resolved, at, case.time):
            return True
        return any(drug.runs_on(at.day) for drug in self.drugs)

    def anchor(self, at: Moment, case: Case) -> date | None:
        """Return the later of resolution and last therapeutic dose; None before both."""
        if self.resolved is None or not has_come(self.resolved, at, case.time):
            return None
        ends = [drug.last for drug in self.drugs if drug.last is not None and drug.last <= at.day]
        return max([case.time.day_of(self.resolved), *ends])


def infection_checks(case: Case) -> Iterator[Check]:
    """Yield the checks of the infection rules at the gate."""
    for rule in case.protocol.patient_rules:
        if not case.covers(rule.rule):
            continue
        match rule:
            case MetricRule(lookback_hours=int()):
                yield fever_check(case, rule)
            case ActiveInfectionRule():
                yield from _active(case, rule)
            case AfterInfectionRule():
                yield from _after(case, rule)
            case ProphylaxisRule():
                yield from _prophylaxis(case, rule)
            case FebrileNeutropeniaRule():
                yield neutropenia_check(case, rule)
            case _:
                pass


def episodes(case: Case) -> tuple[Episode, ...]:
    """Return infections, and therapeutic antimicrobials that no stated infection explains."""
    found = case.record.shared.get("episodes")
    if found is None:
        found = case.record.shared["episodes"] = tuple(_episodes(case))
    return found  # type: ignore[return-value]  # only this function writes the key


def _episodes(case: Case) -> Iterator[Episode]:
    for infection in case.record.all(Infection):
        yield Episode(
            infection,
            infection.type.value,
            infection_begin(infection),
            infection.resolved,
            tuple(
                _drug(infection, drug)
                for drug in infection.antimicrobials
                if drug.intent is not Intent.PROPHYLAXIS
            ),
        )
    for drug in _courses_of_antimicrobials(case):
        if not drug.is_prophylaxis:
            # Its own end is its resolution: only the treatment is known, not the infection.
            yield Episode(drug.fact, "uncomplicated", drug.first, drug.last, (drug,))


def _drug(fact: Stated, drug: Antimicrobial) -> Drug:
    is_prophylaxis = drug.intent is Intent.PROPHYLAXIS
    return Drug(fact, drug.name or "antimicrobial", drug.first, drug.last, is_prophylaxis)


def _courses_of_antimicrobials(case: Case) -> Iterator[Drug]:
    for course in courses(case.record):
        if course.classes & {THERAPEUTIC, OFTEN_PROPHYLACTIC} and isinstance(
            course.fact, Medication
        ):
            is_prophylaxis = course.fact.intent is Intent.PROPHYLAXIS
            name = course.fact.name or "antimicrobial"
            for first, last in course.spans:
                yield Drug(course.fact, name, first, last, is_prophylaxis)


def _episode_edges(case: Case, episode: Episode) -> tuple[set[date], set[datetime]]:
    days: set[date] = set()
    instants = {
        case.time.earliest(when) for when in (episode.begin, episode.resolved) if when is not None
    }
    for drug in episode.drugs:
        if drug.first is not None:
            days.add(drug.first)
        if drug.last is not None:
            days |= {drug.last, drug.last + ONE_DAY}
    return days, instants


def _active(case: Case, rule: ActiveInfectionRule) -> Iterator[Check]:
    for episode in episodes(case):
        if episode.type in rule.infection_types:
            yield Check(
                _ActiveCheck(case, rule, episode), *union_edges([_episode_edges(case, episode)])
            )
    if statements(case.record, rule.condition):
        edges = condition_edges(case.record, rule.condition)
        yield Check(_StatedActiveCheck(case, rule), *union_edges([edges]))


@dataclass(frozen=True, slots=True)
class _ActiveCheck:
    case: Case
    rule: ActiveInfectionRule
    episode: Episode

    def __call__(self, at: Moment) -> Sequence[Finding]:
        if not self.episode.is_active(at, self.case):
            return ()
        running = [drug.name for drug in self.episode.drugs if drug.runs_on(at.day)]
        return (
            self.case.finding(
                self.rule.rule,
                "infection.active.treated" if running else "infection.active",
                episode=self.episode.fact.id,
                uses=(self.episode.fact,),
                since=self.episode.begin,
                drugs=", ".join(running),
            ),
        )


@dataclass(frozen=True, slots=True)
class _StatedActiveCheck:
    case: Case
    rule: ActiveInfectionRule

    def __call__(self, at: Moment) -> Sequence[Finding]:
        stated = present(self.case.record, self.rule.condition, at)
        return tuple(
            self.case.finding(
                self.rule.rule,
                "infection.active",
                episode=condition.id,
                uses=(condition,),
                since=condition.onset or condition.effective,
            )
            for condition in stated
        )


def _after(case: Case, rule: AfterInfectionRule) -> Iterator[Check]:
    for episode in episodes(case):
        if episode.type in rule.infection_types and episode.resolved is not None:
            days, instants = _episode_edges(case, episode)
            ends = {case.time.day_of(episode.resolved)}
            ends |= {drug.last for drug in episode.drugs if drug.last is not None}
            days |= {end + timedelta(days=rule.min_days) for end in ends} | ends
            parts = [(days, instants)]
            parts += [item_edges(case.record, item, ANY_AGE) for item in rule.require]
            yield Check(_AfterCheck(case, rule, episode), *union_edges(parts))


@dataclass(frozen=True, slots=True)
class _AfterCheck:
    case: Case
    rule: AfterInfectionRule
    episode: Episode

    def __call__(self, at: Moment) -> Sequence[Finding]:
        case, episode = self.case, self.episode
        if episode.is_active(at, case):
            return ()  # INF-002 says it
        anchor = episode.anchor(at, case)
        if anchor is None:
            return ()
        found: list[Finding] = []
        elapsed = (at.day - anchor).days
        if elapsed < self.rule.min_days:
            found.append(
                case.finding(
                    self.rule.rule,
                    "infection.after",
                    episode=episode.fact.id,
                    uses=(episode.fact,),
                    value=f"{elapsed} d",
                    limit=f"{self.rule.min_days} d",
                    since=anchor,
                    clears_at=anchor + timedelta(days=self.rule.min_days),
                )
            )
        found.extend(self._unsigned(anchor, at))
        return found

    def _unsigned(self, anchor: date, at: Moment) -> Iterator[Finding]:
        case = self.case
        for name in self.rule.require:
            item = case.protocol.item(name)
            age = type(ANY_AGE)(days=(at.day - anchor).days)
            known = item_known(case, name, at, age)
            if not known.is_known:
                yield case.finding(
                    self.rule.rule,
                    "infection.unsigned",
                    episode=self.episode.fact.id,
                    uses=(self.episode.fact, *known.about),
                    kind=FindingKind.MISSING,
                    since=anchor,
                    needs=(Need(name, item.owner, not_before=anchor, data_rule="DATA-008"),),
                    item=case.protocol.sentences.word(name),
                )


# Prophylaxis


def _prophylaxis(case: Case, rule: ProphylaxisRule) -> Iterator[Check]:
    drugs = [drug for drug in _courses_of_antimicrobials(case) if drug.is_prophylaxis]
    for infection in case.record.all(Infection):
        drugs += [
            _drug(infection, drug)
            for drug in infection.antimicrobials
            if drug.intent is Intent.PROPHYLAXIS
        ]
    for drug in drugs:
        days = {day for day in (drug.first, drug.last and drug.last + ONE_DAY) if day is not None}
        yield Check(_ProphylaxisCheck(case, rule, drug), frozenset(days))


@dataclass(frozen=True, slots=True)
class _ProphylaxisCheck:
    case: Case
    rule: ProphylaxisRule
    drug: Drug

    def __call__(self, at: Moment) -> Sequence[Finding]:
        if not self.drug.runs_on(at.day):
            return ()
        return (
            self.case.finding(
                self.rule.rule,
                "infection.prophylaxis",
                episode=f"{self.drug.fact.id}:{self.drug.name}",
                uses=(self.drug.fact,),
                effect=Effect.INFO,
                drug=self.drug.name,
            ),
        )
