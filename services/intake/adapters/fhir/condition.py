"""Condition and AllergyIntolerance -> condition, infection and stage statements.

Invariant: ``clinicalStatus`` alone never makes an infection active today. Real problem lists keep
acute infections "active" for decades, so the kind of infection and its date decide, and the report
says which way. The days are in the rulebook.
"""

from typing import Any

from services.intake.adapters.fhir.access import (
    Json,
    Rejected,
    codes,
    codings,
    label,
    mapping,
    mappings,
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
from services.intake.adapters.fhir.moments import Moment, moment
from services.intake.adapters.fhir.reading import Reason
from services.intake.adapters.fhir.terminology import ConditionMatch, InfectionKind

_SUSPECTED = frozenset({"provisional", "differential", "unconfirmed", "suspected"})
_OVER = frozenset({"resolved"})
_OVER_FOR_INFECTIONS = frozenset({"resolved", "inactive", "remission"})
NOT_CURRENT = "infection_not_current"
"""Concept of an infection that is on the list but is not one of today."""


def read_condition(entry: Entry, context: Context) -> Result:
    """Return the statements of one Condition."""
    resource = entry.resource
    if resource.get("code") is None:
        raise Rejected(Reason.MISSING, "no code", "/code")
    match = context.terms.condition(codings(resource["code"], "/code"))
    match = match or context.terms.claimed(_profiles(resource))
    name = label(resource["code"])
    if match is None:
        message = f"{name}: not in the terminology; listed for the checklist only"
        return Ignored(Reason.CODE_NOT_NEEDED, message)
    unused = context.terms.not_used(match.concept)
    if unused:
        return Ignored(Reason.NO_RULE, f"{name}: {unused}")
    times = _times(resource, context)
    content, message = _content(resource, match, times, context)
    common = {
        "effective": times["onset"],
        "recorded": times["recorded"],
        "codes": codes_stated(context, resource["code"]),
    }
    drafts = [Draft({**content, **common})]
    if match.stage or mappings(resource.get("stage")):
        drafts += _stage(_verification(resource, match), common, context)
    return Stated(tuple(drafts), f"{name}: {message}")


def _profiles(resource: Json) -> list[str]:
    given = mapping(resource.get("meta")).get("profile")
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []


def _stage(status: str, common: Json, context: Context) -> list[Draft]:
    if status not in ("confirmed", "entered-in-error"):
        return []
    content = {
        "kind": "evidence",
        "item": context.terms.reading["stages"]["evidence"],
        "effective": common["effective"],
        "recorded": common["recorded"],
        "status": "final" if status == "confirmed" else status,
    }
    return [Draft(content, "#stage")]


def _times(resource: Json, context: Context) -> dict[str, str | None]:
    onset = context.span(resource, "onset")
    recorded = context.recorded(resource, "recordedDate", "assertedDate", "dateRecorded")
    ended = _abated(resource, context)
    return {
        "onset": onset.start.written if onset else recorded,
        "recorded": recorded,
        "ended": _end_of(ended).written_latest if ended else None,
        "first_positive": onset.start.written_latest if onset else recorded,
    }


def _abated(resource: Json, context: Context) -> Span | None:
    return context.span(resource, "abatement")


def _end_of(span: Span) -> Moment:
    return span.end or span.start


def _verification(resource: Json, match: ConditionMatch) -> str:
    found = codes(resource.get("verificationStatus"))
    if "entered-in-error" in found:
        return "entered-in-error"
    if "refuted" in found:
        return "refuted"
    return "suspected" if found & _SUSPECTED or match.suspected else "confirmed"


def _content(
    resource: Json, match: ConditionMatch, times: dict[str, str | None], context: Context
) -> tuple[dict[str, Any], str]:
    status = _verification(resource, match)
    carrier = context.terms.carrier(match.concept)
    infection = context.terms.infection(match.concept)
    if carrier and status in ("confirmed", "suspected"):
        return _infection(carrier, times), f"infection of type {carrier}"
    if infection is not None and status in ("confirmed", "suspected"):
        return _dated_infection(resource, infection, times, context)
    over = codes(resource.get("clinicalStatus")) & _OVER
    content = {
        "kind": "condition",
        "concept": NOT_CURRENT if infection else match.concept,
        "status": status,
        "onset": times["onset"],
        "resolved": _resolved(times, bool(over), context),
    }
    return content, f"{match.concept}, {status}"


def _resolved(times: dict[str, str | None], over: bool, context: Context) -> str | None:
    """Return the end; if it is over and no day is given, the last day that the bundle knows of."""
    if times["ended"]:
        return times["ended"]
    return context.newest_day.isoformat() if over else None


def _infection(kind: str, times: dict[str, str | None]) -> dict[str, Any]:
    return {"kind": "infection", "type": kind, "onset": times["onset"]}


def _dated_infection(
    resource: Json, infection: InfectionKind, times: dict[str, str | None], context: Context
) -> tuple[dict[str, Any], str]:
    over = bool(codes(resource.get("clinicalStatus")) & _OVER_FOR_INFECTIONS)
    resolved = _resolved(times, over, context)
    if resolved is None:
        why = _why_not_current(infection, times, context)
        if why:
            content = {"kind": "condition", "concept": NOT_CURRENT, "onset": times["onset"]}
            return {**content, "status": "confirmed"}, why
    content = {**_infection(infection.type, times), "resolved": resolved}
    if infection.type == "sars_cov_2":
        content["first_positive"] = times["first_positive"]
    state = f"resolved {resolved[:10]}" if resolved else "counts as active"
    return content, f"{infection.type} infection, {state}"


def _why_not_current(
    infection: InfectionKind, times: dict[str, str | None], context: Context
) -> str | None:
    if infection.active_days_max is None:
        return "listed as active, but chronic: not counted as an active infection by its code alone"
    onset = moment(times["onset"], "/onset")
    if onset is None:
        return None
    age_days = (context.newest_day - onset.last_day).days
    if age_days <= infection.active_days_max:
        return None
    return (
        f"listed as active since {onset.written[:10]}, {age_days} days before the bundle's last "
        f"entry: an acute infection is not taken as running for more than "
        f"{infection.active_days_max} days"
    )


def read_allergy(entry: Entry, context: Context) -> Result:
    """Return a suspected excipient allergy; other allergies are not read by any rule."""
    resource = entry.resource
    named = [resource.get("code"), resource.get("substance")]
    named += [part.get("substance") for part in mappings(resource.get("reaction"))]
    found = [coding for concept in named for coding in codings(concept, "/code")]
    agent = context.terms.excipient(found)
    name = label(resource.get("code") or resource.get("substance"))
    if agent is None:
        return Ignored(Reason.CODE_NOT_NEEDED, f"{name}: not a component of the product")
    verified = codes(resource.get("verificationStatus"))
    if verified & {"refuted"} or codes(resource.get("clinicalStatus")) & {"resolved"}:
        return Ignored(Reason.REFUTED, f"{name}: refuted or resolved")
    onset = context.span(resource, "onset")
    recorded = context.recorded(resource, "recordedDate", "assertedDate")
    content = {
        "kind": "condition",
        "concept": "excipient_allergy",
        "status": "entered-in-error" if "entered-in-error" in verified else "suspected",
        "onset": onset.start.written if onset else None,
        "effective": onset.start.written if onset else recorded,
        "recorded": recorded,
        "codes": codes_stated(context, resource.get("code")),
    }
    said = f"{text(agent)}: a component of the product; a person confirms or refutes the severity"
    return Stated((Draft(content),), said)
