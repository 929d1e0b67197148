"""OBX -> observations, OBR -> reports.

Invariant: value and unit go on exactly as sent. A result that is withdrawn reaches the record, to
end the one before; one that says that there is no result does not.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from services.intake.adapters.hl7v2.parsing import Segment
from services.intake.adapters.hl7v2.translated import (
    PATIENT,
    Answer,
    Around,
    Json,
    Left,
    Translated,
    concept,
    identity,
    made,
    system_of,
)

_STATUS: Mapping[str, str] = MappingProxyType(
    {
        "F": "final", "U": "final", "V": "final", "C": "corrected", "A": "amended",
        "B": "appended", "P": "preliminary", "S": "preliminary", "R": "preliminary",
        "D": "entered-in-error", "W": "entered-in-error", "": "unknown",
    }
)  # fmt: skip
"""HL7 table 0085 -> FHIR. R (entered, not verified) has a value: it counts as preliminary."""
_NO_RESULT: Mapping[str, str] = MappingProxyType(
    {
        "I": "specimen in the laboratory, no result yet",
        "O": "describes the order, is no result",
        "N": "not asked for",
        "X": "no result could be obtained",
    }
)
_RANK = {"preliminary": 1, "unknown": 1, "final": 2, "corrected": 3, "amended": 3, "appended": 3}
_WITHDRAWN_RANK = 4
_COMPARED = re.compile(r"\s*(<=|>=|<|>)?\s*([+-]?\d+(?:\.\d+)?)\s*")
_RANGE = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*-\s*([+-]?\d+(?:\.\d+)?)\s*")
_WRITTEN = frozenset({"ST", "TX", "FT", ""})
_CODED = frozenset({"CE", "CWE", "CNE", "CF", "IS", "ID"})


def order_of(segments: list[Segment]) -> str:
    """Return the order's number that results hang on: the filler's, else the placer's."""
    for name, fields in (("OBR", (3, 2)), ("ORC", (3, 2))):
        for segment in reversed(segments):
            if segment.name == name:
                for number in fields:
                    if segment.get(number):
                        return f"{segment.get(number)}^{segment.get(number, 2)}"
    return ""


def read_result(segment: Segment, before: list[Segment], around: Around) -> Answer:
    """Return one OBX as an observation; `before` are the ORC and OBR that it belongs to."""
    status = segment.get(11).upper()
    if status in _NO_RESULT:
        return Left(segment, "no-value", _NO_RESULT[status], segment.at(11))
    if status not in _STATUS:
        message = f"{status[:20]!a} is no known status of a result"
        return Left(segment, "wrong-type", message, segment.at(11), rejected=True)
    if not segment.get(3):
        return Left(segment, "required-element-missing", "no code", segment.at(3), rejected=True)
    if segment.repeats(5) > 1 and segment.get(2).upper() in {"NM", "SN"}:
        message = "several values in one result"
        return Left(segment, "wrong-type", message, segment.at(5), rejected=True)
    panel = next((s for s in reversed(before) if s.name == "OBR"), None)
    taken, taken_at = _taken(segment, panel, around)
    issued = (around.time(panel, 22) if panel else None) or around.sent
    word = _STATUS[status]
    resource: Json = {
        "resourceType": "Observation",
        "status": word,
        "code": concept(segment, 3),
        "subject": PATIENT,
        **made({"effectiveDateTime": taken, "issued": issued}),
        **_value(segment),
        **made({"interpretation": _flags(segment)}),
    }
    order = order_of(before)
    if segment.get(21):  # the sender's own number of this very result
        named = identity("result", segment.get(21), segment.get(3))
    else:
        named = identity("result", order or taken or "", segment.get(3), segment.get(4))
    places = _places(segment, panel, taken_at)
    rank = _RANK.get(word, _WITHDRAWN_RANK)
    return Translated(segment, resource, named, issued, places, rank)


