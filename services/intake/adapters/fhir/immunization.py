"""Immunization -> a dose of a vaccine class.

Invariant: a vaccine that is not listed has no class: whether it is live is unknown.
"""

from services.intake.adapters.fhir.access import Rejected, codes, codings, denied, label
from services.intake.adapters.fhir.context import (
    Context,
    Draft,
    Ignored,
    Result,
    Stated,
    codes_stated,
)
from services.intake.adapters.fhir.entries import Entry
from services.intake.adapters.fhir.procedure import days_of
from services.intake.adapters.fhir.reading import Reason

_ERROR = "entered-in-error"


def read_immunization(entry: Entry, context: Context) -> Result:
    """Return the vaccination as a dose of its vaccine class; an unknown vaccine has no class."""
    resource = entry.resource
    coded = codings(resource.get("vaccineCode"), "/vaccineCode")
    name = label(resource.get("vaccineCode"))
    status = codes(resource.get("status"))
    if "not-done" in status or denied(resource):
        return Ignored(Reason.NOT_DONE, f"{name}: not given")
    span = context.span(resource, "occurrence", "date")
    if span is None:
        raise Rejected(Reason.MISSING, "no date of vaccination", "/occurrenceDateTime")
    vaccine = context.terms.vaccine(coded)
    content = {
        "kind": "medication",
        "name": name,
        "class": [vaccine] if vaccine else None,
        "doses": [days_of(span, running=False)],
        "effective": span.start.written,
        "recorded": context.recorded(resource, "recorded"),
        "status": _ERROR if _ERROR in status else "final",
        "codes": [*codes_stated(context, resource.get("vaccineCode")), *_atc_vaccines(vaccine)],
    }
    return Stated((Draft(content),), f"{name}: {vaccine or 'live or not is unknown'}")


def _atc_vaccines(vaccine: str | None) -> list[dict[str, str]]:
    # Rules treat an unmapped drug by its ATC group; an unlisted vaccine is at least a vaccine.
    return [] if vaccine else [{"system": "http://www.whocc.no/atc", "code": "J07"}]
