"""What holds for a resource as a whole, before its own reader: modifiers, masks, contained parts.

Invariant: a resource whose meaning is changed in a way that is not understood is never read as if
it were unchanged, and what a sender withholds is told apart from what nobody knows.
"""

from collections.abc import Iterator
from dataclasses import replace

from services.intake.adapters.fhir.access import Json, Rejected, mapping, mappings, text
from services.intake.adapters.fhir.context import Ignored, Result, Stated
from services.intake.adapters.fhir.reading import Reason

CONTAINED_MAX = 200
"""Most contained resources of one resource that are looked at."""
_READ_INSIDE = {"DiagnosticReport": frozenset({"Observation"})}
"""Contained types that a reader follows; a Medication is followed from every order."""
_ABSENT = "data-absent-reason"
_DEPTH_MAX = 4
"""How deep inside an element a mask is looked for: concept, list of codings, coding, code."""
_NEARLY_EMPTY = frozenset({Reason.CODE_NOT_NEEDED, Reason.NO_VALUE})


def check_meaning(resource: Json) -> None:
    """Raise Rejected when the resource says that it means something else than it seems to."""
    if resource.get("implicitRules") is not None:
        message = "follows rules of its own that are not known here"
        raise Rejected(Reason.MODIFIED, message, "/implicitRules")
    for part, pointer in _parts(resource):
        if part.get("modifierExtension"):
            message = "an extension changes its meaning in a way that is not known here"
            raise Rejected(Reason.MODIFIED, message, f"{pointer}/modifierExtension")


def _parts(resource: Json) -> Iterator[tuple[Json, str]]:
    yield resource, ""
    for name, value in resource.items():
        if isinstance(value, list) and name != "contained":
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    yield item, f"/{name}/{index}"
        elif isinstance(value, dict):
            yield value, f"/{name}"


def withheld(resource: Json) -> tuple[str, ...]:
    """Return the names of the elements that the sender masks, sorted."""
    return tuple(
        sorted(
            name.removeprefix("_")
            for name, value in resource.items()
            if isinstance(value, dict | list) and _is_withheld(value, _DEPTH_MAX)
        )
    )


def _is_withheld(value: object, depth: int) -> bool:
    if not isinstance(value, dict | list) or not depth:
        return False
    if isinstance(value, list):
        return bool(value) and all(_is_withheld(item, depth - 1) for item in value)
    if any(_ABSENT in (text(item.get("url")) or "") for item in mappings(value.get("extension"))):
        return True
    return any(
        name == "coding" or (name.startswith("_") and name[1:] not in value)
        for name, inner in value.items()
        if _is_withheld(inner, depth - 1)
    )


def with_masks(resource: Json, result: Result) -> Result:
    """Return ``result`` with what the sender masks and what was left unread inside it."""
    masked = withheld(resource)
    if isinstance(result, Ignored):
        if masked and result.reason in _NEARLY_EMPTY:
            return Ignored(Reason.MASKED, f"{result.message}; withheld: {', '.join(masked)}")
        return result
    if isinstance(result, Stated):
        notes = (*(f"{name} is masked" for name in masked), *_unread(resource))
        return replace(result, warnings=(*result.warnings, *notes)) if notes else result
    return result


def contained(resource: Json) -> list[Json]:
    """Return the resources inside this one."""
    return mappings(resource.get("contained"))[:CONTAINED_MAX]


def _unread(resource: Json) -> Iterator[str]:
    followed = _READ_INSIDE.get(str(resource.get("resourceType")), frozenset()) | {"Medication"}
    kinds = {text(inner.get("resourceType")) or "resource" for inner in contained(resource)}
    for kind in sorted(kinds - followed):
        yield f"a contained {kind} is not read"


def absent_reason(resource: Json) -> str:
    """Return why a result has no value, as its sender codes it, or ""."""
    for part in mappings(mapping(resource.get("dataAbsentReason")).get("coding")):
        code = text(part.get("code"))
        if code:
            return code
    return ""
