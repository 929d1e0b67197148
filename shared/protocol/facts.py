"""The typed facts of the coordination record, one class per kind of statement.

A fact is bitemporal: `effective` is when it was true in the world, `recorded` when we learnt it.
Invariant: a fact holds only what was stated. Nothing absent is filled in here; what is missing
stays None and means unknown to every rule.

Times keep the precision in which they were given: a `date` is a day in the clinic's zone, a
`datetime` is an exact instant (aware, UTC).
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from shared.protocol.words import (
    Certainty,
    FactStatus,
    InfectionType,
    Intent,
    PremedicationFor,
    ProductForm,
    ReviewOutcome,
    Sex,
)

When = date | datetime
"""A clinic-local day, or an exact instant (aware). A datetime is a date too: test it first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What every fact carries. `recorded` None: it was known at its effective time."""

    id: str
    version: int = 1
    effective: When | None = None
    recorded: datetime | None = None
    status: FactStatus = FactStatus.FINAL
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """A code of a terminology, as it was sent."""

    system: str
    code: str
    display: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient(Stated):
    """Who is treated. `deceased` True: the day is not known."""

    birth_date: date | None = None
    sex: Sex | None = None
    childbearing_potential: bool | None = None
    weight_kg: Decimal | None = None
    deceased: When | bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """Days on which a drug was or will be taken; `day` for one day, else `first` to `last`.

    No `first`: since before the record. No `last` and no `day`: ongoing.
    """

    mg_per_day: Decimal | None = None
    mg: Decimal | None = None
    day: date | None = None
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Medication(Stated):
    """A drug or regimen. `classes` given here win over those that the name maps to."""

    name: str | None = None
    classes: tuple[str, ...] = ()
    route: str | None = None
    intent: Intent | None = None
    premedication_for: PremedicationFor | None = None
    doses: tuple[Dose, ...] = ()
    last_dose: date | None = None
    next_planned: date | None = None
    more_planned: bool | None = None
    codes: tuple[Coding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment(Stated):
    """Radiotherapy, surgery, a transfusion, a transplant: anything that is not a drug."""

    classes: tuple[str, ...] = ()
    name: str | None = None
    day: date | None = None
    first: date | None = None
    last: date | None = None
    next_planned: date | None = None
    more_planned: bool | None = None
    codes: tuple[Coding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange(Stated):
    """The oncology plan moved a dose. `moved_from` None: new; `moved_to` None: cancelled."""

    classes: tuple[str, ...]
    moved_from: date | None = None
    moved_to: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Stated):
    """A measured value: a number with its unit, or a word such as `positive`."""

    metric: str
    value: Decimal | str
    unit: str | None = None
    comparator: str | None = None
    range_high: Decimal | None = None
    range_low: Decimal | None = None
    specimen: str | None = None
    codes: tuple[Coding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab(Measured):
    """A laboratory result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vital(Measured):
    """A vital sign or body measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Antimicrobial:
    """A drug against an infection. No `last`: still taken."""

    name: str | None = None
    first: date | None = None
    last: date | None = None
    intent: Intent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Infection(Stated):
    """An infection episode."""

    type: InfectionType
    onset: When | None = None
    resolved: When | None = None
    fever_until: When | None = None
    first_positive: When | None = None
    symptom_free_since: When | None = None
    antimicrobials: tuple[Antimicrobial, ...] = ()
    codes: tuple[Coding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(Stated):
    """A diagnosis or state by its concept (protocol `condition` values and codes.yaml)."""

    concept: str
    certainty: Certainty = Certainty.CONFIRMED
    onset: When | None = None
    resolved: When | None = None
    codes: tuple[Coding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Irae(Stated):
    """An immune-related adverse event with its grade on that day."""

    grade: int
    organ: str | None = None
    resolved: When | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance(Stated):
    """Performance status on that day."""

    ecog: int | None = None
    karnofsky: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(Stated):
    """Something on file or signed: an item of the evidence and `require` tables."""

    item: str
    valid_until: When | None = None
    withdrawn: bool = False
    topics: tuple[str, ...] | None = None
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Stated):
    """One dose of the CIK product and its clocks."""

    dose_id: str
    state: str
    lot: str | None = None
    form: ProductForm | None = None
    formulated_at: When | None = None
    expires_at: When | None = None
    thawed_at: When | None = None
    cryopreserved_on: When | None = None
    volume_mL: Decimal | None = None
    endotoxin_EU_per_mL: Decimal | None = None
    infusion_h: Decimal | None = None
    weight_kg: Decimal | None = None
    dmso_g: Decimal | None = None
    culture_started_on: date | None = None
    harvested_on: date | None = None
    dry_ice_from: When | None = None
    dry_ice_to: When | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTest(Stated):
    """A result against the release specification, for a lot or one dose."""

    test: str
    lot: str | None = None
    dose_id: str | None = None
    value: Decimal | None = None
    unit: str | None = None
    result: str | None = None
    reported: When | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection(Stated):
    """A collection of starting material, done (`day`) or planned."""

    day: When | None = None
    planned: date | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Infusion(Stated):
    """A CIK infusion, given (`day`) or planned; `paused_at` without `ended_at`: may be resumed."""

    n: int
    dose_id: str | None = None
    lot: str | None = None
    day: When | None = None
    planned: date | None = None
    paused_at: datetime | None = None
    stable_since: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction(Stated):
    """A graded reaction to an infusion. `restart_decision`: when a physician signed a restart."""

    infusion: int
    scale: str
    grade: int
    started: When | None = None
    grade_le_1_since: When | None = None
    restart_decision: When | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedFlag(Stated):
    """A reported warning symptom; open until a physician closes it."""

    symptom: str
    started: When | None = None
    closed: When | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDecision(Stated):
    """A clinician's answer to a review finding. `facts` entries are `id` or `id@version`."""

    rule: str
    gate: str
    decision: ReviewOutcome
    by: tuple[str, ...]
    facts: tuple[str, ...] = ()
    valid_until: When | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Override(Stated):
    """A soft rule overridden for a gate; `by` lists the roles of the two signers."""

    rule: str
    gate: str
    by: tuple[str, ...]
    valid_until: When
    reason: str | None = None
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance(Stated):
    """A clearance that was issued for a gate; its `version` is the clearance's."""

    gate: str
    issued_at: datetime
    based_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction(Stated):
    """Another fact was entered in error (`status`), or its value and unit are corrected."""

    of: str
    value: Decimal | str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence(Stated):
    """Nothing came from a feed since `heard_at`; its limit decides from when that is silence.

    `source` names the feed's sender at this site. No `heard_at`: it was never heard, and silent
    from `effective` on. `heard_again_at` ends it. One that is not yet silent is a watermark.
    """

    feed: str
    heard_at: datetime | None = None
    heard_again_at: datetime | None = None


Fact = (
    Patient
    | Medication
    | Treatment
    | PlanChange
    | Lab
    | Vital
    | Infection
    | Condition
    | Irae
    | Performance
    | Evidence
    | Product
    | ReleaseTest
    | Collection
    | Infusion
    | Reaction
    | RedFlag
    | ReviewDecision
    | Override
    | Clearance
    | Correction
    | Silence
)
