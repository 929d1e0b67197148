"""Procedure -> treatment, medication, condition and evidence statements.

Invariant: a procedure that was not done states nothing; one that is running has no end, whatever
end its newest fraction has.
"""

from dataclasses import replace
from typing import Any

from services.intake.adapters.fhir.access import (
    Json,
    Rejected,
    codes,
    codings,
    denied,
    label,
    mappings,
    number,
    text,
)
from services.intake.adapters.fhir.context import (
    Context,
    Draft,
    Ignored,
    Result,
    Span,
    Stated,
    codes_stated,
)
from services.intake.adapters.fhir.entries import Entry
from services.intake.adapters.fhir.reading import Reason

_NOT_DONE = frozenset({"not-done", "preparation", "cancelled", "aborted", "suspended"})
_RUNNING = frozenset({"in-progress", "on-hold"})
_ERROR = "entered-in-error"


def read_procedure(entry: Entry, context: Context) -> Result:
    """Return the statements of one Procedure."""
    resource = entry.resource
    if resource.get("code") is None:
        raise Rejected(Reason.MISSING, "no code", "/code")
    concept = context.terms.procedure(codings(resource["code"], "/code"))
    name = label(resource["code"])
    if concept is None:
        return Ignored(Reason.CODE_NOT_NEEDED, f"{name}: no rule reads this code")
    unused = context.terms.not_used(concept)
    if unused:
        return Ignored(Reason.NO_RULE, f"{name}: {unused}")
    status = codes(resource.get("status"))
    if status & _NOT_DONE or denied(resource):
        return Ignored(Reason.NOT_DONE, f"{name}: {', '.join(sorted(status)) or 'not done'}")
    rule = context.terms.reading["procedures"].get(concept)
    if rule is None:
        return Ignored(Reason.CODE_NOT_NEEDED, f"{name}: no rule reads this code")
    span = context.span(resource, "performed", "occurrence")
    if span is None:
        raise Rejected(Reason.MISSING, "no date of the procedure", "/performedDateTime")
    return Stated(
        tuple(_drafts(resource, rule, span, context)),
        f"{name}: {concept}",
        newest_only=concept if rule.get("newest_only") else "",
    )


def _drafts(resource: Json, rule: Json, span: Span, context: Context) -> list[Draft]:
    running = bool(codes(resource.get("status")) & _RUNNING)
    if span.is_period and span.end is None and not running:
        span = replace(span, end=context.over_by(resource))
    common = {
        "effective": span.start.written,
        "recorded": context.recorded(resource),
        "status": _ERROR if _ERROR in codes(resource.get("status")) else "final",
    }
    several = len([key for key in ("medication", "treatment") if key in rule]) > 1
    drafts = []
    if "medication" in rule:
        content = {
            "kind": "medication",
            "name": "chemotherapy",
            "class": [rule["medication"]],
            "doses": [days_of(span, running)],
            "codes": codes_stated(context, resource["code"]),
        }
        drafts.append(Draft({**content, **common}, "#chemotherapy" if several else ""))
    if "treatment" in rule:
        drafts.append(_treatment(resource, rule, span, running, common, context, several))
    if "condition" in rule:
        state = "confirmed" if common["status"] == "final" else _ERROR
        condition = {"kind": "condition", "concept": rule["condition"], "onset": span.start.written}
        drafts.append(Draft({**common, **condition, "status": state}))
    if "evidence" in rule:
        drafts.append(Draft({"kind": "evidence", "item": rule["evidence"], **common}))
    return drafts


def _treatment(
    resource: Json,
    rule: Json,
    span: Span,
    running: bool,
    common: Json,
    context: Context,
    several: bool,
) -> Draft:
    is_radiotherapy = rule["treatment"] == "radiotherapy"
    kind = _radiotherapy_class(resource, context) if is_radiotherapy else rule["treatment"]
    content = {
        "kind": "treatment",
        "class": [kind],
        "name": label(resource["code"]),
        **days_of(span, running),
        "codes": codes_stated(context, resource["code"]),
    }
    suffix = f"#{rule['treatment']}" if several else ""
    identity = _course(resource) if is_radiotherapy else ""
    return Draft({**content, **common}, suffix, identity)


def days_of(span: Span, running: bool) -> dict[str, Any]:
    """Return the day or days of something done; what is running has no end."""
    if running:
        return {"from": span.start.written}
    end = span.end
    if end is not None and end.last_day > span.start.first_day:
        return {"from": span.start.written, "to": end.written_latest}
    return {"day": span.start.written_latest}


def _course(resource: Json) -> str:
    """Return the DICOM UID of a radiotherapy course, phase or fraction as identity.

    Systems send one course several times under different resource ids while it proceeds; the UID
    says that they are versions of the same thing, in whichever order they arrive.
    """
    for identifier in mappings(resource.get("identifier")):
        value = text(identifier.get("value"))
        if identifier.get("system") == "urn:dicom:uid" and value:
            return f"Procedure?identifier=urn:dicom:uid|{value}"
    return ""


def _radiotherapy_class(resource: Json, context: Context) -> str:
    rule = context.terms.reading["radiotherapy"]
    intents: set[str] = set()
    fractions: list[float] = []
    for extension in mappings(resource.get("extension")):
        url = text(extension.get("url")) or ""
        if url.endswith(("mcode-procedure-intent", "mcode-treatment-intent")):
            intents |= {c.code for c in codings(extension.get("valueCodeableConcept"))}
        if url.endswith(("radiotherapy-sessions", "radiotherapy-fractions-delivered")):
            counted = number(extension.get("valueUnsignedInt"))
            fractions += [counted] if counted is not None else []
    palliative = intents & set(rule["palliative_codes"]) and not intents & set(
        rule["curative_codes"]
    )
    few = fractions and max(fractions) <= rule["palliative_fractions_max"]
    return str(rule["class_palliative"] if palliative and few else rule["class_otherwise"])
