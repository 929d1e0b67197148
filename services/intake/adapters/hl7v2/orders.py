"""ORC groups of RDE, RDS, OMP and ORM -> medication orders; RXA -> administrations and vaccines.

Invariant: one order keeps one identity through all its changes, so a change supersedes. A daily
dose is stated only when amount, unit and frequency are known. A cancelled order whose first day has
passed was perhaps begun: it counts as taken until then, never as if it had not been.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from services.intake.adapters.hl7v2.parsing import Segment
from services.intake.adapters.hl7v2.results import number
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
)

_GOES_ON = frozenset(
    {"NW", "RE", "RO", "SN", "NA", "XO", "XX", "XR", "OK", "SC", "RF", "RP", "RU", "PA", "CN", "RL"}
    | {"HD", "HR", "OH", "OR", "SS", "AF", "FU", "RQ", "UF", "UC", "UD", "UX", "UH", "UR", ""}
)
"""HL7 table 0119: after these the order stands. A held order counts as taken: that is safe."""
_CANCELS: Final = frozenset({"CA", "OC", "CR"})
_STOPS: Final = frozenset({"DC", "DR", "OD"})
_STOPPED_RANK: Final = 1
_AMOUNT = re.compile(r"\d+(\.\d+)?")
_EVERY = re.compile(r"Q(\d+)(H|D|W|M)")
_TIMES = re.compile(r"(\d+)ID")
_UNITS = {"H": "h", "D": "d", "W": "wk", "M": "min"}
_DAILY: Mapping[str, int] = MappingProxyType(
    {"QD": 1, "DAILY": 1, "QAM": 1, "QPM": 1, "QHS": 1, "BID": 2, "TID": 3, "QID": 4}
)
_ROUTES: Mapping[str, str] = MappingProxyType(
    {
        "IV": "IV", "IVP": "IV", "IVPB": "IVPB", "PO": "PO", "IM": "IM", "SC": "SC", "SQ": "SQ",
        "TP": "TOP", "TD": "TRNSDERM", "IH": "ORINHL", "IN": "NASAL", "NS": "NASAL",
        "OP": "OPTHALTA", "OT": "OTIC", "PR": "PR", "IT": "IT", "EP": "EPI",
    }
)  # fmt: skip
"""HL7 table 0162 -> the codes that the rulebook lists for its routes."""
_DRUG_FIELD: Mapping[str, tuple[int, int, int, int]] = MappingProxyType(
    {"RXE": (2, 3, 4, 5), "RXO": (1, 2, 3, 4), "RXD": (2, 0, 0, 0)}
)
"""Where an order says drug, least and greatest amount, and unit; a dispensed amount is no dose."""


@dataclass(frozen=True, slots=True)
class Group:
    """An ORC and what belongs to it."""

    control: Segment
    segments: tuple[Segment, ...]

    def named(self, *names: str) -> Iterator[Segment]:
        """Yield the segments of these names in order."""
        return (segment for segment in self.segments if segment.name in names)

    def drug(self) -> Segment | None:
        """Return the segment that names the drug as the pharmacy understood it, else as asked."""
        for name in _DRUG_FIELD:
            found = next(self.named(name), None)
            if found is not None:
                return found
        return None

    @property
    def number(self) -> str:
        """The order's number: the placer's, else the filler's."""
        for field in (2, 3):
            if self.control.get(field):
                return f"{self.control.get(field)}^{self.control.get(field, 2)}"
        return ""


def groups(segments: tuple[Segment, ...]) -> list[Group]:
    """Return the order groups of a message."""
    found: list[list[Segment]] = []
    for segment in segments:
        if segment.name == "ORC":
            found.append([segment])
        elif found:
            found[-1].append(segment)
    return [Group(own[0], tuple(own[1:])) for own in found]


