"""The rows of the rulebook as types, one per kind of rule.

Invariant: numbers are exact (Fraction) and in the unit of the rule; a gate that is absent from a
mapping is not checked by that row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from shared.contracts.vocabulary import Gate, OnRunning
from shared.protocol.findings import Effect, OverrideKind, RuleSource


@dataclass(frozen=True, slots=True)
class Rule:
    """What every rule carries. `order` is its place in listings; `line` its place in the file."""

    id: str
    title: str
    scope: frozenset[Gate]
    effect: Effect
    override: OverrideKind
    by: tuple[str, ...]
    source: RuleSource
    order: int
    line: int
    on_running: OnRunning = OnRunning.TELL


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds of one metric at one gate (protocol: semantics.threshold)."""

    min: Fraction | None = None
    max: Fraction | None = None
    review_min: Fraction | None = None
    review_max: Fraction | None = None
    hold_min: Fraction | None = None
    negative: bool = False

    def judge(self, low: Fraction | None, high: Fraction | None) -> tuple[Effect, Fraction] | None:
        """Return the worst effect between the two bounds of a value and the limit crossed.

        For an exact value both bounds are equal; None is an open end (a result such as "< 5").
        """
        return self._held(low, high) or self._reviewed(low, high)

    def _held(self, low: Fraction | None, high: Fraction | None) -> tuple[Effect, Fraction] | None:
        if self.min is not None and (low is None or low < self.min):
            return Effect.HOLD, self.min
        if self.max is not None and (high is None or high > self.max):
            return Effect.HOLD, self.max
        if self.hold_min is not None and (high is None or high >= self.hold_min):
            return Effect.HOLD, self.hold_min
        return None

    def _reviewed(
        self, low: Fraction | None, high: Fraction | None
    ) -> tuple[Effect, Fraction] | None:
        # In a hold_min row the review band lies below the hold; in a min row above it.
        if self.review_min is not None and self.hold_min is not None:
            if high is None or high >= self.review_min:
                return Effect.REVIEW, self.review_min
        elif self.review_min is not None and (low is None or low < self.review_min):
            return Effect.REVIEW, self.review_min
        if self.review_max is not None and (high is None or high > self.review_max):
            return Effect.REVIEW, self.review_max
        return None


@dataclass(frozen=True, slots=True)
class Band:
    """From `min` on, this effect (ELIG-003)."""

    min: Fraction
    effect: Effect
    override: OverrideKind
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Applies:
    """To whom a limit applies; unknown sex or age counts as yes."""

    sex: str
    age_min_years: int
    age_max_years: int


@dataclass(frozen=True, slots=True)
class MetricRule:
    """A measured value against limits. `by_method`: limits for one way of collecting."""

    rule: Rule
    metric: str
    unit: str
    limits: Mapping[Gate, Limits]
    bands: tuple[Band, ...] = ()
    lookback_hours: int | None = None
    alternative_to: str | None = None
    by_method: Mapping[str, Mapping[Gate, Limits]] | None = None
    gilbert: Mapping[Gate, Limits] | None = None
    applies: Applies | None = None


@dataclass(frozen=True, slots=True)
class RequireRule:
    """Items that must be on file. `dated` says how recent an item without evidence row must be.

    `at_permit`: answered at the press (identity, emergency kit), never a finding of a decision.
    """

    rule: Rule
    items: tuple[str, ...]
    dated: Mapping[Gate, str]
    at_permit: bool = False


@dataclass(frozen=True, slots=True)
class ConditionRule:
    """Something about the patient that is the case, stated or derived from results and reactions.

    `require`: items that turn a hold into the rule's own effect (`unmet` applies without them).
    """

    rule: Rule
    condition: str
    labs: tuple[str, ...] = ()
    infection_types: tuple[str, ...] = ()
    within_hours: int | None = None
    require: tuple[str, ...] = ()
    unmet: Effect | None = None
    reactions: Mapping[str, tuple[int, ...]] | None = None
    reaction_grade_min: int | None = None
    until: str | None = None
    resume_stable_minutes: int | None = None
    irae_grade_min: int | None = None
    irae_organ_grade_min: Mapping[str, int] | None = None
    after_infusion: bool = False


@dataclass(frozen=True, slots=True)
class FebrileNeutropeniaRule:
    """Fever together with too few neutrophils (INF-015)."""

    rule: Rule
    condition: str
    temp_min: Fraction
    anc_below: Fraction
    lookback_hours: int


