"""The bag at the infusion gate: which one is asked about, its clocks, its late test results.

Invariant: a bag past a clock never becomes usable again, and nobody may override a clock; without
a released bag on record nothing is said to be usable.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from shared.contracts.vocabulary import Gate
from shared.protocol.clinic_time import TICK, Moment, plus_months
from shared.protocol.facts import Infusion, Product, ReleaseTest, Stated
from shared.protocol.findings import Effect, Finding, FindingKind, Need
from shared.protocol.rulebook.rows import ReleaseRule
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.conditions import has_begun, has_come
from shared.protocol.rules.course_rules import pause_edges, paused
from shared.protocol.rules.known import MISSING
from shared.protocol.rules.measurements import shown
from shared.protocol.words import ProductForm

RELEASED = frozenset({"released", "released_sterility_pending"})
PENDING = frozenset({"pending", "no_growth_so_far"})
NOT_YET_RELEASED = frozenset({"planned", "in_process", "quarantine", "awaiting_release"})
RELEASE_ITEM = "product_release"
FRESH_CLOCK, THAW_CLOCK = "expiry_fresh_2_8C", "expiry_after_thaw"
FREEZE_CLOCK, ICE_CLOCK = "expiry_cryo", "dry_ice_transport"


def chosen(case: Case, at: Moment) -> Product | None:
    """Return the bag that the gate asks about; None when none or several could be meant.

    A paused infusion asks about its own bag, a planned one about the bag that it names; otherwise
    it is the one bag from which no infusion was given.
    """
    products = case.record.all(Product)
    resumed = paused(case, at)
    named = resumed.dose_id if resumed is not None else _planned_dose(case)
    if named is not None:
        return next((p for p in products if p.dose_id == named), None)
    if resumed is not None:
        return None
    given = {
        infusion.dose_id
        for infusion in case.record.all(Infusion)
        if infusion.day is not None and has_come(infusion.day, at, case.time)
    }
    left = [p for p in products if p.dose_id not in given]
    return left[0] if len(left) == 1 else None


def _planned_dose(case: Case) -> str | None:
    """Return the bag of the next infusion that is planned and not given."""
    ahead = [
        (infusion.n, infusion.id, infusion.dose_id)
        for infusion in case.record.all(Infusion)
        if infusion.day is None and infusion.dose_id is not None
    ]
    return min(ahead)[2] if ahead else None


def product_checks(case: Case) -> Iterator[Check]:
    """Yield the checks of the bag at infusion and dose issue."""
    if not case.asks_for_infusion:
        return
    starts = frozenset(_infusion_times(case))
    yield Check(_UsableCheck(case), (), starts)
    for rule in case.protocol.product.release:
        if Gate.INFUSION not in rule.rule.scope:
            continue
        if rule.test in (FRESH_CLOCK, THAW_CLOCK, FREEZE_CLOCK, ICE_CLOCK):
            yield Check(_ClockCheck(case, rule), (), starts | frozenset(clock_edges(case, rule)))
        else:
            yield Check(_LateResultCheck(case, rule), (), starts | frozenset(_result_times(case)))


def _infusion_times(case: Case) -> Iterator[datetime]:
    yield from pause_edges(case)
    for infusion in case.record.all(Infusion):
        if infusion.day is not None:
            yield case.time.earliest(infusion.day)


def _result_times(case: Case) -> Iterator[datetime]:
    for test in case.record.all(ReleaseTest):
        if test.reported is not None:
            yield case.time.earliest(test.reported)


@dataclass(frozen=True, slots=True)
class _UsableCheck:
    """There is one bag, and it is released."""

    case: Case

    def __call__(self, at: Moment) -> Sequence[Finding]:
        bag = chosen(self.case, at)
        if bag is None:
            return (self._missing(),)
        if bag.state in RELEASED:
            return ()
        if bag.state in NOT_YET_RELEASED:
            return (self._missing(bag),)
        return (
            self.case.finding(
                self.case.protocol.rules["DATA-008"],
                "product.unusable",
                episode=f"product:{bag.dose_id}",
                uses=(bag,),
                value=bag.state,
                dose=bag.dose_id,
            ),
        )

    def _missing(self, *uses: Stated) -> Finding:
        item = self.case.protocol.item(RELEASE_ITEM)
        return self.case.finding(
            self.case.protocol.rules["DATA-008"],
            "product.missing",
            episode=RELEASE_ITEM,
            uses=uses,
            kind=FindingKind.MISSING,
            needs=(Need(item.name, item.owner, data_rule=MISSING),),
        )


@dataclass(frozen=True, slots=True)
class Clock:
    """The last instant at which a bag may be used; `is_known` False: it cannot be told."""

    ends: datetime | None
    is_known: bool = True


def clock(case: Case, rule: ReleaseRule, bag: Product) -> Clock | None:
    """Return a bag's clock of that rule; None when the rule is not about this bag."""
    match rule.test:
        case "expiry_fresh_2_8C":
            return _fresh(case, rule, bag) if bag.form is ProductForm.FRESH else None
        case "expiry_after_thaw":
            return _thawed(case, rule, bag)
        case "expiry_cryo":
            return _frozen(case, rule, bag) if bag.form is not ProductForm.FRESH else None
        case _:
            return _shipped(case, rule, bag)


