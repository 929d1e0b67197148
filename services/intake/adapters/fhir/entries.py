"""The entries of a bundle, each with the name that reports and facts use for it.

Invariant: an entry that cannot be named costs itself only; the number of entries is bounded.
"""

import re
from dataclasses import dataclass

from services.intake.adapters.fhir.access import Json, fingerprint, mapping, text
from services.intake.adapters.fhir.limits import ENTRIES_MAX, Refused
from services.intake.adapters.fhir.reading import Problem, ProblemCode

REFERENCE_LENGTH_MAX = 2_000
"""Longest reference that is followed; a URL beyond this is no resource address."""
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource of the bundle. ``reference`` is "Type/id" and names it in reports and facts."""

    index: int
    resource: Json
    type: str
    reference: str
    full_url: str

    @property
    def pointer(self) -> str:
        """JSON pointer of the resource in the input."""
        return f"/entry/{self.index}/resource"


@dataclass(frozen=True, slots=True)
class NotAResource:
    """An entry that holds nothing that can be named; it is rejected on its own."""

    index: int
    message: str


def reference_text(reference: object) -> str:
    """Return the literal reference of a Reference object or a plain string, or ""."""
    value = reference.get("reference") if isinstance(reference, dict) else reference
    return value if isinstance(value, str) and len(value) <= REFERENCE_LENGTH_MAX else ""


def open_entries(bundle: Json) -> list[Entry | NotAResource]:
    """Return the entries in order with their index, or raise Refused when it is no bundle."""
    if bundle.get("resourceType") != "Bundle":
        found = text(bundle.get("resourceType")) or "no resourceType"
        message = f"expected a FHIR Bundle, found {found}"
        raise Refused(Problem(ProblemCode.NOT_A_BUNDLE, message, "/resourceType"))
    listed = bundle.get("entry", [])
    if not isinstance(listed, list):
        raise Refused(Problem(ProblemCode.NOT_A_BUNDLE, "entry is not an array", "/entry"))
    if not listed:
        raise Refused(Problem(ProblemCode.NO_ENTRIES, "the bundle has no entries", "/entry"))
    if len(listed) > ENTRIES_MAX:
        message = f"the bundle has {len(listed)} entries, more than {ENTRIES_MAX}"
        raise Refused(Problem(ProblemCode.TOO_MANY_ENTRIES, message, "/entry"))
    return [_open(index, item) for index, item in enumerate(listed)]


def _open(index: int, item: object) -> Entry | NotAResource:
    if not isinstance(item, dict):
        return NotAResource(index, "the entry is not an object")
    resource = item.get("resource")
    if not isinstance(resource, dict):
        return NotAResource(index, _nothing_held(item))
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        return NotAResource(index, "the resource has no valid resourceType")
    if kind == "Bundle":
        return NotAResource(index, "a bundle inside a bundle is not opened: send its entries")
    full_url = reference_text(item.get("fullUrl"))
    return Entry(index, resource, kind, f"{kind}/{_identity(resource, full_url)}", full_url)


def _nothing_held(item: Json) -> str:
    if mapping(item.get("request")).get("method") == "DELETE":
        return "a deletion withdraws nothing here: send the resource as entered-in-error"
    return "the entry holds no resource"


def _identity(resource: Json, full_url: str) -> str:
    """Return the resource's id, else the one in its fullUrl, else a hash of its content."""
    own = resource.get("id")
    if isinstance(own, str) and _ID.fullmatch(own):
        return own
    tail = re.split(r"[/:]", full_url)[-1]
    return tail if _ID.fullmatch(tail) else f"content-{fingerprint(resource)}"