@dataclass(frozen=True, slots=True)
class IndicationRule:
    """The cancer is one that the protocol evaluates (ELIG-015)."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class ActiveInfectionRule:
    """An infection that is not over, or a therapeutic antimicrobial running (INF-002)."""

    rule: Rule
    condition: str
    infection_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AfterInfectionRule:
    """Clear days after an infection (INF-003, INF-004)."""

    rule: Rule
    infection_types: tuple[str, ...]
    min_days: int
    require: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PositiveTestRule:
    """Clear days after a positive test, a negative one, and time without symptoms (INF-005)."""

    rule: Rule
    infection_types: tuple[str, ...]
    labs: tuple[str, ...]
    min_days: int
    symptom_free_hours: int
    negative_item: str
    symptom_free_item: str


@dataclass(frozen=True, slots=True)
class ProphylaxisRule:
    """Prophylactic antimicrobials are shown and do not count (INF-007)."""

    rule: Rule


class Course(StrEnum):
    """Whether a treatment of a class goes on until stated otherwise, or is given once."""

    REGIMEN = "regimen"
    SINGLE = "single"


@dataclass(frozen=True, slots=True)
class WashoutRule:
    """Free days after a treatment (per gate) and before its next planned dose (`lead_days`).

    `fractions_max`: radiotherapy of more fractions belongs to another class.
    """

    rule: Rule
    treatment_class: str
    min_days: Mapping[Gate, int]
    lead_days: int
    course: Course
    invalidates: tuple[str, ...] = ()
    fractions_max: int | None = None


@dataclass(frozen=True, slots=True)
class SteroidRules:
    """Corticosteroids: one limit, seven rules (STER-001..007) and their pointer WO-STEROID."""

    limit_mg_per_day: Fraction
    equivalent_mg: Mapping[str, Fraction | None]
    above: Rule
    above_routes: frozenset[str]
    above_min_days: int
    exempt: Rule
    exempt_routes: frozenset[str]
    short: Rule
    short_max_days: int
    short_lookback_days: int
    short_min_days: int
    short_intents: frozenset[str]
    short_premedication_for: frozenset[str]
    absorbable: Rule
    absorbable_routes: frozenset[str]
    absorbable_min_days: int
    oral_local_drugs: frozenset[str]
    replacement: Rule
    replacement_documented_by: tuple[str, ...]
    premedication: Rule
    unknown: Rule
    pointer: Rule


@dataclass(frozen=True, slots=True)
class Age:
    """How old evidence may be at a gate; all None: on file at any age."""

    days: int | None = None
    hours: int | None = None


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """An item that must be in date at the gates of `ages`."""

    rule: Rule
    item: str
    ages: Mapping[Gate, Age]
    first_infusion_only: bool


@dataclass(frozen=True, slots=True)
class Item:
    """An item of evidence: who is asked for it, and which results answer it."""

    name: str
    owner: str
    also: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    topics: bool = False


@dataclass(frozen=True, slots=True)
class ClearanceRules:
    """How long a clearance counts (CLR-001), and how fresh it is at the press (CLR-003)."""

    expires: Rule
    expires_after_hours: int
    confirmed: Rule
    confirmed_within_minutes: int


@dataclass(frozen=True, slots=True)
class GapRule:
    """Minimum days since the last collection or infusion (COL-002, IFU-001)."""

    rule: Rule
    min_days: int


@dataclass(frozen=True, slots=True)
class StartWindowRule:
    """Hours from collection within which the culture must start (MFG-001)."""

    rule: Rule
    review_hours: int
    max_hours: int


@dataclass(frozen=True, slots=True)
class HarvestRule:
    """Days from the start of culture between which the harvest lies (MFG-004)."""

    rule: Rule
    min_day: int
    max_day: int


@dataclass(frozen=True, slots=True)
class ReleaseRule:
    """A test of the release specification, or a clock of the product."""

    rule: Rule
    test: str
    unit: str | None
    form: str | None
    limits: Limits
    pass_words: frozenset[str]
    fail_words: frozenset[str]
    spec: str
    conditional_release: bool
    after_infusion_allowed: bool
    target: Fraction | None


@dataclass(frozen=True, slots=True)
class UnitTable:
    """Exact factors (and offsets, added first) from a unit to the rule's unit."""

    factors: Mapping[str, Fraction]
    offsets: Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class CockcroftGault:
    """(age_from - age) x kg x (female_factor if female) / (divisor x creatinine in mg/dL)."""

    age_from: int
    female_factor: Fraction
    divisor: int
