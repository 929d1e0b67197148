"""Observation -> lab, vital, performance or evidence statements.

Invariant: value and unit go on exactly as sent, so that a wrong or implausible unit stays visible
to the rules; a result without a value, or of a code that no rule reads, is not stated.
"""

from collections import Counter
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
    number,
    text,
)
from services.intake.adapters.fhir.context import Context, Draft, Ignored, Result, Span, Stated
from services.intake.adapters.fhir.entries import Entry, reference_text
from services.intake.adapters.fhir.reading import Reason
from services.intake.adapters.fhir.whole import absent_reason

STATUS = {
    "registered": None,
    "preliminary": "preliminary",
    "final": "final",
    "amended": "corrected",
    "corrected": "corrected",
    "appended": "corrected",
    "cancelled": "entered-in-error",
    "entered-in-error": "entered-in-error",
    "unknown": "preliminary",
}
"""FHIR result status -> ours. A withdrawn result must reach the record to end an older one."""
_WITHDRAWN = "entered-in-error"


def read_observation(entry: Entry, context: Context) -> Result:
    """Return the statements of one Observation."""
    resource = entry.resource
    if resource.get("code") is None:
        raise Rejected(Reason.MISSING, "no code", "/code")
    coded = codings(resource["code"], "/code")
    concept = context.terms.observation(coded)
    name = label(resource["code"])
    if concept is None:
        return Ignored(Reason.CODE_NOT_NEEDED, f"{name}: no rule reads this code")
    unused = context.terms.not_used(concept)
    if unused:
        return Ignored(Reason.NO_RULE, f"{name}: {unused}")
    status = result_status(resource)
    if status is None:
        return Ignored(Reason.NO_VALUE, f"{name}: registered, no result yet")
    drafts = _drafts(resource, concept, coded, status, context)
    if not drafts:
        why = absent_reason(resource)
        return Ignored(Reason.NO_VALUE, f"{name}: no value{f' ({why})' if why else ''}")
    return Stated(tuple(drafts), f"{name}: {concept}")


def result_status(resource: Json) -> str | None:
    """Return our status of a result; an unknown word counts as preliminary, None: not a result."""
    written = next(iter(codes(resource.get("status"))), "unknown")
    return STATUS.get(written, "preliminary")


def _drafts(
    resource: Json, concept: str, coded: tuple[Coding, ...], status: str, context: Context
) -> list[Draft]:
    reading = context.terms.reading
    found: list[tuple[str, dict[str, Any]]] = []
    seen: Counter[str] = Counter()
    if concept in reading["panels"]:
        for index, component in enumerate(mappings(resource.get("component"))):
            pointer = f"/component/{index}"
            part = context.terms.observation(codings(component.get("code"), f"{pointer}/code"))
            if part is not None:
                content = _content(component, part, (), status, context, pointer)
                seen[part] += 1
                found.append((f"#{part}-{seen[part]}" if seen[part] > 1 else f"#{part}", content))
    else:
        found.append(("", _content(resource, concept, coded, status, context, "")))
    stated = [(suffix, content) for suffix, content in found if content]
    if not stated:
        return []
    header = {**_times(resource, context), "status": status}
    return [Draft({**content, **header}, suffix) for suffix, content in stated]


def _times(resource: Json, context: Context) -> dict[str, Any]:
    span = context.span(resource, "effective") or _collected(resource, context)
    if span is None:
        raise Rejected(Reason.MISSING, "no time of measurement", "/effectiveDateTime")
    # A span of measurement is as old as its beginning: evidence then goes stale sooner, not later.
    return {"effective": span.start.written, "recorded": context.recorded(resource, "issued")}


def _collected(resource: Json, context: Context) -> Span | None:
    specimen = context.links.find(resource.get("specimen"), "Specimen")
    if specimen is None:
        return None
    return context.span(mapping(specimen.resource.get("collection")), "collected")


def _content(
    node: Json,
    concept: str,
    coded: tuple[Coding, ...],
    status: str,
    context: Context,
    pointer: str,
) -> dict[str, Any]:
    """Return kind and value of one result, or nothing when it has none."""
    reading = context.terms.reading
    if concept in reading["performance"]:
        return _performance(node, concept, context, pointer)
    if concept == "stage_group":
        return _evidence(node, reading["stages"]["evidence"])
    if concept == "disease_status":
        known = context.terms.disease_status(codings(node.get("valueCodeableConcept")))
        return {"kind": "evidence", "item": reading["disease_status"]["evidence"]} if known else {}
    metric = reading["metric_of_concept"].get(concept, concept)
    value = _value(node, metric, context, pointer)
    if not value and status == _WITHDRAWN:
        value = {"value": "entered_in_error"}
    if not value:
        return {}
    kind = "vital" if metric in reading["vitals"] else "lab"
    return {"kind": kind, "metric": metric, **value, "specimen": _specimen(node, context)}


