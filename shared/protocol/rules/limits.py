"""Limits of laboratory values, vital signs, performance status and other measured things.

Invariant: only values in date are judged, and of several that cannot be ordered the worst counts
(DATA-003). What is not known is the evidence rules' to report, so that it is said once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from shared.contracts.vocabulary import Gate
from shared.protocol.clinic_time import Moment, birthday
from shared.protocol.facts import Collection
from shared.protocol.findings import EFFECT_RANK, Effect, Finding, FindingKind, Need
from shared.protocol.record import Record
from shared.protocol.rulebook.rows import Age, Limits, MetricRule, Rule, WashoutRule
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.conditions import condition_edges, is_present
from shared.protocol.rules.courses import Course, courses, rule_ids
from shared.protocol.rules.known import (
    ANY_AGE,
    Known,
    evidence_of,
    metric_edges,
    metric_known,
    union_edges,
)
from shared.protocol.rules.measurements import (
    Value,
    age_years,
    mentioned,
    patient,
    shown,
    standing,
    values,
)
from shared.protocol.words import Sex

GILBERT = "gilbert_syndrome"
NOT_CHILDBEARING = ("hysterectomy", "menopause")


@dataclass(frozen=True, slots=True)
class Judged:
    """The worst of the values in date against a rule's limits."""

    effect: Effect
    value: Value
    limit: Fraction | None


def limit_checks(case: Case) -> Iterator[Check]:
    """Yield a check for each limit that holds at the gate."""
    ages = evidence_of(case.record, case.gate)
    labs = {rule.rule.id: rule for rule in case.protocol.labs}
    for rule in _limit_rules(case):
        partner = _partner(rule, labs)
        about = (rule,) if partner is None else (rule, partner)
        # A stand-in without evidence row of its own is as old as what it stands in for may be.
        rows = [ages[each.metric] for each in about if each.metric in ages]
        age = rows[0][1] if rows else ANY_AGE
        days, instants = _edges(case, about, age)
        if rule.bands:
            yield Check(_BandCheck(case, rule, age), days, instants)
        elif not rows:
            yield Check(_OwnEvidenceCheck(case, rule), days, instants)
        else:
            yield Check(_LimitCheck(case, about, age), days, instants)
            yield Check(_DisagreementCheck(case, rule, age), days, instants)


def _limit_rules(case: Case) -> Iterator[MetricRule]:
    for rule in case.protocol.patient_rules:
        if isinstance(rule, MetricRule) and case.covers(rule.rule) and _is_plain(rule):
            yield rule
    for rule in case.protocol.labs:
        if case.gate in rule.limits:
            yield rule


def _is_plain(rule: MetricRule) -> bool:
    """True for a limit that is judged here; fever, age and irAE grades have their own families."""
    return rule.lookback_hours is None and rule.metric not in ("age", "irae_grade")


def _partner(rule: MetricRule, labs: dict[str, MetricRule]) -> MetricRule | None:
    """Return the rule whose value may stand in for this one's, either way round."""
    if rule.alternative_to is not None:
        return labs[rule.alternative_to]
    return next((lab for lab in labs.values() if lab.alternative_to == rule.rule.id), None)


def _edges(
    case: Case, about: Sequence[MetricRule], age: Age
) -> tuple[frozenset[date], frozenset[datetime]]:
    # Only what this limit depends on: every edge costs an answer in each timeline.
    parts = [metric_edges(case.record, rule.metric, age) for rule in about]
    own = about[0]
    if own.gilbert:
        parts.append(condition_edges(case.record, GILBERT))
    if own.applies is not None:
        parts += [condition_edges(case.record, concept) for concept in NOT_CHILDBEARING]
        parts.append((set(birthdays(case, own)), set()))
    if own.by_method:
        collections = case.record.all(Collection)
        parts.append(({day for c in collections for day in _method_days(case, c)}, set()))
    return union_edges(parts)


def _method_days(case: Case, collection: Collection) -> Iterator[date]:
    for when in (collection.day, collection.planned):
        if when is not None:
            yield from _with_next(case.time.day_of(when))


def _with_next(day: date) -> Iterator[date]:
    yield day
    yield date.fromordinal(day.toordinal() + 1)


def birthdays(case: Case, rule: MetricRule) -> Iterator[date]:
    """Yield the birthdays on which a limit begins or ceases to apply to the patient."""
    person = patient(case.record)
    if rule.applies is None or person is None or person.birth_date is None:
        return
    for years in (rule.applies.age_min_years, rule.applies.age_max_years + 1):
        yield birthday(person.birth_date, years)