def _fresh(case: Case, rule: ReleaseRule, bag: Product) -> Clock:
    """The earlier of the printed expiry and the hours from formulation."""
    ends = []
    if bag.formulated_at is not None and rule.limits.max is not None:
        ends.append(case.time.earliest(bag.formulated_at) + _hours(rule.limits.max))
    if bag.expires_at is not None:
        ends.append(case.time.latest(bag.expires_at))
    return Clock(min(ends), True) if ends else Clock(None, is_known=False)


def _thawed(case: Case, rule: ReleaseRule, bag: Product) -> Clock | None:
    if bag.thawed_at is None:
        return None
    minutes = rule.limits.max or Fraction(0)
    return Clock(case.time.earliest(bag.thawed_at) + _minutes(minutes))


def _frozen(case: Case, rule: ReleaseRule, bag: Product) -> Clock:
    """The end of the same day so many months after freezing, or an earlier printed expiry.

    A printed expiry at midnight names the day, so it ends with that day too.
    """
    if bag.form is None or bag.cryopreserved_on is None or rule.limits.max is None:
        return Clock(None, is_known=False)
    frozen = case.time.day_of(bag.cryopreserved_on)
    ends = case.time.end_of(plus_months(frozen, int(rule.limits.max)))
    if bag.expires_at is None:
        return Clock(ends)
    return Clock(min(ends, case.time.latest(_printed(case, bag.expires_at))))


def _printed(case: Case, expires: date | datetime) -> date | datetime:
    day = case.time.day_of(expires)
    return day if case.time.earliest(expires) == case.time.start_of(day) else expires


def _shipped(case: Case, rule: ReleaseRule, bag: Product) -> Clock | None:
    if bag.dry_ice_from is None:
        return None
    limit = case.time.earliest(bag.dry_ice_from) + _hours(rule.limits.max or Fraction(0))
    if bag.dry_ice_to is not None:
        # The journey is over: it was within its time for good, or it never was.
        return None if case.time.latest(bag.dry_ice_to) <= limit else Clock(limit)
    return Clock(limit)


def _hours(count: Fraction) -> timedelta:
    return timedelta(hours=float(count))


def _minutes(count: Fraction) -> timedelta:
    return timedelta(minutes=float(count))


def clock_edges(case: Case, rule: ReleaseRule) -> Iterator[datetime]:
    """Yield the first instants at which bags are past a clock."""
    for bag in case.record.all(Product):
        found = clock(case, rule, bag)
        if found is not None and found.ends is not None:
            yield found.ends + TICK


@dataclass(frozen=True, slots=True)
class _ClockCheck:
    case: Case
    rule: ReleaseRule

    def __call__(self, at: Moment) -> Sequence[Finding]:
        bag = chosen(self.case, at)
        found = None if bag is None else clock(self.case, self.rule, bag)
        if bag is None or found is None:
            return ()
        if not found.is_known:
            item = self.case.protocol.item(RELEASE_ITEM)
            return (
                self._finding(
                    "product.clock_unknown",
                    bag,
                    kind=FindingKind.MISSING,
                    needs=(Need(item.name, item.owner, data_rule=MISSING),),
                ),
            )
        if found.ends is None or at.instant <= found.ends:
            return ()
        return (self._finding("product.expired", bag, since=found.ends),)

    def _finding(self, sentence: str, bag: Product, **rest: object) -> Finding:
        limit, unit = self.rule.limits.max, self.rule.unit
        return self.case.finding(
            self.rule.rule,
            sentence,
            episode=f"product:{bag.dose_id}",
            uses=(bag,),
            limit=None if limit is None else f"{shown(limit)} {unit}",
            dose=bag.dose_id,
            **rest,  # type: ignore[arg-type]  # the named arguments of finding, passed on
        )


def newest_result(case: Case, rule: ReleaseRule, bag: Product, at: Moment) -> ReleaseTest | None:
    """Return the newest result of a test for a bag or its lot; of one time the failing one."""
    found = [
        test
        for test in case.record.all(ReleaseTest)
        if test.test == rule.test
        and has_begun(test.reported or test.effective, at, case.time)
        and _is_for(test, bag)
    ]

    def newest_first(test: ReleaseTest) -> tuple[datetime, bool, str]:
        when = test.reported or test.effective
        begin = case.time.earliest(when) if when is not None else case.time.start_of(date(1, 1, 2))
        return begin, test.result in rule.fail_words, test.id

    return max(found, key=newest_first, default=None)


def _is_for(test: ReleaseTest, bag: Product) -> bool:
    if test.dose_id is not None:
        return test.dose_id == bag.dose_id
    return test.lot is None or bag.lot is None or test.lot == bag.lot


@dataclass(frozen=True, slots=True)
class _LateResultCheck:
    """A test that is looked at again at infusion: failing holds, pending does not."""

    case: Case
    rule: ReleaseRule

    def __call__(self, at: Moment) -> Sequence[Finding]:
        bag = chosen(self.case, at)
        if bag is None:
            return ()
        result = newest_result(self.case, self.rule, bag, at)
        if result is None or result.result is None:
            return ()
        word = result.result.strip().lower().replace(" ", "_").replace("-", "_")
        if word in self.rule.pass_words or word in PENDING:
            return ()
        return (
            self.case.finding(
                self.rule.rule,
                "product.failed",
                episode=f"lot:{bag.lot or bag.dose_id}",
                uses=(result, bag),
                effect=Effect.HOLD,
                value=result.result,
                since=result.reported,
                test=self.case.protocol.sentences.word(self.rule.test),
            ),
        )