def _specimen(node: Json, context: Context) -> str | None:
    found = context.links.find(node.get("specimen"), "Specimen")
    return found.reference if found else text(reference_text(node.get("specimen")))


def _evidence(node: Json, item: str) -> dict[str, Any]:
    coded = codings(node.get("valueCodeableConcept"))
    said = any("absent-reason" not in coding.system for coding in coded) or text(
        node.get("valueString")
    )
    return {"kind": "evidence", "item": item} if said else {}


def _performance(node: Json, concept: str, context: Context, pointer: str) -> dict[str, Any]:
    value: object = node.get("valueInteger")
    if value is None and isinstance(node.get("valueQuantity"), dict):
        value = node["valueQuantity"].get("value")
    if value is None:
        answers = context.terms.reading["ecog_answers"] if concept == "ecog" else {}
        coded = codings(node.get("valueCodeableConcept"), f"{pointer}/valueCodeableConcept")
        value = next((answers[c.code] for c in coded if c.code in answers), None)
    if value is None:
        return {}
    grade = number(value)
    if grade is None or grade < 0 or grade != int(grade):
        raise Rejected(Reason.WRONG_TYPE, "the score is no whole number", f"{pointer}/valueInteger")
    return {"kind": "performance", concept: int(grade)}


def _value(node: Json, metric: str, context: Context, pointer: str) -> dict[str, Any]:
    if node.get("valueQuantity") is not None:
        return _quantity(node, metric, context, f"{pointer}/valueQuantity")
    for element in ("valueInteger", "valueDecimal"):
        if number(node.get(element)) is not None:
            return {"value": node[element]}
    if isinstance(node.get("valueBoolean"), bool):
        return {"value": "positive" if node["valueBoolean"] else "negative"}
    written = text(node.get("valueString"))
    coded = codings(node.get("valueCodeableConcept"), f"{pointer}/valueCodeableConcept")
    words = [coding.code for coding in coded] + ([written] if written else [])
    answer = context.terms.answer(words) or _interpreted(node, metric, context)
    if answer:
        return {"value": answer}
    # A result in words that we cannot place is stated as it is: unknown to every rule, but visible.
    return {"value": label(node["valueCodeableConcept"])} if coded else _if_any(written)


def _if_any(written: str | None) -> dict[str, Any]:
    return {"value": written} if written else {}


def _interpreted(node: Json, metric: str, context: Context) -> str | None:
    if metric not in context.terms.reading["qualitative"]:
        return None
    flags = [c.code for part in mappings(node.get("interpretation")) for c in codings(part)]
    return context.terms.answer(flags)


def _quantity(node: Json, metric: str, context: Context, pointer: str) -> dict[str, Any]:
    quantity = node["valueQuantity"]
    if not isinstance(quantity, dict):
        raise Rejected(Reason.WRONG_TYPE, "expected a quantity", pointer)
    if quantity.get("value") is None:
        return {}
    value = number(quantity["value"])
    if value is None:
        raise Rejected(Reason.WRONG_TYPE, "the value is no usable number", f"{pointer}/value")
    interpreted = _interpreted(node, metric, context)
    unit = unit_of(quantity)
    if interpreted and not unit:
        return {"value": interpreted}
    stated = {"value": value, "unit": unit, "comparator": text(quantity.get("comparator"))}
    return stated | _range(node, unit)


def unit_of(quantity: Json) -> str | None:
    """Return the unit of a quantity: its UCUM code, else the words."""
    system = text(quantity.get("system")) or ""
    code = text(quantity.get("code"))
    if code and (not system or "unitsofmeasure" in system):
        return code
    return text(quantity.get("unit")) or code


def _range(node: Json, unit: str | None) -> dict[str, Any]:
    """Return the normal range in the result's own unit.

    With several normal ranges (by age, sex or lab) the narrowest counts: it is the safe side.
    """
    highs: list[float] = []
    lows: list[float] = []
    for given in mappings(node.get("referenceRange")):
        if codes(given.get("type")) - {"normal"}:
            continue
        for bound, values in ((given.get("high"), highs), (given.get("low"), lows)):
            value = number(mapping(bound).get("value"))
            if value is not None and unit_of(mapping(bound)) in (unit, None):
                values.append(value)
    return {"range_high": min(highs, default=None), "range_low": max(lows, default=None)}
