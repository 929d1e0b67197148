"""Fever before a gate, alone and together with too few neutrophils (INF-001, INF-015).

Invariant: every temperature of the hours before the gate counts, also one that is too old as a
vital sign; at exactly that many hours it is clear. Expiry pressure never shortens it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from shared.protocol.clinic_time import Moment
from shared.protocol.facts import Infection, Stated
from shared.protocol.findings import Finding
from shared.protocol.rulebook.rows import FebrileNeutropeniaRule, MetricRule
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.conditions import condition_edges, infection_begin, present
from shared.protocol.rules.known import (
    ANY_AGE,
    evidence_of,
    metric_edges,
    metric_known,
    union_edges,
)
from shared.protocol.rules.measurements import Value, shown, values

TEMPERATURE, NEUTROPHILS = "body_temp", "anc"


@dataclass(frozen=True, slots=True)
class Fever:
    """A time of fever: from `begin`, last seen at `end`."""

    fact: Stated
    begin: datetime
    end: datetime
    shown: str


def fevers(case: Case, limit: Fraction) -> tuple[Fever, ...]:
    """Return every temperature at or above the limit, and fevers stated with an infection."""
    found = [
        Fever(value.fact, value.earliest, value.latest, value.shown)
        for value in values(case.record, TEMPERATURE)
        if value.is_usable and _reaches(value, limit)
    ]
    for infection in case.record.all(Infection):
        if infection.fever_until is not None:
            time = case.time
            begin = infection_begin(infection) or infection.fever_until
            end = time.latest(infection.fever_until)
            found.append(Fever(infection, min(time.earliest(begin), end), end, ""))
    return tuple(found)


def _reaches(value: Value, limit: Fraction) -> bool:
    return value.high is None or value.high >= limit


def _fever_edges(found: Sequence[Fever], hours: int) -> set[datetime]:
    starts = {fever.begin for fever in found}
    return starts | {fever.end + timedelta(hours=hours) for fever in found}


def fever_check(case: Case, rule: MetricRule) -> Check:
    """Return the check that no temperature at or above the limit lies in the hours before."""
    limit, hours = rule.limits[case.gate].hold_min or Fraction(0), rule.lookback_hours or 0
    found = fevers(case, limit)

    def find(at: Moment) -> Sequence[Finding]:
        recent = _recent(found, hours, at)
        if not recent:
            return ()
        last = max(recent, key=lambda fever: (fever.end, fever.fact.id))
        return (
            case.finding(
                rule.rule,
                "infection.fever",
                episode=rule.metric,
                uses=tuple(fever.fact for fever in recent),
                value=last.shown or None,
                limit=f"{shown(limit)} {rule.unit}",
                since=last.fact.effective or last.end,
                clears_at=last.end + timedelta(hours=hours),
                hours=hours,
            ),
        )

    return Check(find, (), frozenset(_fever_edges(found, hours)))


def _recent(found: Sequence[Fever], hours: int, at: Moment) -> list[Fever]:
    """Return the fevers of the hours before the moment; at exactly that many hours it is clear."""
    window = timedelta(hours=hours)
    return [f for f in found if f.begin <= at.instant < f.end + window]


def neutropenia_check(case: Case, rule: FebrileNeutropeniaRule) -> Check:
    """Return the check for fever with neutrophils below the limit, stated or measured."""
    found = fevers(case, rule.temp_min)
    ages = evidence_of(case.record, case.gate)
    age = ages[NEUTROPHILS][1] if NEUTROPHILS in ages else ANY_AGE
    hours = rule.lookback_hours

    def find(at: Moment) -> Sequence[Finding]:
        stated = present(case.record, rule.condition, at)
        recent = _recent(found, hours, at)
        known = metric_known(case.record, NEUTROPHILS, at, age).in_date if recent else ()
        low = [v for v in known if v.low is None or v.low < rule.anc_below]
        if not stated and not low:
            return ()
        because = (*stated, *(f.fact for f in recent if low), *(v.fact for v in low))
        clear = None if stated else max(f.end for f in recent) + timedelta(hours=hours)
        return (
            case.finding(
                rule.rule,
                "infection.febrile_neutropenia",
                episode=rule.condition,
                uses=because,
                clears_at=clear,
            ),
        )

    parts = [
        condition_edges(case.record, rule.condition),
        metric_edges(case.record, NEUTROPHILS, age),
    ]
    parts.append((set(), _fever_edges(found, hours)))
    return Check(find, *union_edges(parts))
