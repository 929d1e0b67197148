"""Immune-related adverse events: unresolved ones, and a life-threatening history.

Invariant: an event counts per organ by its newest grade; it is over when a newer statement says so
or when it is stated to be resolved.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from shared.protocol.clinic_time import Moment
from shared.protocol.facts import Irae
from shared.protocol.findings import Finding
from shared.protocol.resolution import BEFORE_ALL
from shared.protocol.rulebook.rows import ConditionRule, MetricRule
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.conditions import has_begun, has_come

GRADE = "irae_grade"


def immune_checks(case: Case) -> Iterator[Check]:
    """Yield the checks of the immune toxicity rules."""
    events = case.record.all(Irae)
    if not events:
        return
    times = {
        case.time.earliest(when)
        for event in events
        for when in (event.effective, event.resolved)
        if when is not None
    }
    for rule in case.protocol.patient_rules:
        if not case.covers(rule.rule):
            continue
        if isinstance(rule, MetricRule) and rule.metric == GRADE:
            yield Check(_UnresolvedCheck(case, rule), (), frozenset(times))
        elif isinstance(rule, ConditionRule) and rule.irae_grade_min is not None:
            yield Check(_HistoryCheck(case, rule), (), frozenset(times))


@dataclass(frozen=True, slots=True)
class _UnresolvedCheck:
    case: Case
    rule: MetricRule

    def __call__(self, at: Moment) -> Sequence[Finding]:
        newest: dict[str, list[Irae]] = {}
        for event in self.case.record.all(Irae):
            if has_begun(event.effective, at, self.case.time):
                newest.setdefault(event.organ or "", []).append(event)
        found = [self._judge(organ, newest[organ], at) for organ in sorted(newest)]
        return tuple(finding for finding in found if finding is not None)

    def _judge(self, organ: str, events: list[Irae], at: Moment) -> Finding | None:
        time, limits = self.case.time, self.rule.limits[self.case.gate]

        def newest_first(event: Irae) -> tuple[datetime, int, str]:
            begin = BEFORE_ALL if event.effective is None else time.earliest(event.effective)
            return begin, event.grade, event.id  # of one moment the higher grade counts

        last = max(events, key=newest_first)
        if has_come(last.resolved, at, time):
            return None
        crossed = limits.judge(Fraction(last.grade), Fraction(last.grade))
        if crossed is None:
            return None
        return self.case.finding(
            self.rule.rule,
            "immune.unresolved",
            episode=f"{GRADE}:{organ}",
            uses=(last,),
            effect=crossed[0],
            value=f"grade {last.grade}",
            limit=f"below grade {crossed[1]}",
            since=last.effective,
            organ=organ or self.case.protocol.sentences.word("organ_not_stated"),
        )


@dataclass(frozen=True, slots=True)
class _HistoryCheck:
    case: Case
    rule: ConditionRule

    def __call__(self, at: Moment) -> Sequence[Finding]:
        severe = tuple(e for e in self.case.record.all(Irae) if self._is_severe(e, at))
        if not severe:
            return ()
        return (
            self.case.finding(
                self.rule.rule,
                "immune.history",
                episode=f"{self.rule.condition}:history",
                uses=severe,
                since=severe[0].effective,
            ),
        )

    def _is_severe(self, event: Irae, at: Moment) -> bool:
        if not has_begun(event.effective, at, self.case.time):
            return False
        organs = self.rule.irae_organ_grade_min or {}
        limit = organs.get((event.organ or "").lower(), self.rule.irae_grade_min)
        return limit is not None and event.grade >= limit