def read_order(group: Group, around: Around) -> list[Answer]:
    """Return the medication of an order group, one for each named additive; others: nothing."""
    drug = group.drug()
    if drug is None:
        return []
    control = group.control.get(1).upper()
    if control not in _GOES_ON | _CANCELS | _STOPS:
        message = f"{control[:10]!a} is no order control code that is known here"
        return [Left(drug, "wrong-type", message, group.control.at(1), rejected=True)]
    if not group.number:
        message = "the order has no number, so no change to it could ever be told"
        place = group.control.at(2)
        return [Left(drug, "required-element-missing", message, place, rejected=True)]
    additives = [s for s in group.named("RXC") if s.get(1).upper() == "A" and s.get(2)]
    whole = _order(group, drug, concept(drug, _DRUG_FIELD[drug.name][0]), around, "")
    parts = [_order(group, one, concept(one, 2), around, one.get(2)) for one in additives]
    return [whole, *parts]


def _order(group: Group, drug: Segment, code: Json, around: Around, part: str) -> Answer:
    field = 2 if part else _DRUG_FIELD[drug.name][0]
    if not code:
        return Left(drug, "required-element-missing", "no drug", drug.at(field), rejected=True)
    written = around.time(group.control, 9) or around.sent
    resource: Json = {
        "resourceType": "MedicationRequest",
        "intent": "order",
        "medicationCodeableConcept": code,
        "subject": PATIENT,
        **made({"authoredOn": written, "dosageInstruction": _dosages(group, drug, part, around)}),
    }
    resource |= _standing(group, resource, around)
    stopped = resource["status"] != "active"
    places = {
        "/medication": drug.at(field),
        "/authoredOn": group.control.at(9) if group.control.get(9) else "MSH[1]-7",
        "/dateEnded": group.control.at(15),
        "/dosageInstruction": next((s.at() for s in group.named("TQ1")), drug.at()),
    }
    supports = (group.control, *group.named("TQ1", "RXR", "RXO"))
    named = identity("order", group.number, *([part] if part else []))
    return Translated(
        drug, resource, named, written, places, _STOPPED_RANK if stopped else 0, supports
    )


def _standing(group: Group, resource: Json, around: Around) -> Json:
    """Return the order's status, and its end where it was stopped."""
    control = group.control.get(1).upper()
    if control in _GOES_ON:
        return {"status": "active"}
    ended = around.time(group.control, 15) or around.time(group.control, 9) or around.sent or ""
    begins = [start for start in _starts(resource) if start]
    if control in _CANCELS and begins and min(begins)[:10] > ended[:10]:
        return {"status": "entered-in-error"}
    return made({"status": "stopped", "dateEnded": ended})


def _starts(resource: Json) -> Iterator[str]:
    for dosage in resource.get("dosageInstruction", []):
        period = dosage.get("timing", {}).get("repeat", {}).get("boundsPeriod", {})
        yield period.get("start", "")


def _dosages(group: Group, drug: Segment, part: str, around: Around) -> list[Json]:
    timings: list[Segment | None] = [*group.named("TQ1")] or [None]
    amount = {} if part else _amount(drug)
    route = _route(group)
    found = []
    for sequence, timing in enumerate(timings, start=1):
        dosage = {**amount, **route, **_timing(timing, drug, around)}
        if len(timings) > 1:
            dosage["sequence"] = sequence
        found.append(dosage)
    return [dosage for dosage in found if dosage]


def _amount(drug: Segment) -> Json:
    _, least, most, unit = _DRUG_FIELD[drug.name]
    written = drug.get(least) if least else ""
    is_range = most and drug.get(most) not in ("", written)
    if not _AMOUNT.fullmatch(written) or is_range or not drug.get(unit):
        return {}
    quantity = {"value": number(written), "unit": drug.get(unit)}
    return {"doseAndRate": [{"doseQuantity": quantity}]}