def applies(case: Case, rule: MetricRule, at: Moment) -> bool:
    """True unless it is known that the limit is not about this patient."""
    whom = rule.applies
    if whom is None:
        return True
    person = patient(case.record)
    if person is not None:
        if person.sex is not None and person.sex is not Sex.UNKNOWN and person.sex != whom.sex:
            return False
        if person.childbearing_potential is False:
            return False
    age = age_years(case.record, at.day)
    if age is not None and not whom.age_min_years <= age <= whom.age_max_years:
        return False
    return not any(is_present(case.record, concept, at) for concept in NOT_CHILDBEARING)


@dataclass(frozen=True, slots=True)
class _LimitCheck:
    """The first rule, judged together with its alternative: the better of the two decides."""

    case: Case
    about: tuple[MetricRule, ...]
    age: Age

    def __call__(self, at: Moment) -> Sequence[Finding]:
        own = self.about[0]
        if not applies(self.case, own, at):
            return ()
        blurred = self._blurred(own, at)
        if blurred is not None:
            return (blurred,)
        judged = [self._judged(rule, at) for rule in self.about]
        if judged[0] is None or judged[0].effect is Effect.INFO:
            return ()
        known = [found for found in judged if found is not None]
        best = min(EFFECT_RANK[found.effect] for found in known)
        if EFFECT_RANK[judged[0].effect] > best:
            return ()
        return (_outside(self.case, own.rule, own, judged[0]),)

    def _blurred(self, rule: MetricRule, at: Moment) -> Finding | None:
        """Return the finding that a transfusion shortly before the sample makes it unknown."""
        known = metric_known(self.case.record, rule.metric, at, self.age).in_date
        for value in known:
            given = transfused(self.case, value)
            if given is not None:
                return self._unknown(rule, value, *given)
        return None

    def _unknown(self, rule: MetricRule, value: Value, given: date, days: int) -> Finding:
        case, clear = self.case, given + timedelta(days=days)
        row = evidence_of(case.record, case.gate)[rule.metric][0]
        item = case.protocol.item(row.item)
        return case.finding(
            rule.rule,
            "limit.transfused",
            episode=f"{rule.metric}:transfusion",
            uses=(value.fact,),
            effect=Effect.HOLD,
            kind=FindingKind.MISSING,
            value=value.shown,
            limit=f"{days} d",
            since=given,
            needs=(Need(item.name, item.owner, self.age.days, not_before=clear),),
            metric=case.protocol.sentences.word(rule.metric),
        )

    def _judged(self, rule: MetricRule, at: Moment) -> Judged | None:
        found = metric_known(self.case.record, rule.metric, at, self.age)
        return worst(found, limits_at(self.case, rule, at))


def transfused(case: Case, value: Value) -> tuple[date, int] | None:
    """Return the day of a transfusion too short before the sample, and the days that it needs."""
    for row, given in _transfusions(case.record):
        if value.metric in row.invalidates and case.gate in row.min_days:
            days = row.min_days[case.gate]
            last = [at for c in given if (at := c.given_on_or_before(value.day)) is not None]
            if last and (value.day - max(last)).days < days:
                return max(last), days
    return None


def _transfusions(record: Record) -> list[tuple[WashoutRule, list[Course]]]:
    found = record.shared.get("transfusions")
    if found is None:
        rows = [row for row in record.protocol.washouts if row.invalidates]
        pairs = [
            (row, [c for c in courses(record) if row.rule.id in rule_ids(c, record)])
            for row in rows
        ]
        found = record.shared["transfusions"] = [pair for pair in pairs if pair[1]]
    return found  # type: ignore[return-value]  # only this function writes the key


def worst(found: Known, limits: Limits) -> Judged | None:
    """Return the worst value in date; None when there is none."""
    judged = [_judge(value, limits) for value in found.in_date]
    return max(judged, key=lambda j: (EFFECT_RANK[j.effect], j.value.fact.id), default=None)


def _judge(value: Value, limits: Limits) -> Judged:
    if limits.negative:
        return Judged(Effect.HOLD if value.word else Effect.INFO, value, None)
    crossed = limits.judge(value.low, value.high)
    return Judged(*((crossed[0], value, crossed[1]) if crossed else (Effect.INFO, value, None)))


def limits_at(case: Case, rule: MetricRule, at: Moment) -> Limits:
    """Return the limits of a rule at the gate, for this patient and way of collecting."""
    if rule.gilbert and case.gate in rule.gilbert and is_present(case.record, GILBERT, at):
        return rule.gilbert[case.gate]
    if rule.by_method and case.gate is Gate.COLLECTION:
        method = planned_method(case, at)
        if method is not None and method in rule.by_method:
            return rule.by_method[method][case.gate]
    return rule.limits[case.gate]


