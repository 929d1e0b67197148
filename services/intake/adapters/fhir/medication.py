"""MedicationRequest, -Administration and -Statement -> medication statements.

Invariant: an order that was stopped or completed without an end date is not ongoing; its own day is
then the dose. Joining orders with their administrations is done in merging.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from services.intake.adapters.fhir.access import (
    Coding,
    Json,
    Rejected,
    codes,
    codings,
    label,
    mapping,
    mappings,
)
from services.intake.adapters.fhir.context import (
    Context,
    Ignored,
    Span,
    codes_stated,
)
from services.intake.adapters.fhir.dosage import (
    amount_mg,
    bounds,
    bounds_days,
    daily_mg,
    plain,
    scheduled_doses,
)
from services.intake.adapters.fhir.entries import Entry, reference_text
from services.intake.adapters.fhir.moments import Moment, Precision
from services.intake.adapters.fhir.reading import Reason
from services.intake.adapters.fhir.terminology import DrugMatch

TYPES = frozenset({"MedicationRequest", "MedicationAdministration", "MedicationStatement"})
"""Resources that say that a drug was ordered, given or taken; MedicationOrder is older FHIR."""
_NOT_TAKEN = frozenset({"cancelled", "not-done", "not-taken", "draft", "rejected", "intended"})
_ENDED = frozenset({"completed", "stopped", "ended"})
_ONLY_PROPOSED = frozenset({"proposal", "option"})
ERROR = "entered-in-error"
"""Status of a resource that must count no longer."""


@dataclass(frozen=True, slots=True)
class Course:
    """One resource's word on a drug, before orders and administrations are brought together.

    ``open_from`` is set when the drug counts as still taken.
    """

    entry: Entry
    drug: DrugMatch | None
    name: str
    codes: tuple[dict[str, str], ...]
    route: str | None
    doses: tuple[dict[str, Any], ...]
    start: Moment
    is_open: bool
    status: str
    recorded: str | None
    order: Entry | None
    encounter: str

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two resources speak of the same drug."""
        if self.drug is not None:
            return self.drug.names
        return tuple(sorted(f"{c['system']}|{c['code']}" for c in self.codes)) or (self.name,)

    @property
    def day(self) -> date:
        """Calendar day of the start as written."""
        return self.start.first_day


def read_course(entry: Entry, context: Context) -> Course | Ignored:
    """Return what one medication resource says; raises Rejected without a drug or a time."""
    resource = entry.resource
    concept, holder = _medication(entry, context)
    name = label(concept)
    status = codes(resource.get("status"))
    if status & _NOT_TAKEN or resource.get("doNotPerform") or resource.get("wasNotTaken") is True:
        return Ignored(Reason.NOT_DONE, f"{name}: {', '.join(sorted(status)) or 'not taken'}")
    if codes(resource.get("intent")) & _ONLY_PROPOSED:
        return Ignored(Reason.NOT_DONE, f"{name}: a proposal, not an order")
    coded = codings(concept, "/medicationCodeableConcept")
    drug = context.terms.drug(coded)
    is_given = entry.type == "MedicationAdministration"
    timing = _administered(resource, drug, context) if is_given else _ordered(entry, drug, context)
    return Course(
        entry=entry,
        drug=drug,
        name=_name(drug, name),
        codes=tuple(codes_stated(context, concept)),
        route=_route(resource, drug, context),
        doses=tuple(timing.doses),
        start=timing.start,
        is_open=timing.is_open,
        status=ERROR if ERROR in status or ERROR in codes(holder.get("status")) else "final",
        recorded=context.recorded(resource, "dateAsserted"),
        order=context.links.find(resource.get("request") or resource.get("prescription")),
        encounter=encounter_of(resource),
    )


@dataclass(frozen=True, slots=True)
class _Timing:
    doses: list[dict[str, Any]]
    start: Moment
    is_open: bool


def _medication(entry: Entry, context: Context) -> tuple[object, Json]:
    """Return the medication's concept and the Medication that holds it (or an empty one)."""
    resource = entry.resource
    direct = resource.get("medicationCodeableConcept")
    if direct is not None:
        return direct, {}
    given = mapping(resource.get("medication"))
    if "concept" in given or "coding" in given:
        return given.get("concept", given), {}
    reference = resource.get("medicationReference") or given.get("reference") or given
    target = reference_text(reference)
    if target.startswith("#"):
        held = _contained(resource, target[1:])
    else:
        found = context.links.find(reference)
        held = found.resource if found is not None and found.type == "Medication" else None
    if held is None:
        what = f"the medication {target[:80]!a} is not in the bundle" if target else "no medication"
        reason = Reason.UNRESOLVED if target else Reason.MISSING
        raise Rejected(reason, what, "/medicationReference")
    return held.get("code"), held


def _contained(resource: Json, identity: str) -> Json | None:
    for held in mappings(resource.get("contained")):
        if held.get("id") == identity and held.get("resourceType") == "Medication":
            return held
    return None


