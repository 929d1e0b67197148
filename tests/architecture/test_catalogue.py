"""The catalogue is closed: every event has an owner, a topic, an example and a reader."""

import json
from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest
from pydantic import ConfigDict

from shared.contracts.audit_only import AUDIT_ONLY
from shared.contracts.catalogue import EVENTS, TOPIC_OF
from shared.contracts.event import Event
from shared.contracts.example_events import FOLDER, example_file, example_of
from shared.contracts.vocabulary import Service
from tests.architecture.reactions import SERVICES, reactions_of
from tests.architecture.tree import ROOT


def faults_of(wire_type: str, model: type[Event], example: str | None) -> Iterator[str]:
    """What an event lacks, but for its readers."""
    domain = TOPIC_OF[model.owner].split(".")[1]
    if not wire_type.startswith(f"tandem.{domain}.") or not wire_type.endswith(".v1"):
        yield f"{wire_type} does not belong to {TOPIC_OF[model.owner]}"
    if model.model_config.get("extra") != "forbid" or not model.model_config.get("frozen"):
        yield f"{wire_type} may be written with stray fields or changed"
    if not (model.__doc__ or "").strip():
        yield f"{wire_type} does not say what happened"
    if example is None:
        yield f"{wire_type} has no example"
    elif not _is_written_so(model, json.loads(example)):
        yield f"{wire_type}: the example is not what the event writes"


def _is_written_so(model: type[Event], example: Mapping[str, object]) -> bool:
    """Whether today's event writes each member of the example; it may have gained optional ones."""
    written = json.loads(model.model_validate(example).model_dump_json())
    return {name: written.get(name) for name in example} == example


def reader_faults(events: Mapping[str, object], read: set[str], marked: set[str]) -> Iterator[str]:
    """Events that nobody reads and nobody marked, marks on events that are read, and dead marks."""
    yield from (f"{t} is read by nobody and not marked" for t in events.keys() - read - marked)
    yield from (f"{t} is marked audit only, but a service reads it" for t in marked & read)
    yield from (f"{t} is marked and does not exist" for t in marked - events.keys())


def test_every_event_has_owner_topic_sentence_and_example() -> None:
    found = [f for t, m in EVENTS.items() for f in faults_of(t, m, example_file(t))]

    assert found == []


def test_every_event_is_read_by_a_service_or_marked_audit_only() -> None:
    read = {event.type for service in SERVICES for event in reactions_of(service)}

    assert list(reader_faults(EVENTS, read, set(AUDIT_ONLY))) == []


def test_nobody_reads_an_event_from_outside_the_catalogue() -> None:
    unknown = {
        event.type
        for service in SERVICES
        for event in reactions_of(service)
        if EVENTS.get(event.type) is not event
    }

    assert unknown == set()


def test_no_example_is_left_of_an_event_that_is_gone() -> None:
    files = {p.name.removesuffix(".json") for p in (ROOT / "shared/contracts" / FOLDER).iterdir()}

    assert files == set(EVENTS)


def test_an_event_carries_no_free_text_field_by_name() -> None:
    """PHI1 by name; what a field holds is tested where it is written."""
    suspicious = {"name", "birth_date", "mrn", "note", "comment", "text", "value", "free_text"}
    found = {t: set(m.model_fields) & suspicious for t, m in EVENTS.items()}

    assert {t: names for t, names in found.items() if names} == {}


class Planted(Event):
    type: ClassVar[str] = "tandem.infusion.planted.v1"
    owner: ClassVar[Service] = Service.INTAKE
    model_config = ConfigDict(frozen=True, extra="ignore")
    count: int


@pytest.mark.parametrize(
    ("example", "fault"),
    [
        (None, "has no example"),
        (json.dumps({"case_id": str(example_of(Planted).case_id), "count": "1"}), "is not what"),
    ],
)
def test_planted_gaps_are_found(example: str | None, fault: str) -> None:
    found = "\n".join(faults_of(Planted.type, Planted, example))

    for expected in (fault, "does not belong", "stray fields", "does not say"):
        assert expected in found


def test_planted_readers_are_found() -> None:
    events = {"a": 1, "b": 1, "c": 1}

    assert set(reader_faults(events, {"a", "b"}, {"b", "d"})) == {
        "c is read by nobody and not marked",
        "b is marked audit only, but a service reads it",
        "d is marked and does not exist",
    }
