"""Reads one notification of a FHIR R4 subscription (Subscriptions R5 Backport 1.1, R4 shape).

Invariant: a notification is read as a whole or refused with a place; an event that cannot be
understood is never left out, because a number that nobody noted would be a silent loss. Only
references are taken from it: resources that a server sends along are fetched like all others.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, TypeVar

from services.intake.adapters.fhir.access import Json, codings, mapping, mappings, text
from services.intake.adapters.fhir.limits import Refused, parse_json
from services.intake.application.subscription_ports import (
    Notification,
    NotificationKind,
    NotificationProblem,
    NotifiedEvent,
    SubscriptionStatus,
)
from services.intake.domain.fhir_addresses import REFERENCE_LENGTH_MAX

EVENTS_MAX: Final = 1_000
"""Most events of one notification; servers send one, or a batch of some dozens."""
REFERENCES_MAX: Final = 100
"""Most resources of one event."""
REFERENCES_IN_ALL_MAX: Final = 2_000
"""Most resources of one notification: each becomes a row in the transaction that notes it."""
NUMBER_MAX: Final = 10**15
"""Highest event number; beyond it lies a slip or an attack."""
ERRORS_MAX: Final = 10
"""Most error codes that are kept."""
_DIGITS_MAX: Final = 16
_FIRST: Final = "/entry/0/resource"

K = TypeVar("K", NotificationKind, SubscriptionStatus)


class _Unreadable(Exception):
    def __init__(self, message: str, pointer: str) -> None:
        super().__init__(message)
        self.problem = NotificationProblem("notification-unreadable", message, pointer)


def read_notification(raw: bytes) -> Notification | NotificationProblem:
    """What a notification Bundle, or a bare status, says; never raises for bad input."""
    try:
        document = parse_json(raw)
        status, place = _status_of(document)
        return _read(status, place, _moment(document.get("timestamp")))
    except Refused as refusal:
        first = refusal.problems[0]
        return NotificationProblem(first.code.value, first.message, first.pointer)
    except _Unreadable as unreadable:
        return unreadable.problem


def _status_of(document: Json) -> tuple[Json, str]:
    """The Parameters with the status, and where they stand."""
    if document.get("resourceType") == "Parameters":
        return document, ""
    is_bundle = document.get("resourceType") == "Bundle"
    if not is_bundle or document.get("type") not in ("history", "searchset"):
        raise _Unreadable("a notification is a Bundle of type history", "/type")
    entries = document.get("entry")
    first = mapping(entries[0]) if isinstance(entries, list) and entries else {}
    status = mapping(first.get("resource"))
    if status.get("resourceType") != "Parameters":
        raise _Unreadable("the first entry is the Parameters of the status", _FIRST)
    return status, _FIRST


def _read(status: Json, place: str, told_at: datetime | None) -> Notification:
    parameters = mappings(status.get("parameter"))
    if len(parameters) > EVENTS_MAX:
        raise _Unreadable(f"more than {EVENTS_MAX} events or parameters", f"{place}/parameter")
    named = {str(part.get("name")): part for part in reversed(parameters)}
    where = f"{place}/parameter"
    subscription = _reference(named.get("subscription", {}))
    if not subscription:
        raise _Unreadable("the subscription is not named", where)
    events = tuple(_events(parameters, where))
    if sum(len(event.references) for event in events) > REFERENCES_IN_ALL_MAX:
        raise _Unreadable(f"more than {REFERENCES_IN_ALL_MAX} resources", where)
    total = named.get("events-since-subscription-start")
    return Notification(
        subscription=subscription,
        kind=_word(NotificationKind, named.get("type"), f"{where}/type"),
        status=_word(SubscriptionStatus, named.get("status"), f"{where}/status"),
        events_total=None if total is None else _number(total, 0, f"{where}/{total.get('name')}"),
        events=events,
        errors=tuple(_errors(parameters))[:ERRORS_MAX],
        told_at=told_at,
    )


def _events(parameters: list[Json], where: str) -> Iterator[NotifiedEvent]:
    for index, parameter in enumerate(parameters):
        if parameter.get("name") == "notification-event":
            yield _event(mappings(parameter.get("part")), f"{where}/{index}/part")


def _event(parts: list[Json], where: str) -> NotifiedEvent:
    numbers = [part for part in parts if part.get("name") == "event-number"]
    if len(numbers) != 1:
        raise _Unreadable("an event has one number", where)
    about = [p for p in parts if p.get("name") in ("focus", "additional-context")]
    references = [_reference(part) for part in about]
    if not all(references) or len(references) > REFERENCES_MAX:
        raise _Unreadable("a resource of the event is not named by a reference", where)
    has_focus = any(part.get("name") == "focus" for part in about)
    return NotifiedEvent(
        _number(numbers[0], 1, where), tuple(dict.fromkeys(references)) if has_focus else ()
    )


def _errors(parameters: list[Json]) -> Iterator[str]:
    for parameter in parameters:
        if parameter.get("name") == "error":
            concept = parameter.get("valueCodeableConcept")
            if isinstance(concept, dict):
                yield from (coding.code for coding in codings(concept))


def _value(part: Json) -> Any:  # noqa: ANN401 - any JSON value
    """The one value[x] of a parameter, whatever its type is called."""
    return next((value for name, value in part.items() if name.startswith("value")), None)


def _reference(part: Json) -> str:
    """A reference as written, or ""; some servers send it as a plain string."""
    value = _value(part)
    found = value.get("reference") if isinstance(value, dict) else value
    return found if isinstance(found, str) and len(found) <= REFERENCE_LENGTH_MAX else ""


def _number(part: Json, least: int, where: str) -> int:
    """A count: R4 has no integer64, so servers send it as a string or as an integer."""
    value = _value(part)
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value) if len(value) <= _DIGITS_MAX else None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= NUMBER_MAX:
        raise _Unreadable("a number of events cannot be read", where)
    return value


def _word(kind: type[K], part: Json | None, where: str) -> K:
    try:
        return kind(text(_value(part or {})) or "")
    except ValueError:
        raise _Unreadable("the word is none of the value set", where) from None


def _moment(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
