"""The answers of the story that CI carries out have the schemas that the document promises."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from shared.contracts.vocabulary import Service
from shared.web.examples import story
from tools.documents.apps import openapi_document

DOCUMENT = openapi_document(Service.INTAKE)


def schema_of(operation: str, status: int) -> Any:
    method, path = operation.split(" ")
    found = DOCUMENT["paths"][path][method.lower()]["responses"].get(str(status), {})
    return found.get("content", {}).get("application/json", {}).get("schema")


def check(operation: str, status: int, answer: Any) -> None:
    schema = {**schema_of(operation, status), "components": DOCUMENT["components"]}
    Draft202012Validator(schema).validate(answer)


def promised() -> Iterator[Any]:
    for number, call in enumerate(story()):
        if (
            call.service == "intake"
            and call.status < 300
            and schema_of(call.operation, call.status)
        ):
            yield pytest.param(call, id=f"{number}-{call.operation}")


@pytest.mark.parametrize("call", list(promised()))
def test_an_answer_of_the_story_has_its_schema(call: Any) -> None:
    check(call.operation, call.status, call.answer)


def test_a_member_that_nobody_promised_is_found() -> None:
    with pytest.raises(ValidationError, match="Additional properties"):
        check("POST /cases", 201, {"case_id": "x", "opened": True, "name": "planted"})


def test_a_member_that_lacks_is_found() -> None:
    with pytest.raises(ValidationError, match="required"):
        check("POST /cases", 201, {"case_id": "x"})