def _taken(segment: Segment, panel: Segment | None, around: Around) -> tuple[str | None, str]:
    own = around.time(segment, 14)
    if own or panel is None:
        return own, segment.at(14)
    return around.time(panel, 7), panel.at(7)


def _places(segment: Segment, panel: Segment | None, taken_at: str) -> dict[str, str]:
    return {
        "/code": segment.at(3),
        "/value": segment.at(5),
        "/effectiveDateTime": taken_at,
        "/issued": panel.at(22) if panel else "MSH[1]-7",
        "/interpretation": segment.at(8),
    }


def _value(segment: Segment) -> Json:
    kind, written = segment.get(2).upper(), segment.get(5)
    if kind == "SN":
        return _structured(segment)
    if kind in _CODED:
        found = concept(segment, 5)
        return {"valueCodeableConcept": found} if found else {}
    if kind == "NM" or kind in _WRITTEN:
        match = _COMPARED.fullmatch(written)
        if match is not None:
            return {"valueQuantity": _quantity(segment, match[2], match[1]), **_range(segment)}
        return made({"valueString": written})
    return {}  # documents, references, dates: nothing that a rule could read


def _structured(segment: Segment) -> Json:
    comparator, first = segment.get(5, 1), segment.get(5, 2)
    mark, second = segment.get(5, 3), segment.get(5, 4)
    match = _COMPARED.fullmatch(first)
    if match is None or mark or second or comparator not in ("", "=", "<", ">", "<=", ">="):
        return made({"valueString": f"{comparator}{first}{mark}{second}"})
    bound = None if comparator in ("", "=") else comparator
    return {"valueQuantity": _quantity(segment, match[2], bound), **_range(segment)}


def _quantity(segment: Segment, written: str, comparator: str | None) -> dict[str, Any]:
    return made({"comparator": comparator, **_unit(segment)}) | {"value": number(written)}


def number(written: str) -> float | int:
    """Return a written number as JSON has it."""
    return float(written) if "." in written else int(written)


def _unit(segment: Segment) -> dict[str, str]:
    code, words = segment.get(6), segment.get(6, 2)
    system = system_of(segment.get(6, 3)) if segment.get(6, 3).upper() == "UCUM" else ""
    return {"unit": code or words, **({"system": system, "code": code} if system else {})}


def _range(segment: Segment) -> Json:
    """Return the reference range in the result's own unit: `a-b`, `<b` or `>a`."""
    written, unit = segment.get(7), _unit(segment)
    both, one = _RANGE.fullmatch(written), _COMPARED.fullmatch(written)
    bounds: dict[str, str] = {}
    if both is not None:
        bounds = {"low": both[1], "high": both[2]}
    elif one is not None and one[1]:
        bounds = {"high" if one[1].startswith("<") else "low": one[2]}
    if not bounds:
        return {}
    held = {name: made(unit) | {"value": number(value)} for name, value in bounds.items()}
    return {"referenceRange": [held]}


def _flags(segment: Segment) -> list[Json]:
    flags = [segment.get(8, 1, repeat) for repeat in range(1, segment.repeats(8) + 1)]
    return [{"coding": [{"code": flag}]} for flag in flags if flag]


def read_panel(segment: Segment, before: list[Segment], around: Around) -> Translated:
    """Return one OBR as a report: evidence where its code is one, else its results speak."""
    word = _STATUS.get(segment.get(25).upper())
    issued = around.time(segment, 22) or around.sent
    resource: Json = {
        "resourceType": "DiagnosticReport",
        "status": word or "registered",
        "code": concept(segment, 4) or {"text": "no code"},
        "subject": PATIENT,
        **made({"effectiveDateTime": around.time(segment, 7), "issued": issued}),
    }
    places = {
        "/code": segment.at(4),
        "/effectiveDateTime": segment.at(7),
        "/issued": segment.at(22),
    }
    named = identity("report", order_of([*before, segment]), segment.get(4))
    return Translated(
        segment, resource, named, issued, places, _RANK.get(word or "", _WITHDRAWN_RANK)
    )
