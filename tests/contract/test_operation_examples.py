"""Every operation of every service has an example with its answer, which CI carries out.

What has none yet stands in one list, which may only become shorter.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from shared.contracts.vocabulary import Service
from shared.web.examples import story
from tools.documents.apps import SERVICES, openapi_document

#: what needs a parked case, a restored database, a finding to answer, a second batch, or another
#: service's start
WITHOUT = frozenset(
    {
        *(
            (service.value, f"{call} /ops/parked/{{case_id}}{more}")
            for service in SERVICES
            for call, more in (
                ("GET", ""), ("POST", "/redrive"), ("POST", "/accept-gap"), ("POST", "/skip"),
            )
        ),
        ("intake", "POST /cases/{case_id}/overrides"),
        ("intake", "POST /cases/{case_id}/reviews"),
        ("intake", "PUT /cases/{case_id}/permits/{permit_id}"),
        ("intake", "POST /cases/{case_id}/permits/{permit_id}/{outcome}"),
        ("intake", "POST /ops/recover"),
        ("manufacturing", "POST /batches/{batch_id}/expiry-answer"),
        ("manufacturing", "POST /batches/{batch_id}/reject"),
        ("manufacturing", "POST /doses/{dose_id}/return"),
    }
)  # fmt: skip
WITHOUT_MAX = 24


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def has_example(operation: dict[str, Any]) -> bool:
    """Whether an answer is shown; and what is sent, where a body is needed."""
    body = operation.get("requestBody", {})
    sent = any("example" in kind for kind in body.get("content", {}).values())
    answered = any(
        "example" in kind
        for status, answer in operation["responses"].items()
        if status != "default"
        for kind in answer.get("content", {}).values()
    )
    return answered and (sent or not body.get("required"))


def lacking() -> set[tuple[str, str]]:
    return {
        (service.value, name)
        for service in SERVICES
        for name, operation in operations(openapi_document(service))
        if not has_example(operation)
    }


def test_every_operation_has_an_example() -> None:
    assert lacking() == WITHOUT


def test_the_list_of_those_without_only_becomes_shorter() -> None:
    assert len(WITHOUT) <= WITHOUT_MAX


def test_no_example_is_left_of_an_operation_that_is_gone() -> None:
    there = {(s.value, name) for s in SERVICES for name, _ in operations(openapi_document(s))}

    assert {(e.service, e.operation) for e in story()} - there == set()


@pytest.mark.parametrize("part", ["request", "answer"])
def test_a_planted_operation_without_example_is_found(part: str) -> None:
    document = openapi_document(Service.INTAKE)
    operation = document["paths"]["/cases/{case_id}/facts"]["post"]
    assert has_example(operation)

    if part == "request":
        operation["requestBody"]["content"]["application/json"].pop("example")
    else:
        operation["responses"]["201"]["content"]["application/json"].pop("example")

    assert not has_example(operation)


def test_every_call_of_the_story_has_its_answer() -> None:
    assert [e.path for e in story() if e.answer is None] == []


def test_no_example_shows_a_real_token() -> None:
    shown = str([e.request for e in story()])

    assert "<token of " in shown
    assert "eyJ" not in shown
