"""Every operation of every service has an example with its answer, which CI carries out."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest

from shared.contracts.vocabulary import Service
from shared.web.examples import story
from tools.documents.apps import SERVICES, openapi_document


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


def test_no_operation_is_without_an_example() -> None:
    assert lacking() == set()


def test_no_example_is_left_of_an_operation_that_is_gone() -> None:
    there = {(s.value, name) for s in SERVICES for name, _ in operations(openapi_document(s))}

    assert {(e.service, e.operation) for e in story()} - there == set()


def problems_shown_otherwise(document: dict[str, Any]) -> list[str]:
    """Refusals whose example does not stand under the media type in which they are answered."""
    return [
        f"{name} {status}"
        for name, operation in operations(document)
        for status, answer in operation["responses"].items()
        if status.isdigit() and int(status) >= HTTPStatus.BAD_REQUEST
        if list(answer["content"]) != ["application/problem+json"]
    ]


def test_a_refusal_is_shown_as_the_problem_that_it_is() -> None:
    assert [p for s in SERVICES for p in problems_shown_otherwise(openapi_document(s))] == []


def test_a_planted_refusal_of_another_media_type_is_found() -> None:
    document = openapi_document(Service.INTAKE)
    answers = document["paths"]["/sources/{name}/heartbeat"]["post"]["responses"]
    answers["404"]["content"]["application/json"] = {"example": {}}

    assert problems_shown_otherwise(document) == ["POST /sources/{name}/heartbeat 404"]


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


def test_what_is_planted_is_about_a_case_of_the_story() -> None:
    opened = {e.answer["case_id"] for e in story() if e.operation == "POST /cases"}

    assert {e.planted.case_id for e in story() if e.planted is not None} <= opened


def test_no_example_shows_a_real_token() -> None:
    shown = str([e.request for e in story()])

    assert "<token of " in shown
    assert "eyJ" not in shown
