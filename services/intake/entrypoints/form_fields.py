"""The forms as a page shows them: derived from their models, so that a field is defined once.

Invariant: what a page asks for, requires and offers is what the endpoint reads.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.intake.domain.entries import PlannedDose
from services.intake.domain.reporting import CLINICAL, roles_for
from services.intake.entrypoints import form_bodies as bodies
from shared.protocol import Protocol
from shared.web.requests import RequestModel

Choice = Mapping[str, str]
#: choices that the protocol or the case gives, by form and field
Offered = Mapping[tuple[type[RequestModel], str], Sequence[Choice]]

#: in the order in which they are offered, with what they are called
TITLES: Final[Mapping[type[RequestModel], str]] = {
    bodies.SymptomBody: "Symptom or red flag",
    bodies.InfectionEpisodeBody: "Infection",
    bodies.SteroidCourseBody: "Steroid course",
    bodies.ChemotherapyMoveBody: "Moved chemotherapy cycle",
    bodies.ChemotherapyPlanBody: "Chemotherapy plan",
    bodies.OtherProductBody: "Product or alternative treatment",
}
_FORMATS: Final = {"date": "date", "date-time": "instant"}
_TYPES: Final = {"string": "text", "number": "number", "integer": "whole", "boolean": "yes-no"}
_BOUNDS: Final = {
    "minimum": "minimum",
    "exclusiveMinimum": "above",
    "maximum": "maximum",
    "maxLength": "max_length",
}
_WORDS: Final = {
    "uncomplicated": "Uncomplicated",
    "serious": "Serious (organ, blood or in hospital)",
    "sars_cov_2": "COVID-19 (SARS-CoV-2)",
    "hbv": "Hepatitis B",
    "hcv": "Hepatitis C",
    "hiv": "HIV",
    "htlv": "HTLV",
    "cmv": "Cytomegalovirus (CMV)",
    "cik": "CIK cells",
    "antiemetic": "Against nausea",
    "replacement": "Hormone replacement",
    "alternative": "Alternative treatment",
    "herbal": "Herbal product",
}


def described(protocol: Protocol, planned: Sequence[PlannedDose]) -> list[dict[str, Any]]:
    """Every form with its fields; `planned` are the doses that a case's plan has ahead."""
    offered: Offered = {
        (bodies.SymptomBody, "symptom"): [
            {"value": flag.id, "title": _words(flag.symptom)} for flag in protocol.plans.red_flags
        ],
        (bodies.ChemotherapyMoveBody, "from_day"): _days(planned),
    }
    return [_form(model, title, offered) for model, title in TITLES.items()]


def _days(planned: Sequence[PlannedDose]) -> list[Choice]:
    names: dict[str, list[str]] = {}
    for dose in planned:
        names.setdefault(dose.day.isoformat(), []).append(dose.name or "dose")
    return [{"value": day, "title": f"{day}: {', '.join(n)}"} for day, n in names.items()]


def _form(model: type[RequestModel], title: str, offered: Offered) -> dict[str, Any]:
    schema = model.model_json_schema()
    fields = {name: part for name, part in schema["properties"].items() if name != "form"}
    required = set(schema["required"])
    return {
        "form": schema["properties"]["form"]["const"],
        "title": title,
        "about": schema["description"],
        "entered_by": sorted(_entered_by(model)),
        "fields": [
            {
                **_field(name, part, schema.get("$defs", {})),
                "required": name in required,
                **({"choices": offered[model, name]} if offered.get((model, name)) else {}),
            }
            for name, part in fields.items()
        ],
    }


def _entered_by(model: type[RequestModel]) -> frozenset[str]:
    """Every role that may enter what the form states."""
    kind = "plan_change" if model is bodies.ChemotherapyMoveBody else ""
    return frozenset(CLINICAL & roles_for({"kind": kind}))


def _field(name: str, part: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """One field from its JSON schema, in which null is one of several alternatives."""
    branches = [b for b in part.get("anyOf", [part]) if b.get("type") != "null"]
    shape = branches[0]
    shape = defs[shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape
    found: dict[str, Any] = {
        "name": name,
        "title": part["title"],
        "hint": part.get("description") or "",
        "type": _type(shape, len(branches) < len(part.get("anyOf", [part]))),
        "null_means": part.get("x-null-means"),
        "choices": [{"value": v, "title": _words(v)} for v in shape.get("enum", [])],
    }
    return found | {bound: shape.get(name) for name, bound in _BOUNDS.items()}


def _type(shape: Mapping[str, Any], is_nullable: bool) -> str:
    if shape["type"] == "array":
        return "whole-list"
    if shape["type"] == "boolean" and is_nullable:
        return "yes-no-unknown"
    return _FORMATS.get(shape.get("format", ""), _TYPES[shape["type"]])


def _words(value: str) -> str:
    text = value.replace("_", " ")
    return _WORDS.get(value, text[:1].upper() + text[1:])
