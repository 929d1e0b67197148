"""Forms that people fill in, and the statements that they make. Pure.

Invariant: a default never opens a gate. What the form leaves out is either the stricter reading or
stays unknown; a name is looked up whole and never matched by its words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal, assert_never

from services.intake.domain.red_flags import red_flag_of, word_of
from shared.protocol import Fact, Protocol, Record
from shared.protocol.facts import Medication, PlanChange, Treatment
from shared.protocol.rules.courses import courses, replanned

Statement = Mapping[str, Any]
ProductKind = Literal["supplement", "herbal", "alternative", "medicine"]

_STEROID: Final = "corticosteroid_systemic"
_UNVERIFIED: Final = "unverified_product"


class FormRefusedError(ValueError):
    """The form cannot be what was meant. `place` is the field, `code` is stable."""

    def __init__(self, place: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.place = place
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class SteroidCourse:
    """A corticosteroid over days. `last` None: still taken. `mg_per_day` None: not known."""

    drug: str
    mg_per_day: Decimal | None
    first: date | None = None
    last: date | None = None
    route: str | None = None
    intent: str | None = None
    premedication_for: str | None = None


@dataclass(frozen=True, slots=True)
class InfectionEpisode:
    """An infection from its onset; nothing stated to be over is taken as over."""

    type: str
    onset: date | None = None
    resolved: date | None = None
    fever_until: datetime | None = None
    first_positive: date | None = None
    symptom_free_since: datetime | None = None
    antimicrobial: str | None = None
    antimicrobial_first: date | None = None
    antimicrobial_last: date | None = None


@dataclass(frozen=True, slots=True)
class ChemotherapyPlan:
    """A regimen whose doses repeat. `days` are days of a cycle, the first of which is 1.

    `nothing_after` None: whether doses follow the last cycle is not known.
    """

    regimen: str
    cycle_days: int
    first_day: date
    cycles: int
    days: tuple[int, ...] = (1,)
    nothing_after: bool | None = None


@dataclass(frozen=True, slots=True)
class ChemotherapyMove:
    """A planned dose on another day (None: cancelled); later ones move along unless `only_this`."""

    from_day: date
    to_day: date | None
    only_this: bool = False


@dataclass(frozen=True, slots=True)
class Symptom:
    """A warning symptom of the protocol, by its id or its words."""

    symptom: str
    since: datetime | None = None
    temperature_cel: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OtherProduct:
    """A product or treatment that the patient takes. `first` None: since before the record."""

    product: str
    kind: ProductKind
    first: date | None = None
    last: date | None = None
    note: str | None = None


Form = (
    SteroidCourse | InfectionEpisode | ChemotherapyPlan | ChemotherapyMove | Symptom | OtherProduct
)


@dataclass(frozen=True, slots=True)
class PlannedDose:
    """A day on which the oncology plan has a dose, as all changes so far leave it."""

    day: date
    name: str | None
    classes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Made:
    """What a form makes: its statements in order, and what a reader is shown of it.

    `assumed`: fields that were left out and have a default now, which `shown` tells.
    """

    statements: tuple[Statement, ...]
    shown: Mapping[str, Any]
    assumed: tuple[str, ...] = ()


def planned_doses(protocol: Protocol, facts: Sequence[Fact]) -> tuple[PlannedDose, ...]:
    """The planned days of all drugs and treatments, in order, with every change applied."""
    record = Record.of(protocol, facts)
    plans = replanned(courses(record), record.all(PlanChange), record)
    found = [PlannedDose(d, _name(p.fact), p.classes) for p in plans for d in p.planned]
    return tuple(sorted(found, key=lambda dose: (dose.day, dose.name or "")))


def _name(fact: Medication | Treatment) -> str | None:
    return fact.name


def made_of(protocol: Protocol, form: Form, planned: Sequence[PlannedDose], now: datetime) -> Made:
    """The statements of a form filled in at `now`. Raises `FormRefusedError`."""
    today = now.astimezone(protocol.zone).date()
    match form:
        case SteroidCourse():
            return _steroid(protocol, form, today)
        case InfectionEpisode():
            return _infection(form, today)
        case ChemotherapyPlan():
            return _plan(protocol, form)
        case ChemotherapyMove():
            return _move(form, planned)
        case Symptom():
            return _symptom(protocol, form, now)
        case OtherProduct():
            return _product(protocol, form)
        case _:
            assert_never(form)


def shown_again(
    protocol: Protocol, form: Form, statements: Sequence[Statement], at: datetime
) -> Made | None:
    """What a form filled in at `at` made, for a later reader; `statements` are those on record.

    None where today's rulebook would refuse it.
    """
    if isinstance(form, ChemotherapyMove):
        # The plan as it was is not kept; what was moved stands in the statements.
        moved = [{"from": s["moved_from"], "to": s.get("moved_to")} for s in statements]
        return Made((), {"moved": sorted(moved, key=lambda move: str(move["from"]))})
    try:
        return made_of(protocol, form, (), at)
    except FormRefusedError:
        return None


def _known(**fields: object) -> dict[str, Any]:
    """The fields that were given, dates as text."""
    return {
        key: value.isoformat() if isinstance(value, date) else value
        for key, value in fields.items()
        if value is not None
    }


def _steroid(protocol: Protocol, form: SteroidCourse, today: date) -> Made:
    first = form.first or _earlier(form.last, today)
    classes, unmapped = protocol.codes.classes_of_name(form.drug)
    is_swallowed = _STEROID in classes
    route = form.route or ("oral" if is_swallowed else None)
    dose = _known(mg_per_day=_number(form.mg_per_day), to=form.last) | {"from": first.isoformat()}
    stated = _known(
        name=form.drug, route=route, intent=form.intent, premedication_for=form.premedication_for
    )
    if unmapped:
        stated["class"] = _STEROID
    equal = _prednisone(protocol, form)
    shown = {
        "route": route,
        "first": first,
        "prednisone_mg_per_day": None if equal is None else float(equal),
        "unmapped": unmapped,
    }
    given = {"first": form.first, "route": form.route}
    assumed = tuple(f for f, value in given.items() if value is None and shown[f] is not None)
    return Made(({"kind": "medication", **stated, "doses": [dose]},), shown, assumed)


def _earlier(last: date | None, today: date) -> date:
    return today if last is None else min(last, today)


def _prednisone(protocol: Protocol, form: SteroidCourse) -> Fraction | None:
    """The daily dose in prednisone; None when the drug or the dose is not known."""
    names = protocol.codes.ingredients(form.drug)
    factor = protocol.steroids.equivalent_mg.get(names[0]) if len(names) == 1 else None
    if factor is None or form.mg_per_day is None:
        return None
    return Fraction(form.mg_per_day) * factor


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _infection(form: InfectionEpisode, today: date) -> Made:
    onset = form.onset or _earlier(form.resolved, today)
    if onset > today:
        raise FormRefusedError("onset", "future-date", "is in the future")
    stated = _known(
        type=form.type,
        onset=onset,
        resolved=form.resolved,
        fever_until=form.fever_until,
        first_positive=form.first_positive,
        symptom_free_since=form.symptom_free_since,
    )
    assumed = ["onset"] if form.onset is None else []
    shown: dict[str, Any] = {"onset": onset}
    if form.antimicrobial is not None:
        if form.antimicrobial_first is None:
            assumed.append("antimicrobial_first")
            shown["antimicrobial_first"] = onset
        drug = _known(name=form.antimicrobial, to=form.antimicrobial_last, intent="treatment")
        drug["from"] = (form.antimicrobial_first or onset).isoformat()
        stated["antimicrobials"] = [drug]
    return Made(({"kind": "infection", **stated},), shown, tuple(assumed))


def _plan(protocol: Protocol, form: ChemotherapyPlan) -> Made:
    if max(form.days) > form.cycle_days:
        raise FormRefusedError("days", "beyond-the-cycle", "a day lies after the cycle's last")
    _, unmapped = protocol.codes.classes_of_name(form.regimen)
    days = [
        form.first_day + timedelta(days=cycle * form.cycle_days + day - 1)
        for cycle in range(form.cycles)
        for day in sorted(set(form.days))
    ]
    statements: list[dict[str, Any]] = [
        {"kind": "medication", "name": form.regimen, "next_planned": day.isoformat()}
        for day in days
    ]
    if form.nothing_after:
        statements[-1]["more_planned"] = False
    return Made(tuple(statements), {"planned_days": days, "unmapped": unmapped})


def _move(form: ChemotherapyMove, planned: Sequence[PlannedDose]) -> Made:
    if form.to_day == form.from_day:
        raise FormRefusedError("to_day", "not-moved", "is the day on which it is planned already")
    here = [dose for dose in planned if dose.day == form.from_day]
    if not here:
        days = ", ".join(sorted({dose.day.isoformat() for dose in planned})) or "none"
        raise FormRefusedError(
            "from_day", "nothing-planned", f"nothing is planned that day; planned: {days}"
        )
    moved = [dose for dose in planned if _moves_along(dose, form, here)]
    shift = None if form.to_day is None else form.to_day - form.from_day
    # A dose must be away before another one comes to its day, or that one would be moved twice.
    moved.sort(key=lambda dose: dose.day, reverse=shift is not None and shift > timedelta())
    changes = [(dose, None if shift is None else dose.day + shift) for dose in moved]
    statements = tuple(
        {
            "kind": "plan_change",
            "class": sorted(dose.classes),
            "moved_from": dose.day.isoformat(),
            **_known(moved_to=to),
        }
        for dose, to in changes
    )
    shown = {"moved": sorted(({"from": dose.day, "to": to} for dose, to in changes), key=_from)}
    return Made(statements, shown)


def _from(move: Mapping[str, Any]) -> date:
    day: date = move["from"]
    return day


def _moves_along(dose: PlannedDose, form: ChemotherapyMove, here: Sequence[PlannedDose]) -> bool:
    if dose.day == form.from_day:
        return True
    if form.only_this or form.to_day is None or dose.day < form.from_day:
        return False
    return any(dose.name == one.name and bool(dose.classes & one.classes) for one in here)


def _symptom(protocol: Protocol, form: Symptom, now: datetime) -> Made:
    rule = red_flag_of(protocol.plans.red_flags, form.symptom)
    if rule is None:
        known = ", ".join(f"{flag.id} ({word_of(flag)})" for flag in protocol.plans.red_flags)
        raise FormRefusedError("symptom", "unknown-symptom", f"expected one of {known}")
    since = form.since or now
    if since > now:
        raise FormRefusedError("since", "future-date", "is in the future")
    flag = {"kind": "red_flag", "symptom": word_of(rule), "from": since.isoformat()}
    statements: list[Statement] = [flag]
    if form.temperature_cel is not None:
        value = float(form.temperature_cel)
        statements.append({"kind": "vital", "metric": "body_temp", "value": value, "unit": "Cel"})
    assumed = () if form.since is not None else ("since",)
    shown = {"red_flag": rule.id, "level": rule.level, "since": since}
    return Made(tuple(statements), shown, assumed)


def _product(protocol: Protocol, form: OtherProduct) -> Made:
    _, unmapped = protocol.codes.classes_of_name(form.product)
    stated: dict[str, Any] = {"kind": "medication", "name": form.product}
    if unmapped and form.kind != "medicine":
        stated["class"] = _UNVERIFIED
    dose = _known(to=form.last)
    if form.first is not None:
        dose["from"] = form.first.isoformat()
    # A dose without days is taken on every day; that is said by no dose at all.
    if dose:
        stated["doses"] = [dose]
    return Made((stated,), {"unmapped": unmapped, "class": stated.get("class")})
