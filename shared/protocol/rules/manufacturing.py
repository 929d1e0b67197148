"""Rules at the start of culture and at release: time windows, tests of the specification.

Invariant: a test without a result, or with one that cannot be read, never counts as passed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from shared.contracts.vocabulary import Gate
from shared.protocol.clinic_time import TICK, Moment
from shared.protocol.facts import Collection, Product, ReleaseTest
from shared.protocol.findings import EFFECT_RANK, Effect, Finding, FindingKind, Need
from shared.protocol.rulebook.rows import HarvestRule, ReleaseRule, StartWindowRule
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.conditions import has_come
from shared.protocol.rules.known import MISSING
from shared.protocol.rules.measurements import shown
from shared.protocol.rules.product import (
    FREEZE_CLOCK,
    FRESH_CLOCK,
    ICE_CLOCK,
    THAW_CLOCK,
    clock,
    clock_edges,
    newest_result,
)

ENDOTOXIN, DMSO = "endotoxin_dose", "dmso_dose"
CLOCKS = frozenset({FRESH_CLOCK, THAW_CLOCK, FREEZE_CLOCK, ICE_CLOCK})


def manufacturing_checks(case: Case) -> Iterator[Check]:
    """Yield the checks at manufacturing start and at release."""
    if case.gate is Gate.MANUFACTURING_START:
        rule = case.protocol.product.start_window
        yield Check(_StartCheck(case, rule), (), frozenset(_start_edges(case, rule)))
    if case.gate is Gate.RELEASE:
        times = frozenset(_release_edges(case))
        yield Check(_HarvestCheck(case, case.protocol.product.harvest))
        for row in case.protocol.product.release:
            if case.covers(row.rule):
                yield Check(_ReleaseCheck(case, row), (), times)


def _start_edges(case: Case, rule: StartWindowRule) -> Iterator[datetime]:
    for collection in case.record.all(Collection):
        if collection.day is not None:
            begin = case.time.earliest(collection.day)
            yield begin
            for hours in (rule.review_hours, rule.max_hours):
                yield begin + timedelta(hours=hours) + TICK


@dataclass(frozen=True, slots=True)
class _StartCheck:
    """Hours since the last collection; of a day without a time, since it began."""

    case: Case
    rule: StartWindowRule

    def __call__(self, at: Moment) -> Sequence[Finding]:
        time = self.case.time
        done = [
            (time.earliest(c.day), c)
            for c in self.case.record.all(Collection)
            if c.day is not None and has_come(c.day, at, time)
        ]
        if not done:
            return (self._missing(),)
        begin, collection = max(done, key=lambda pair: (pair[0], pair[1].id))
        elapsed = at.instant - begin
        for hours, effect in (
            (self.rule.max_hours, Effect.HOLD),
            (self.rule.review_hours, Effect.REVIEW),
        ):
            if elapsed > timedelta(hours=hours):
                return (self._late(collection, elapsed, hours, effect),)
        return ()

    def _late(
        self, collection: Collection, elapsed: timedelta, hours: int, effect: Effect
    ) -> Finding:
        gone = Fraction(int(elapsed.total_seconds()), int(timedelta(hours=1).total_seconds()))
        return self.case.finding(
            self.rule.rule,
            "manufacturing.late_start",
            episode=collection.id,
            uses=(collection,),
            effect=effect,
            value=f"{shown(gone)} h",
            limit=f"{hours} h",
            since=collection.day,
        )

    def _missing(self) -> Finding:
        item = self.case.protocol.item("starting_material")
        return self.case.finding(
            self.rule.rule,
            "manufacturing.no_collection",
            episode=item.name,
            kind=FindingKind.MISSING,
            needs=(Need(item.name, item.owner, data_rule=MISSING),),
        )


def lot_to_release(case: Case) -> Product | None:
    """Return the product that a release asks about: the one that is not yet released."""
    waiting = [
        p
        for p in case.record.all(Product)
        if p.state not in ("released", "discarded", "rejected", "recalled", "given")
    ]
    candidates = waiting or list(case.record.all(Product))
    lots = {p.lot for p in candidates}
    return min(candidates, key=lambda p: p.dose_id) if len(lots) == 1 else None


def _release_edges(case: Case) -> Iterator[datetime]:
    for test in case.record.all(ReleaseTest):
        if test.reported is not None:
            yield case.time.earliest(test.reported)
    for row in case.protocol.product.release:
        if row.test in CLOCKS:
            yield from clock_edges(case, row)


@dataclass(frozen=True, slots=True)
class _HarvestCheck:
    case: Case
    rule: HarvestRule

    def __call__(self, at: Moment) -> Sequence[Finding]:
        bag = lot_to_release(self.case)
        if bag is None or bag.culture_started_on is None or bag.harvested_on is None:
            return (_unknown(self.case, self.rule, "manufacturing.harvest_unknown"),)
        day = (bag.harvested_on - bag.culture_started_on).days
        if self.rule.min_day <= day <= self.rule.max_day:
            return ()
        return (
            self.case.finding(
                self.rule.rule,
                "manufacturing.harvest_day",
                episode=f"lot:{bag.lot or bag.dose_id}",
                uses=(bag,),
                value=f"day {day}",
                limit=f"day {self.rule.min_day} to {self.rule.max_day}",
                since=bag.harvested_on,
            ),
        )


def _unknown(case: Case, rule: HarvestRule | ReleaseRule, sentence: str) -> Finding:
    item = case.protocol.item("release_test")
    test = rule.test if isinstance(rule, ReleaseRule) else "harvest"
    return case.finding(
        rule.rule,
        sentence,
        episode=f"release:{test}",
        kind=FindingKind.MISSING,
        needs=(Need(test, item.owner, data_rule=MISSING),),
        test=case.protocol.sentences.word(test),
    )


@dataclass(frozen=True, slots=True)
class _ReleaseCheck:
    """One row of the release specification for the lot that is to be released."""

    case: Case
    rule: ReleaseRule

    def __call__(self, at: Moment) -> Sequence[Finding]:
        bag = lot_to_release(self.case)
        if bag is None:
            return (_unknown(self.case, self.rule, "manufacturing.no_result"),)
        if self.rule.form is not None and bag.form is not None and self.rule.form != bag.form:
            return ()
        if self.rule.test in CLOCKS:
            return self._clock(bag, at)
        return self._result(bag, at)

    def _clock(self, bag: Product, at: Moment) -> Sequence[Finding]:
        found = clock(self.case, self.rule, bag)
        if found is None or (found.ends is not None and at.instant <= found.ends):
            return ()
        if not found.is_known or found.ends is None:
            return (_unknown(self.case, self.rule, "manufacturing.no_result"),)
        return (
            self.case.finding(
                self.rule.rule,
                "product.expired",
                episode=f"product:{bag.dose_id}",
                uses=(bag,),
                limit=f"{shown(self.rule.limits.max or Fraction(0))} {self.rule.unit}",
                since=found.ends,
                dose=bag.dose_id,
            ),
        )

    def _result(self, bag: Product, at: Moment) -> Sequence[Finding]:
        result = newest_result(self.case, self.rule, bag, at)
        amount = self._computed(bag) if result is None else _amount(result, self.rule)
        if self.rule.pass_words:
            word = None if result is None or result.result is None else _word(result.result)
            if word is None:
                return (_unknown(self.case, self.rule, "manufacturing.no_result"),)
            return () if word in self.rule.pass_words else (self._failed(bag, result, word),)
        if amount is None:
            return (_unknown(self.case, self.rule, "manufacturing.no_result"),)
        crossed = self.rule.limits.judge(amount, amount)
        if crossed is None:
            return ()
        effect = max(crossed[0], Effect.REVIEW, key=EFFECT_RANK.__getitem__)
        return (self._failed(bag, result, shown(amount), effect, crossed[1]),)

    def _computed(self, bag: Product) -> Fraction | None:
        """Return a dose that follows from the bag itself: endotoxin or DMSO per weight."""
        match self.rule.test:
            case "endotoxin_dose":
                parts = (bag.endotoxin_EU_per_mL, bag.volume_mL, bag.weight_kg, bag.infusion_h)
                if None in parts or not bag.weight_kg or not bag.infusion_h:
                    return None
                strength, volume, weight, hours = (Fraction(p) for p in parts if p is not None)
                return strength * volume / weight / hours
            case "dmso_dose":
                if bag.dmso_g is None or not bag.weight_kg:
                    return None
                return Fraction(bag.dmso_g) / Fraction(bag.weight_kg)
            case _:
                return None

    def _failed(
        self,
        bag: Product,
        result: ReleaseTest | None,
        value: str,
        effect: Effect = Effect.HOLD,
        limit: Fraction | None = None,
    ) -> Finding:
        return self.case.finding(
            self.rule.rule,
            "product.failed",
            episode=f"lot:{bag.lot or bag.dose_id}",
            uses=(bag,) if result is None else (result, bag),
            effect=effect,
            value=f"{value} {self.rule.unit or ''}".strip(),
            limit=None if limit is None else f"{shown(limit)} {self.rule.unit or ''}".strip(),
            since=None if result is None else result.reported,
            test=self.case.protocol.sentences.word(self.rule.test),
        )


def _amount(result: ReleaseTest, rule: ReleaseRule) -> Fraction | None:
    """Return a result in the rule's unit; another unit is not read as if it were the same."""
    if result.value is None or (result.unit or rule.unit) != rule.unit:
        return None
    return Fraction(result.value)


def _word(stated: str) -> str:
    return stated.strip().lower().replace(" ", "_").replace("-", "_")
