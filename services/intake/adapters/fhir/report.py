"""DiagnosticReport -> evidence on file, and the results that it holds inside itself.

Invariant: a contained result is read like one of its own; one that cannot be read costs itself only
and is told as a warning with its place.
"""

from collections.abc import Iterator
from dataclasses import replace

from services.intake.adapters.fhir.access import Json, Rejected, codings, label, text
from services.intake.adapters.fhir.context import Context, Draft, Ignored, Result, Stated
from services.intake.adapters.fhir.entries import Entry
from services.intake.adapters.fhir.observation import read_observation, result_status
from services.intake.adapters.fhir.reading import Reason
from services.intake.adapters.fhir.whole import check_meaning, contained

_PASSED_ON = ("subject", "patient", "effectiveDateTime", "effectivePeriod", "issued")
"""What a contained result takes from its report where it does not say it itself."""


def read_report(entry: Entry, context: Context) -> Result:
    """Return the report as evidence, and its contained results."""
    own = _evidence(entry, context)
    inside = [
        (pointer, _result(resource, entry, pointer, context))
        for pointer, resource in _contained_results(entry.resource)
    ]
    drafts = [draft for _, one in inside if isinstance(one, Stated) for draft in one.drafts]
    warnings = tuple(f"{at}: {one.message}" for at, one in inside if not isinstance(one, Stated))
    if isinstance(own, Stated):
        return replace(own, drafts=(*own.drafts, *drafts), warnings=warnings)
    if drafts:
        name = label(entry.resource.get("code"))
        return Stated(tuple(drafts), f"{name}: its contained results", warnings)
    return own


def _contained_results(resource: Json) -> Iterator[tuple[str, Json]]:
    for index, inner in enumerate(contained(resource)):
        if inner.get("resourceType") == "Observation":
            yield f"/contained/{index}", inner


def _result(resource: Json, report: Entry, pointer: str, context: Context) -> Result | Rejected:
    given = {key: report.resource[key] for key in _PASSED_ON if key in report.resource}
    times = {key for key in resource if key.startswith("effective")}
    given = {key: value for key, value in given.items() if not (times and "effective" in key)}
    name = (text(resource.get("id")) or pointer.rpartition("/")[2]).removeprefix("#")
    whole = {**given, "status": report.resource.get("status"), **resource}
    try:
        check_meaning(whole)
        found = read_observation(replace(report, resource=whole, type="Observation"), context)
    except Rejected as rejection:
        return rejection
    if not isinstance(found, Stated):
        return found
    return replace(found, drafts=tuple(_named(draft, name) for draft in found.drafts))


def _named(draft: Draft, name: str) -> Draft:
    return replace(draft, suffix=f"#{name}{draft.suffix}")


def _evidence(entry: Entry, context: Context) -> Result:
    resource = entry.resource
    name = label(resource.get("code"))
    coded = codings(resource.get("code"), "/code")
    item = context.terms.report(coded)
    if item is None:
        unused = context.terms.not_used(context.terms.observation(coded) or "")
        if unused:
            return Ignored(Reason.NO_RULE, f"{name}: {unused}")
        message = f"{name}: not evidence in itself; its results are read as observations"
        return Ignored(Reason.CODE_NOT_NEEDED, message)
    status = result_status(resource)
    if status is None:
        return Ignored(Reason.NO_VALUE, f"{name}: registered, no report yet")
    span = context.span(resource, "effective")
    if span is None:
        raise Rejected(Reason.MISSING, "no date of the examination", "/effectiveDateTime")
    content = {
        "kind": "evidence",
        "item": item,
        "effective": span.start.written,
        "recorded": context.recorded(resource, "issued"),
        "status": status,
    }
    return Stated((Draft(content),), f"{name}: {item}")
