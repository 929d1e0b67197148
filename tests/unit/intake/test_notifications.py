"""Notifications as servers really send them, and damaged ones: read as a whole or refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.adapters.notifications import EVENTS_MAX, REFERENCES_MAX, read_notification
from services.intake.application.subscription_ports import (
    Notification,
    NotificationKind,
    NotificationProblem,
    NotifiedEvent,
    SubscriptionStatus,
)

SAMPLES = Path(__file__).parents[2] / "data" / "subscriptions"
ADMISSION = "https://example.org/fhir/Subscription/admission"
CANDLE = "https://subscriptions.argo.run/fhir/r4"


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text("utf-8-sig"))
    return found


def read(document: Any) -> Notification:
    found = read_notification(json.dumps(document).encode())
    assert isinstance(found, Notification), found
    return found


def refused(document: Any) -> NotificationProblem:
    found = read_notification(json.dumps(document).encode())
    assert isinstance(found, NotificationProblem), found
    return found


@pytest.mark.parametrize(
    ("name", "kind", "status", "total"),
    [
        ("Bundle-r4-notification-handshake", "handshake", "requested", 0),
        ("Bundle-r4-notification-heartbeat", "heartbeat", "active", 2),
        ("Bundle-r4-notification-error", "query-status", "error", 3),
        ("Parameters-r4-notification-status", "event-notification", "active", 2),
        ("fhir-candle-Bundle-notification-handshake", "handshake", "active", 0),
        ("fhir-candle-Bundle-notification-id", "event-notification", "active", 1),
    ],
)
def test_real_notifications_are_read(name: str, kind: str, status: str, total: int) -> None:
    found = read(sample(name))

    assert (found.kind, found.status) == (NotificationKind(kind), SubscriptionStatus(status))
    assert found.events_total == total


def test_an_event_names_its_number_focus_and_context() -> None:
    ours = read(sample("Bundle-r4-notification-id-only"))
    candle = read(sample("fhir-candle-Bundle-notification-id"))

    encounter = "https://example.org/fhir/Encounter/86009987-eabe-42bf-8c02-b112b18cb616"
    assert ours.subscription == ADMISSION
    assert ours.events == (NotifiedEvent(2, (encounter,)),)
    assert candle.subscription == f"{CANDLE}/Subscription/383c610b-8a8b-4173-b363-7b811509aadd"
    assert candle.events == (
        NotifiedEvent(
            1,
            (
                f"{CANDLE}/Encounter/36e1c9d9-6878-4ef0-b1ff-9f5986e2def6",
                f"{CANDLE}/Patient/example",
            ),
        ),
    )


def test_an_event_without_a_focus_has_a_number_and_nothing_to_fetch() -> None:
    assert read(sample("Bundle-r4-notification-empty")).events == (NotifiedEvent(2, ()),)


def test_an_error_is_told_by_its_code() -> None:
    assert read(sample("Bundle-r4-notification-error")).errors == ("no-response",)


def parameters(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["entry"][0]["resource"]["parameter"]
    return found


def with_parameter(name: str, **value: Any) -> dict[str, Any]:
    document = sample("Bundle-r4-notification-id-only")
    for parameter in parameters(document):
        if parameter["name"] == name:
            parameter.clear()
            parameter.update(name=name, **value)
    return document


@pytest.mark.parametrize(
    "value", [{"valueInteger": 7}, {"valueUnsignedInt": 7}, {"valueString": "7"}]
)
def test_servers_write_numbers_in_several_ways(value: dict[str, Any]) -> None:
    assert read(with_parameter("events-since-subscription-start", **value)).events_total == 7


@pytest.mark.parametrize(
    "wrong", ["x", "-1", "1.5", "9" * 17, "", "\N{ARABIC-INDIC DIGIT ONE}", True, 2.5, None]
)
def test_a_number_that_cannot_be_read_refuses_the_notification(wrong: Any) -> None:
    found = refused(with_parameter("events-since-subscription-start", valueString=wrong))

    assert found.code == "notification-unreadable"
    assert found.pointer.endswith("/events-since-subscription-start")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subscription", {}),
        ("subscription", {"valueReference": {"reference": "x" * 2_001}}),
        ("status", {"valueCode": "fine"}),
        ("type", {"valueCode": "greeting"}),
        ("notification-event", {}),
        ("notification-event", {"part": [{"name": "event-number", "valueString": "0"}]}),
        ("notification-event", {"part": [{"name": "event-number", "valueString": "1"}] * 2}),
        ("notification-event", {"part": [
            {"name": "event-number", "valueString": "1"}, {"name": "focus", "valueReference": {}},
        ]}),
        ("notification-event", {"part": [
            {"name": "event-number", "valueString": "1"},
            *[{"name": "focus", "valueString": f"Basic/{n}"} for n in range(REFERENCES_MAX + 1)],
        ]}),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_never_left_out(name: str, value: dict[str, Any]) -> None:
    found = refused(with_parameter(name, **value))

    assert found.code == "notification-unreadable"
    assert found.pointer.startswith("/entry/0/resource/parameter")


def test_too_many_events_are_refused() -> None:
    document = sample("Bundle-r4-notification-id-only")
    event = parameters(document)[-1]
    parameters(document).extend([event] * EVENTS_MAX)

    assert refused(document).pointer == "/entry/0/resource/parameter"


def test_too_many_resources_in_all_are_refused() -> None:
    document = sample("Bundle-r4-notification-id-only")
    foci = [{"name": "focus", "valueString": f"Basic/{n}"} for n in range(REFERENCES_MAX)]
    events = [
        {"name": "notification-event",
         "part": [{"name": "event-number", "valueString": str(n)}, *foci]}
        for n in range(1, 22)
    ]  # fmt: skip
    parameters(document).extend(events)

    assert refused(document).message == "more than 2000 resources"


@pytest.mark.parametrize(
    "document",
    [
        {"resourceType": "Bundle", "type": "collection"},
        {"resourceType": "Bundle", "type": "history"},
        {"resourceType": "Bundle", "type": "history", "entry": {}},
        {"resourceType": "Bundle", "type": "history", "entry": [None]},
        {"resourceType": "Bundle", "type": "history",
         "entry": [{"resource": {"resourceType": "SubscriptionStatus"}}]},
        {"resourceType": "Patient"},
    ],
)  # fmt: skip
def test_what_is_no_notification_is_refused(document: Any) -> None:
    assert refused(document).code == "notification-unreadable"


def test_what_is_no_json_or_nested_too_deep_is_refused_as_a_bundle_is() -> None:
    deep = b'{"a":' * 40 + b"1" + b"}" * 40

    for raw, code in ((b"{", "not-json"), (b"\xff", "not-utf-8"), (deep, "too-deep")):
        found = read_notification(raw)
        assert isinstance(found, NotificationProblem)
        assert found.code == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.data())
def test_damage_anywhere_never_raises(data: st.DataObject) -> None:
    document = sample("fhir-candle-Bundle-notification-id")
    part: Any = document
    while isinstance(part, dict | list) and part:
        key = data.draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part))))
        if data.draw(st.booleans()) or not isinstance(part[key], dict | list):
            part[key] = data.draw(JSON)
            break
        part = part[key]

    found = read_notification(json.dumps(document).encode())

    assert isinstance(found, Notification | NotificationProblem)
