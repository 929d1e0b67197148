"""What the translators of segments share: the message around a segment, and their answers.

Invariant: a time keeps the precision and the offset that it was sent with; where it has none, the
offset of MSH-7 holds for the whole message, and without that the time is the clinic's.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from services.intake.adapters.hl7v2.parsing import Message, Segment
from services.intake.application.incoming_messages import Profile

Json = dict[str, Any]
PATIENT = {"reference": "Patient/pid"}
IDENTITY_LENGTH_MAX = 160
"""Longest identity that is kept readable; a longer one is replaced by its hash."""
_TIME = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(?:\.(\d{1,6}))?([+-]\d{4}|Z)?")
_OFFSET = re.compile(r"[+-]\d{4}$")
_SYSTEMS = {
    "LN": "http://loinc.org",
    "LOINC": "http://loinc.org",
    "SCT": "http://snomed.info/sct",
    "SNOMED": "http://snomed.info/sct",
    "SNOMEDCT": "http://snomed.info/sct",
    "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "RXN": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ATC": "http://www.whocc.no/atc",
    "WC": "http://www.whocc.no/atc",
    "NDC": "http://hl7.org/fhir/sid/ndc",
    "CVX": "http://hl7.org/fhir/sid/cvx",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD10": "http://hl7.org/fhir/sid/icd-10",
    "ICD-10": "http://hl7.org/fhir/sid/icd-10",
    "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "I9": "http://hl7.org/fhir/sid/icd-9-cm",
    "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "UCUM": "http://unitsofmeasure.org",
}
"""HL7 table 0396 (and what senders write for it) -> FHIR's names of the systems."""


@dataclass(frozen=True, slots=True)
class Around:
    """The message that a segment stands in."""

    message: Message
    profile: Profile

    @property
    def sent(self) -> str | None:
        """When the message was made (MSH-7)."""
        return self.time_of(self.message.header.sent)

    @property
    def is_adt(self) -> bool:
        """Whether the message is about the patient's administration."""
        return self.message.header.kind == "ADT"

    def time(self, segment: Segment, number: int, component: int = 1) -> str | None:
        """Return a time of a segment as FHIR writes it; what is no time goes on as written."""
        return self.time_of(segment.get(number, component))

    def time_of(self, written: str) -> str | None:
        """Return an HL7 time as FHIR writes it."""
        if not written:
            return None
        match = _TIME.fullmatch(written)
        if match is None:
            return written  # the reader rejects it at its place
        year, month, day, hour, minute, second, fraction, offset = match.groups()
        dated = "-".join(part for part in (year, month, day) if part)
        if hour is None:
            return dated
        offset = offset or self._offset()
        clock = f"{hour}:{minute or '00'}:{second or '00'}" + (f".{fraction}" if fraction else "")
        zone = f"{offset[:3]}:{offset[3:]}" if len(offset) > 1 else offset
        return f"{dated}T{clock}{zone}"

    def _offset(self) -> str:
        found = _OFFSET.search(self.message.header.sent)
        return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Translated:
    """A segment (group) as the resource that it speaks of.

    `identity` names the thing across messages. `moment` and `rank` order its versions. `places`
    maps elements of the resource to fields, by the beginning of their JSON pointers.
    """

    segment: Segment
    resource: Json
    identity: str
    moment: str | None
    places: Mapping[str, str] = field(default_factory=dict)
    rank: int = 0
    supports: tuple[Segment, ...] = ()
    planned: Json | None = None

    def place(self, pointer: str) -> str:
        """Return the field that an element of the resource came from."""
        found = [key for key in self.places if pointer.startswith(key)]
        return self.places[max(found, key=len)] if found else self.segment.at()


@dataclass(frozen=True, slots=True)
class Left:
    """A segment that states nothing; `rejected` when it should have and cannot be read."""

    segment: Segment
    reason: str
    message: str
    place: str = ""
    rejected: bool = False


Answer = Translated | Left


def made(fields: Mapping[str, Any]) -> Json:
    """Return the elements that are there."""
    return {key: value for key, value in fields.items() if value not in (None, "", [], {})}


def concept(segment: Segment, number: int, repeat: int = 1, default: str = "") -> Json:
    """Return a coded element: the code and its alternate; `default` names the system if none is."""
    found = []
    for first in (1, 4):
        code = segment.get(number, first, repeat)
        if code and _is_coded(segment, number, repeat):
            system = system_of(segment.get(number, first + 2, repeat) or default)
            display = segment.get(number, first + 1, repeat)
            found.append(made({"system": system, "code": code, "display": display}))
    text = segment.get(number, 9, repeat) or segment.get(number, 2, repeat)
    return made({"coding": found, "text": text or segment.get(number, 1, repeat)})


def _is_coded(segment: Segment, number: int, repeat: int) -> bool:
    """Words alone, without any system and any second component, are a text and no code."""
    return " " not in segment.get(number, 1, repeat) or bool(segment.get(number, 3, repeat))


def system_of(name: str) -> str:
    """Return the FHIR name of a coding system, else a name of our own that matches nothing."""
    known = _SYSTEMS.get(name.upper().replace(" ", ""))
    if known or not name:
        return known or ""
    if re.fullmatch(r"\d+(\.\d+)+", name):
        return f"urn:oid:{name}"
    return name if ":" in name else f"urn:hl7v2:{name}"


def identity(*parts: str) -> str:
    """Return one name made of parts that may hold anything."""
    joined = "/".join(quote(part, safe=" .:-_^") for part in parts)
    if len(joined) <= IDENTITY_LENGTH_MAX:
        return joined
    return f"{parts[0]}/{hashlib.sha256(joined.encode()).hexdigest()[:32]}"
