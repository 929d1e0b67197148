"""PID -> the patient; MRG -> what the sender says of identities.

Invariant: one message is about one patient; identities change only by the event made for it.
"""

import itertools
from collections.abc import Iterator
from typing import Literal

from services.intake.adapters.hl7v2.parsing import Message, RefusedError, Segment
from services.intake.adapters.hl7v2.translated import Around, Json, Translated, made
from services.intake.application.incoming_messages import Identifiers, IdentityChange

_SEXES = {"F": "female", "M": "male", "O": "other", "A": "other", "U": "unknown"}
_DAY_LENGTH = 8
_MERGES = frozenset({"A18", "A30", "A34", "A35", "A36", "A39", "A40", "A41", "A42"})
_UNMERGES = frozenset({"A37"})
_CHANGES = frozenset({"A43", "A44", "A45", "A46", "A47", "A48", "A49", "A50", "A51"})
_OF_TWO = _MERGES | _UNMERGES | _CHANGES | {"A24"}
"""Events whose message names more than one patient by design."""
IDENTIFIERS_MAX = 20


def identifiers(segment: Segment, number: int, around: Around) -> Identifiers:
    """Return the identifiers of a CX field as (system, value), in order."""
    found = []
    for repeat in range(1, min(segment.repeats(number), IDENTIFIERS_MAX) + 1):
        value = segment.get(number, 1, repeat)
        if value:
            found.append((_system(segment, number, repeat, around), value))
    return tuple(dict.fromkeys(found))


def _system(segment: Segment, number: int, repeat: int, around: Around) -> str:
    """Return the system of an identifier: as the site maps its authority, else the authority."""
    namespace = segment.get(number, 4, repeat, 1)
    universal, kind = segment.get(number, 4, repeat, 2), segment.get(number, 4, repeat, 3)
    for name in (namespace, universal):
        if name in around.profile.systems:
            return around.profile.systems[name]
    if universal and kind in ("ISO", ""):
        return f"urn:oid:{universal}"
    if universal:
        return universal if ":" in universal else f"urn:hl7v2:{universal}"
    return f"urn:hl7v2:{namespace or segment.get(number, 5, repeat) or around.profile.feed}"


def one_patient(message: Message, around: Around) -> Segment | None:
    """Return the PID of the message, None where nobody is named.

    Raises `RefusedError` for two patients in a message that is not about two.
    """
    found = list(message.named("PID"))
    known: set[tuple[str, str]] = set()
    for segment in found:
        own = set(_own(segment, around))
        if known and not known & own and message.header.event not in _OF_TWO:
            said = f"{segment.at()} is another patient than {found[0].at()}; nothing was read"
            raise RefusedError("several-patients", said, segment.at(3))
        known |= own
    return found[0] if found else None


def _own(segment: Segment, around: Around) -> Identifiers:
    return identifiers(segment, 3, around) or identifiers(segment, 2, around)


def everybody(message: Message, around: Around) -> Identifiers:
    """Return the identifiers of all whom the message names, also where it is refused."""
    named = (one for segment in message.named("PID") for one in _own(segment, around))
    return tuple(dict.fromkeys(named))[:IDENTIFIERS_MAX]


def read_patient(segment: Segment, around: Around) -> Translated:
    """Return the patient as a resource."""
    born, died = around.time(segment, 7), around.time(segment, 29)
    resource: Json = {
        "resourceType": "Patient",
        "id": "pid",
        "identifier": [{"system": s, "value": v} for s, v in _own(segment, around)],
        "name": [made({"family": segment.get(5), "given": _given(segment)})],
        **made({"gender": _SEXES.get(segment.get(8).upper())}),
        **made({"birthDate": born[: _DAY_LENGTH + 2] if born else None}),
        **made({"deceasedDateTime": died}),
    }
    if not died and segment.get(30) == "Y":
        resource["deceasedBoolean"] = True
    places = {
        "/birthDate": segment.at(7),
        "/deceasedDateTime": segment.at(29),
        "/deceasedBoolean": segment.at(30),
    }
    return Translated(segment, resource, "patient", around.sent, places)


def _given(segment: Segment) -> list[str]:
    return [name for name in (segment.get(5, 2), segment.get(5, 3)) if name]


def identity_changes(message: Message, around: Around) -> tuple[IdentityChange, ...]:
    """Return what the sender did to identities; an ordinary message did nothing."""
    kind = _kind(message)
    return tuple(_changes(message, around, kind)) if kind else ()


def _kind(message: Message) -> Literal["merge", "unmerge", "change"] | None:
    if message.header.kind != "ADT":
        return None
    event = message.header.event
    if event in _MERGES:
        return "merge"
    return "unmerge" if event in _UNMERGES else "change" if event in _CHANGES else None


def _changes(
    message: Message, around: Around, kind: Literal["merge", "unmerge", "change"]
) -> Iterator[IdentityChange]:
    header = message.header
    source = f"HL7v2 {around.profile.feed} {header.control_id}"
    said = list(message.named("PID", "MRG"))
    for first, second in itertools.pairwise(said):
        if first.name == "PID" and (second.name == "MRG" or kind == "unmerge"):
            number = 1 if second.name == "MRG" else 3
            retired = identifiers(second, number, around)
            yield IdentityChange(kind, _own(first, around), retired, source, around.sent or "")