def medication_entry(entry: Entry, context: Context) -> Entry | None:
    """Return the Medication entry that a medication resource points at."""
    found = context.links.find(entry.resource.get("medicationReference"))
    return found if found is not None and found.type == "Medication" else None


def _name(drug: DrugMatch | None, written: str) -> str:
    return " + ".join(drug.names) if drug else written


def encounter_of(resource: Json) -> str:
    """Return the reference to the visit during which it happened, or ""."""
    return reference_text(resource.get("encounter") or resource.get("context"))


def _dosages(resource: Json) -> tuple[list[Json], str]:
    for element in ("dosageInstruction", "dosage"):
        if resource.get(element) is not None:
            return mappings(resource[element]), f"/{element}"
    return [], "/dosageInstruction"


def _route(resource: Json, drug: DrugMatch | None, context: Context) -> str | None:
    routes: list[Coding] = []
    for dosage in _dosages(resource)[0]:
        routes.extend(codings(dosage.get("route")))
    found = context.terms.route(routes) or (drug.route if drug else None)
    if found == "oral" and drug is not None and drug.names == ("budesonide",):
        return "oral_budesonide"  # absorbed little: the steroid rules have a row of its own for it
    return found


def _administered(resource: Json, drug: DrugMatch | None, context: Context) -> _Timing:
    span = context.span(resource, "effective", "effectiveTime")
    if span is None:
        raise Rejected(Reason.MISSING, "no time of administration", "/effectiveDateTime")
    dosage = mapping(resource.get("dosage"))
    amount = amount_mg(dosage, drug.mg_per_unit if drug else None)
    mg = {"mg": plain(amount)} if amount is not None else {}
    running = "in-progress" in codes(resource.get("status"))
    if running:
        return _Timing([{"from": span.start.written}], span.start, is_open=True)
    if span.end is not None and span.end.first_day > span.start.first_day:
        days = {"from": span.start.written, "to": span.end.written}
        return _Timing([days], span.start, is_open=False)
    return _Timing([{"day": _safe_day(span.start), **mg}], span.start, is_open=False)


def _safe_day(found: Moment) -> str:
    # Of a month or a year the last day counts: the wash-out then ends later, never sooner.
    imprecise = found.precision in (Precision.MONTH, Precision.YEAR)
    return found.last_day.isoformat() if imprecise else found.written


def _ordered(entry: Entry, drug: DrugMatch | None, context: Context) -> _Timing:
    """Return the days of an order or of a patient's own statement."""
    resource = entry.resource
    written = context.at(resource, "authoredOn") or context.at(resource, "dateWritten")
    span = context.span(resource, "effective") if entry.type == "MedicationStatement" else None
    asserted = context.at(resource, "dateAsserted")
    start = (span.start if span else None) or written or asserted
    if start is None:
        raise Rejected(Reason.MISSING, "no date of the order", "/authoredOn")
    strength = drug.mg_per_unit if drug else None
    dosages, pointer = _dosages(resource)
    single = scheduled_doses(dosages, pointer, strength)
    if single:
        return _Timing(single, start, is_open=False)
    ended = bool(codes(resource.get("status")) & _ENDED)
    steps = _steps(dosages, pointer, strength, start, span, ended)
    return _Timing(steps, start, is_open=any("day" not in s and "to" not in s for s in steps))


def _steps(
    dosages: Sequence[Json],
    pointer: str,
    strength: float | None,
    start: Moment,
    span: Span | None,
    ended: bool,
) -> list[dict[str, Any]]:
    bounded = [
        (*_bounds(dosage, f"{pointer}/{index}", start), dosage)
        for index, dosage in enumerate(dosages)
    ]
    if len({(first, last) for first, last, _ in bounded if first or last}) > 1:
        return [_step(f or start, t, ended, daily_mg([d], strength)) for f, t, d in bounded]
    first, last = next(((f, t) for f, t, _ in bounded if f or t), (None, None))
    end = (span.end if span else None) or last
    begin = span.start if span else _earlier(first, start)
    return [_step(begin, end, ended, daily_mg(dosages, strength), only=start)]


def _bounds(dosage: Json, pointer: str, start: Moment) -> tuple[Moment | None, Moment | None]:
    first, last = bounds(dosage, pointer)
    length = bounds_days(dosage)
    if last is None and length is not None:
        day = (first or start).first_day + length - timedelta(days=1)
        last = Moment(day, day, Precision.DAY)
    return first, last


def _earlier(first: Moment | None, start: Moment) -> Moment:
    return first if first is not None and first.first_day < start.first_day else start


def _step(
    begin: Moment,
    end: Moment | None,
    ended: bool,
    mg_per_day: float | None,
    *,
    only: Moment | None = None,
) -> dict[str, Any]:
    mg = {"mg_per_day": mg_per_day} if mg_per_day is not None else {}
    if end is not None and end.last_day >= begin.first_day:
        return {"from": begin.written, "to": _safe_day(end), **mg}
    if ended:
        amount = {"mg": mg_per_day} if mg_per_day is not None else {}
        return {"day": _safe_day(only or begin), **amount}
    return {"from": begin.written, **mg}
