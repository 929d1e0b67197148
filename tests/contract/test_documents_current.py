"""The committed documents are what the code yields, and valid in their own formats."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from shared.contracts.catalogue import EVENTS
from shared.contracts.example_events import example_file, example_of
from shared.contracts.vocabulary import Service
from tools.documents.asyncapi import CONSUMERS, service_document, system_document
from tools.documents.readers import readers_of
from tools.documents.schemas import event_schema
from tools.documents.tree import ROOT, drift, write

OFFICIAL = Path(__file__).parents[1] / "data" / "asyncapi" / "3.0.0.json.gz"


@cache
def official() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(json.loads(gzip.decompress(OFFICIAL.read_bytes())))


def faults(document: dict[str, Any]) -> list[str]:
    plain = json.loads(json.dumps(document))
    return [f"{list(e.absolute_path)}: {e.message[:200]}" for e in official().iter_errors(plain)]


def test_every_committed_document_is_what_the_code_yields() -> None:
    assert list(drift(ROOT)) == []


def test_a_planted_drift_is_found_and_written_away(tmp_path: Path) -> None:
    changed = set(write(tmp_path))
    assert list(drift(tmp_path)) == []
    assert list(write(tmp_path)) == []

    page = tmp_path / "docs/events.md"
    page.write_text(page.read_text().replace("Who reacts", "Who reads"))
    (tmp_path / "docs/openapi/intake.yaml").unlink()
    (tmp_path / "docs/openapi/left-over.yaml").write_text("openapi: 3.1.0\n")

    assert list(drift(tmp_path)) == [
        "docs/events.md is not what the code yields",
        "docs/openapi/intake.yaml is missing",
        "docs/openapi/left-over.yaml is yielded by no code",
    ]
    assert {"docs/events.md", "docs/openapi/intake.yaml"} <= changed
    assert list(write(tmp_path)) == [
        "docs/events.md",
        "docs/openapi/intake.yaml",
        "docs/openapi/left-over.yaml",
    ]
    assert list(drift(tmp_path)) == []


@pytest.mark.parametrize(
    "name", ["asyncapi.yaml", *(f"asyncapi/{c.value}.yaml" for c in CONSUMERS)]
)
def test_asyncapi_is_valid_by_the_official_schema(name: str) -> None:
    document = yaml.safe_load((ROOT / "docs" / name).read_text())

    assert document["asyncapi"] == "3.0.0"
    assert faults(document) == []


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("operations", {"x": {"action": "publish", "channel": {"$ref": "#/channels/x"}}}),
        ("channels", {"x": {"messages": ["a"]}}),
        ("info", {"title": "Tandem"}),
    ],
)
def test_a_planted_fault_in_asyncapi_is_found(part: str, wrong: Any) -> None:
    assert faults({**service_document(Service.NOTIFICATION), part: wrong}) != []


def test_every_reference_inside_the_system_document_leads_somewhere() -> None:
    document = system_document()

    assert [r for r in _references(document) if _looked_up(document, r) is None] == []
    assert _looked_up(document, "#/components/messages/planted") is None


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [r for value in part.values() for r in _references(value)]
    return [r for value in part for r in _references(value)] if isinstance(part, list) else []


def _looked_up(document: Any, reference: str) -> Any:
    for name in reference.removeprefix("#/").split("/"):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def test_the_system_document_has_every_event_and_every_reader() -> None:
    document = system_document()
    received = {
        (name.split("-reacts-to-")[0], reference["$ref"].rsplit("/", 1)[-1])
        for name, operation in document["operations"].items()
        if operation["action"] == "receive"
        for reference in operation["messages"]
    }

    assert set(document["components"]["messages"]) == {*EVENTS, "heartbeat"}
    assert received == {(r.value, t) for t in EVENTS for r in readers_of(t)}


@pytest.mark.parametrize("wire_type", sorted(EVENTS))
def test_what_is_written_today_and_what_was_committed_fit_the_schema(wire_type: str) -> None:
    model = EVENTS[wire_type]
    check = jsonschema.Draft202012Validator(event_schema(model))
    written = json.loads(example_of(model).model_dump_json())
    committed = model.model_validate_json(example_file(wire_type) or "")

    check.check_schema(check.schema)
    check.validate(written)
    check.validate(json.loads(committed.model_dump_json()))
    for name in written:
        lacking = {key: value for key, value in written.items() if key != name}
        assert not check.is_valid(lacking), f"{name} may be missing"
