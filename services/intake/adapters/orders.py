"""The FHIR reader behind the port `ReadOrders`: draft orders as hypothetical statements.

Invariant: the orders and the patient that came with them are about one person, or nothing is read.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from services.intake.adapters.fhir import (
    BundleReading,
    Outcome,
    ProblemCode,
    Reason,
    ReportLine,
    read_bundle,
)
from services.intake.adapters.fhir.orders import as_carried_out
from services.intake.application.incoming_orders import (
    DraftOrders,
    IncomingOrders,
    OrderProblem,
)
from services.intake.domain.cards import NotCompared

#: a clinician signs a regimen, not a pharmacy; the answer is due within half a second
ORDERS_MAX: Final = 100
#: what is malformed, rather than only not said; no refusal repeats what was sent
_MALFORMED: Final = {
    Reason.BAD_DATE: "is not a date",
    Reason.WRONG_TYPE: "has another type than FHIR gives it",
    Reason.NOT_A_RESOURCE: "is not a FHIR resource",
}
_REFUSED: Final = {ProblemCode.SEVERAL_PATIENTS: "belongs to another patient"}
_UNREADABLE: Final = "cannot be read"
_PATIENT_ENTRY: Final = 0


def read_draft_orders(orders: DraftOrders, received_at: datetime) -> IncomingOrders:
    """What the orders would bring if they were carried out as ordered."""
    problems = [*_patient_problems(orders), *_bundle_problems(orders)]
    if problems:
        return IncomingOrders(problems=problems)
    places, entries = _entries(orders, received_at)
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    # Without a time of receipt the reader takes dates to come as they are written.
    reading = read_bundle(json.dumps(bundle).encode())
    located = [*_refusals(reading, places), *_malformed(reading, places)]
    if located:
        return IncomingOrders(problems=located)
    return _read(reading, received_at)


def _patient_problems(orders: DraftOrders) -> list[OrderProblem]:
    at, patient = orders.patient_pointer, orders.patient
    if patient.get("resourceType") != "Patient":
        return [OrderProblem(f"{at}/resourceType", "not-a-patient", "expected a Patient")]
    if patient.get("id") != orders.patient_id:
        said = "is not the patient that the context names"
        return [OrderProblem(f"{at}/id", "another-patient", said)]
    return []


def _bundle_problems(orders: DraftOrders) -> list[OrderProblem]:
    at, bundle = orders.bundle_pointer, orders.bundle
    if bundle.get("resourceType") != "Bundle":
        return [OrderProblem(f"{at}/resourceType", "not-a-bundle", "expected a Bundle")]
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        return [OrderProblem(f"{at}/entry", "not-a-bundle", "is not an array")]
    if len(entries) > ORDERS_MAX:
        return [OrderProblem(f"{at}/entry", "too-many-entries", f"has more than {ORDERS_MAX}")]
    return [
        OrderProblem(f"{at}/entry/{index}", "not-a-resource", "the entry holds no resource")
        for index, entry in enumerate(entries)
        if not (isinstance(entry, dict) and isinstance(entry.get("resource"), dict))
    ]


def _entries(
    orders: DraftOrders, received_at: datetime
) -> tuple[list[str], list[Mapping[str, Any]]]:
    """The entries to read, and where each of them stands in the request."""
    places = [orders.patient_pointer]
    entries: list[Mapping[str, Any]] = [{"resource": dict(orders.patient)}]
    for index, entry in enumerate(orders.bundle.get("entry", [])):
        resource = as_carried_out(entry["resource"], index, received_at.date())
        if resource is not None:
            places.append(f"{orders.bundle_pointer}/entry/{index}/resource")
            kept = {key: entry[key] for key in ("fullUrl",) if key in entry}
            entries.append({**kept, "resource": resource})
    return places, entries


def _refusals(reading: BundleReading, places: Sequence[str]) -> list[OrderProblem]:
    return [
        OrderProblem(_place(p.pointer, places), p.code.value, _REFUSED.get(p.code, _UNREADABLE))
        for p in reading.problems
    ]


def _malformed(reading: BundleReading, places: Sequence[str]) -> list[OrderProblem]:
    return [
        OrderProblem(_place(line.pointer, places), line.reason.value, _MALFORMED[line.reason])
        for line in reading.report
        if line.outcome is Outcome.REJECTED and line.reason in _MALFORMED
    ]


def _place(pointer: str, places: Sequence[str]) -> str:
    """The place in the request of "/entry/3/resource/…" in what was read."""
    _, entry, number, *rest = [*pointer.split("/"), "", ""]
    if entry != "entry" or not number.isdecimal() or int(number) >= len(places):
        return places[_PATIENT_ENTRY]
    inside = [part for part in rest[1:] if part]
    return "/".join([places[int(number)], *inside])


def _read(reading: BundleReading, received_at: datetime) -> IncomingOrders:
    subject = reading.subject
    if subject is None:
        raise AssertionError("an accepted bundle has a subject")
    return IncomingOrders(
        identifiers=[(i.system, i.value) for i in subject.identifiers],
        statements=[
            _as_ordered(statement, received_at)
            for statement in reading.statements
            if statement["kind"] != "patient"
        ],
        not_compared=[_not_compared(line) for line in reading.report if _is_open(line)],
    )


def _as_ordered(statement: Mapping[str, Any], received_at: datetime) -> dict[str, Any]:
    """The statement with the order as all that is given: the card says so.

    A dose after the order's last would have an order, and free days, of its own. This lives as long
    as the card; on the record itself a next dose that is not stated stays unknown.
    """
    only = {"more_planned": False} if statement["kind"] in {"medication", "treatment"} else {}
    return {**statement, **only, "recorded": received_at.isoformat()}


def _is_open(line: ReportLine) -> bool:
    return line.outcome is Outcome.REJECTED and line.entry != _PATIENT_ENTRY


def _not_compared(line: ReportLine) -> NotCompared:
    kind = line.resource.partition("/")[0]
    return NotCompared("Treatment" if kind == "Procedure" else kind, line.message)