def planned_method(case: Case, at: Moment) -> str | None:
    """Return how the collection that is asked about will be done; None when not stated."""
    ahead = [
        (day, collection.id, collection.method)
        for collection in case.record.all(Collection)
        for when in (collection.planned, collection.day)
        if when is not None and (day := case.time.day_of(when)) >= at.day
    ]
    return min(ahead)[2] if ahead else None


def _outside(case: Case, rule: Rule, metric: MetricRule, judged: Judged) -> Finding:
    unit = "" if metric.unit in ("1", "{ULN}", "{INR}") else f" {metric.unit}"
    suffix = "x ULN" if metric.unit == "{ULN}" else unit.strip()
    limit = None if judged.limit is None else f"{shown(judged.limit)} {suffix}".strip()
    return case.finding(
        rule,
        "limit.positive" if judged.limit is None else f"limit.{judged.effect.value}",
        episode=metric.metric,
        uses=(judged.value.fact,),
        effect=judged.effect,
        value=judged.value.shown,
        limit=limit,
        since=judged.value.fact.effective,
        metric=case.protocol.sentences.word(metric.metric),
    )


@dataclass(frozen=True, slots=True)
class _BandCheck:
    """Performance status: a contraindication stays until a newer value, whatever its age."""

    case: Case
    rule: MetricRule
    age: Age

    def __call__(self, at: Moment) -> Sequence[Finding]:
        metric, record = self.rule.metric, self.case.record
        fresh = metric_known(record, metric, at, self.age).in_date
        old = [v for v in standing(values(record, metric), at) if v.is_usable]
        for band in sorted(self.rule.bands, key=lambda b: b.min, reverse=True):
            among = old if band.effect is Effect.CONTRAINDICATED else fresh
            in_band = [v for v in among if v.high is None or v.high >= band.min]
            if in_band:
                value = max(in_band, key=lambda v: (v.high or 0, v.fact.id))
                return (
                    self.case.finding(
                        self.rule.rule,
                        "limit.band",
                        episode=metric,
                        uses=(value.fact,),
                        effect=band.effect,
                        value=value.shown,
                        limit=f"below {shown(band.min)}",
                        since=value.fact.effective,
                        override=(band.override, band.by),
                        metric=self.case.protocol.sentences.word(metric),
                    ),
                )
        return ()


@dataclass(frozen=True, slots=True)
class _OwnEvidenceCheck:
    """A limit whose metric has no evidence row: it reports itself when not known."""

    case: Case
    rule: MetricRule

    def __call__(self, at: Moment) -> Sequence[Finding]:
        case, rule = self.case, self.rule
        found = metric_known(case.record, rule.metric, at, ANY_AGE)
        judged = worst(found, rule.limits[case.gate])
        if judged is not None and judged.effect is not Effect.INFO:
            return (_outside(case, rule.rule, rule, judged),)
        if found.reason is None or (case.record.assume and not mentioned(case.record, rule.metric)):
            return ()
        item = case.protocol.tables.items.get(rule.metric)
        owner = "coordinator" if item is None else item.owner
        return (
            case.finding(
                rule.rule,
                "limit.missing",
                episode=rule.metric,
                uses=found.about,
                effect=Effect.HOLD,
                kind=found.kind,
                needs=(Need(rule.metric, owner, data_rule=found.reason),),
                metric=case.protocol.sentences.word(rule.metric),
            ),
        )


@dataclass(frozen=True, slots=True)
class _DisagreementCheck:
    """DATA-003 as information: two results of one time differ, and the worse one counts."""

    case: Case
    rule: MetricRule
    age: Age

    def __call__(self, at: Moment) -> Sequence[Finding]:
        record, metric = self.case.record, self.rule.metric
        found = metric_known(record, metric, at, self.age).in_date
        finals = [value for value in found if value.may_clear]
        if len({(value.low, value.high, value.word) for value in finals}) < 2:  # noqa: PLR2004
            return ()
        return (
            self.case.finding(
                self.case.protocol.rules["DATA-003"],
                "data.disagree",
                episode=metric,
                uses=tuple(value.fact for value in finals),
                effect=Effect.INFO,
                kind=FindingKind.CONDITION,
                value=" / ".join(value.shown for value in finals),
                metric=self.case.protocol.sentences.word(metric),
            ),
        )
