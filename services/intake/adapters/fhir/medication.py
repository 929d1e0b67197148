"""MedicationRequest, -Administration and -Statement -> medication statements.

Invariant: a drug that is named in any way is stated, known or unknown; only one that nothing names
is rejected. Its days are read in order_days.py, orders and administrations joined in merging.py.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from services.intake.adapters.fhir.access import (
    Coding,
    Json,
    Rejected,
    codes,
    codings,
    denied,
    label,
    mapping,
    mappings,
    text,
)
from services.intake.adapters.fhir.context import Context, Ignored, codes_stated
from services.intake.adapters.fhir.entries import Entry, reference_text
from services.intake.adapters.fhir.moments import Moment
from services.intake.adapters.fhir.order_days import administered, dosages_of, ordered
from services.intake.adapters.fhir.reading import Reason
from services.intake.adapters.fhir.terminology import DrugMatch

ORDERS = frozenset({"MedicationRequest", "MedicationOrder"})
"""Orders; MedicationOrder is their older name (DSTU2)."""
TYPES = ORDERS | {"MedicationAdministration", "MedicationStatement"}
"""Resources that say that a drug was ordered, given or taken."""
_NOT_TAKEN = frozenset({"cancelled", "not-done", "not-taken", "draft", "rejected", "intended"})
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
    if status & _NOT_TAKEN or denied(resource) or "n" in codes(resource.get("taken")):
        return Ignored(Reason.NOT_DONE, f"{name}: {', '.join(sorted(status)) or 'not taken'}")
    if codes(resource.get("intent")) & _ONLY_PROPOSED:
        return Ignored(Reason.NOT_DONE, f"{name}: a proposal, not an order")
    coded = codings(concept, "/medicationCodeableConcept")
    drug = context.terms.drug(coded)
    is_given = entry.type == "MedicationAdministration"
    timing = administered(resource, drug, context) if is_given else ordered(entry, drug, context)
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
        order=_order_of(resource, context),
        encounter=encounter_of(resource),
    )


def _order_of(resource: Json, context: Context) -> Entry | None:
    named = resource.get("request") or resource.get("prescription")
    found = (context.links.find(named, kind) for kind in sorted(ORDERS))
    return next((entry for entry in found if entry is not None), None)


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
        found = context.links.find(reference, "Medication")
        held = found.resource if found is not None else None
    if held is None and text(mapping(reference).get("display")):
        return {"text": reference["display"]}, {}  # named in words only: stated as an unknown drug
    if held is None:
        what = f"the medication {target[:80]!a} is not in the bundle" if target else "no medication"
        reason = Reason.UNRESOLVED if target else Reason.MISSING
        raise Rejected(reason, what, "/medicationReference")
    return held.get("code"), held


def _contained(resource: Json, identity: str) -> Json | None:
    for held in mappings(resource.get("contained")):
        # Some older senders write the mark of a local reference into the id itself.
        if (
            str(held.get("id")).removeprefix("#") == identity
            and held.get("resourceType") == "Medication"
        ):
            return held
    return None


def medication_entry(entry: Entry, context: Context) -> Entry | None:
    """Return the Medication entry that a medication resource points at."""
    return context.links.find(entry.resource.get("medicationReference"), "Medication")


def _name(drug: DrugMatch | None, written: str) -> str:
    return " + ".join(drug.names) if drug else written


def encounter_of(resource: Json) -> str:
    """Return the reference to the visit during which it happened, or ""."""
    return reference_text(resource.get("encounter") or resource.get("context"))


def _route(resource: Json, drug: DrugMatch | None, context: Context) -> str | None:
    routes: list[Coding] = []
    for dosage in dosages_of(resource)[0]:
        routes.extend(codings(dosage.get("route")))
    found = context.terms.route(routes) or (drug.route if drug else None)
    if found == "oral" and drug is not None and drug.names == ("budesonide",):
        return "oral_budesonide"  # absorbed little: the steroid rules have a row of its own for it
    return found
