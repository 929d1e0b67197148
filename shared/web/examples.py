"""One story in HTTP calls: the examples of the services' OpenAPI, in an order in which they work.

`examples.json` holds the calls. Each names its service, operation and caller, what is sent and what
was answered; ids are those of one run, so a call uses the ids that calls before it were answered.
A test carries all of them out against running services (tests/system/test_examples.py), after it
has planted what has to stand on a topic before the call.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final

from shared.web.problems import MEDIA_TYPE

Part = dict[str, Any]
FILE: Final = "examples.json"
JSON: Final = "application/json"
_BOOK: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Planted:
    """Records about a case on a service's topic that the service did not write.

    The first is nonsense; `events` follow it, each as (wire type, sequence).
    """

    source: str
    case_id: str
    events: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """One call. `if_match`: the call whose ETag it carries, as (service, path, caller).

    `planted` stands on its topic before the call. `made_up`: an id that the caller makes up,
    another one for each try.
    """

    service: str
    operation: str
    path: str
    by: str
    status: int
    answer: Any
    request: Any = None
    content_type: str = JSON
    if_match: tuple[str, str, str] | None = None
    planted: Planted | None = None
    made_up: str | None = None

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.operation.partition(" ")[0]

    @property
    def template(self) -> str:
        """The path as OpenAPI names it."""
        return self.operation.partition(" ")[2]


@cache
def story() -> Sequence[Example]:
    """All calls, in order."""
    text = files("shared.web").joinpath(FILE).read_text(encoding="utf-8")
    return tuple(_read(part) for part in json.loads(text))


def _read(part: Part) -> Example:
    seen, planted = part.pop("if_match", None), part.pop("planted", None)
    return Example(
        **part,
        if_match=tuple(seen) if seen else None,
        planted=_planted(**planted) if planted else None,
    )


def _planted(source: str, case_id: str, events: Sequence[Sequence[Any]] = ()) -> Planted:
    return Planted(source, case_id, tuple((kind, sequence) for kind, sequence in events))


def add_examples(service: str, document: Part) -> None:
    """Puts the first call of each operation into an OpenAPI document."""
    shown: set[str] = set()
    for example in story():
        operation = document["paths"].get(example.template, {}).get(example.method.lower())
        is_first = example.operation not in shown
        if example.service == service and operation is not None and is_first:
            shown.add(example.operation)
            _add(operation, example)


def _add(operation: Part, example: Example) -> None:
    operation["x-example-by"] = example.by
    _add_parameters(operation, example)
    if example.request is not None:
        body = operation.setdefault("requestBody", {}).setdefault("content", {})
        body.setdefault(example.content_type, {})["example"] = example.request
    answers = operation.setdefault("responses", {})
    answer = answers.setdefault(str(example.status), {"description": "As in the example"})
    content = answer.setdefault("content", {})
    if example.status >= HTTPStatus.BAD_REQUEST:
        problem = answers.get("default", {}).get("content", {}).get(MEDIA_TYPE, {})
        content[MEDIA_TYPE] = {**problem, "example": example.answer}
    else:
        content.setdefault(_media_type(example.answer), {})["example"] = example.answer


def _media_type(answer: Any) -> str:  # noqa: ANN401  (whatever was answered)
    if not isinstance(answer, str):
        return JSON
    return "text/html" if answer.startswith("<!doctype html>") else "text/event-stream"


def _add_parameters(operation: Part, example: Example) -> None:
    values = _path_values(example)
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path" and parameter["name"] in values:
            parameter["example"] = values[parameter["name"]]
    if example.if_match is not None:
        service, path, _ = example.if_match
        said = f"the ETag of GET {path.partition('?')[0]} of {service}"
        header = {"name": "If-Match", "in": "header", "schema": {"type": "string"}}
        operation.setdefault("parameters", []).append({**header, "description": said})


def _path_values(example: Example) -> Mapping[str, str]:
    pattern = _BOOK.sub(r"(?P<\1>[^/?]+)", example.template)
    found = re.fullmatch(pattern, example.path.partition("?")[0])
    return found.groupdict() if found else {}