def _route(group: Group) -> Json:
    for segment in group.named("RXR"):
        known = _ROUTES.get(segment.get(1).upper())
        own = concept(segment, 1)
        coded = [*([{"system": "urn:hl7v2:route", "code": known}] if known else [])]
        return made({"route": made({**own, "coding": [*coded, *own.get("coding", [])]})})
    return {}


def _timing(timing: Segment | None, drug: Segment, around: Around) -> Json:
    if timing is None:  # the older form: everything in one field of RXE
        if drug.name != "RXE":
            return {}
        pattern, start, end = drug.get(1, 2), around.time(drug, 1, 4), around.time(drug, 1, 5)
    else:
        pattern = timing.get(3)
        start, end = around.time(timing, 7), around.time(timing, 8)
    pattern = pattern.upper().replace(" ", "")
    as_needed = {"asNeededBoolean": True} if "PRN" in pattern else {}
    once = pattern == "ONCE" and start
    repeat = (
        {}
        if once
        else {**_frequency(pattern), **made({"boundsPeriod": made({"start": start, "end": end})})}
    )
    held = made({"event": [start] if once else [], "repeat": repeat})
    return {**as_needed, **made({"timing": held})}


def _frequency(pattern: str) -> Json:
    if pattern in _DAILY:
        return {"frequency": _DAILY[pattern], "period": 1, "periodUnit": "d"}
    if pattern == "QOD":
        return {"frequency": 1, "period": 2, "periodUnit": "d"}
    every, times = _EVERY.fullmatch(pattern), _TIMES.fullmatch(pattern)
    if every is not None:
        return {"frequency": 1, "period": int(every[1][:6]), "periodUnit": _UNITS[every[2]]}
    if times is not None:
        return {"frequency": int(times[1][:3]), "period": 1, "periodUnit": "d"}
    return {}


_NOT_GIVEN = frozenset({"RE", "NA"})


def read_administration(segment: Segment, group: Group | None, around: Around) -> Answer:
    """Return one RXA: a vaccination where the message or the code says so, else a dose given."""
    code = concept(segment, 5)
    if not code:
        return Left(segment, "required-element-missing", "no drug", segment.at(5), rejected=True)
    is_vaccine = around.message.header.kind == "VXU" or "CVX" in (
        segment.get(5, 3).upper(),
        segment.get(5, 6).upper(),
    )
    not_given = segment.get(20).upper() in _NOT_GIVEN
    withdrawn = segment.get(21).upper() == "D"
    status = "not-done" if not_given else "entered-in-error" if withdrawn else "completed"
    given, until = around.time(segment, 3), around.time(segment, 4)
    order = group.number if group else ""
    named = identity("given", order, segment.get(5), given or "")
    shared = {"status": status}
    if is_vaccine:
        resource = {
            "resourceType": "Immunization", **shared, "patient": PATIENT, "vaccineCode": code,
            **made({"occurrenceDateTime": given}),
        }  # fmt: skip
        places = {"/vaccineCode": segment.at(5), "/occurrence": segment.at(3)}
    else:
        resource = _dose_given(segment, code, shared, given, until)
        places = {"/medication": segment.at(5), "/effective": segment.at(3)}
    supports = (group.control,) if group else ()
    return Translated(segment, resource, named, around.sent, places, int(withdrawn), supports)


def _dose_given(
    segment: Segment, code: Json, shared: Json, given: str | None, until: str | None
) -> Json:
    amount, unit = segment.get(6), segment.get(7)
    dose = {"value": number(amount), "unit": unit} if _AMOUNT.fullmatch(amount) and unit else None
    ended = until and given and until > given
    when = (
        {"effectivePeriod": {"start": given, "end": until}}
        if ended
        else made({"effectiveDateTime": given})
    )
    return {
        "resourceType": "MedicationAdministration",
        **shared,
        "medicationCodeableConcept": code,
        "subject": PATIENT,
        **when,
        **made({"dosage": made({"dose": dose})}),
    }
