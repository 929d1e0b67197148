"""What comes in: bodies, versions, traces and wishes are read strictly."""

import json
from typing import Any

import pytest

from shared.contracts.vocabulary import Role
from shared.web.depth import depth_of
from shared.web.problems import MEDIA_TYPE
from tests.unit.web.web_rig import Rig, checked


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"count": "x"}, {"#/count": "int-parsing"}),
        ({}, {"#/count": "missing"}),
        ({"count": 1, "role": "admin"}, {"#/role": "extra-forbidden"}),
        ({"count": 1, "parts": [{"name": 1}]}, {"#/parts/0/name": "string-type"}),
        (
            {"count": 1, "parts": [{"name": "a", "a/b~c": 1}]},
            {"#/parts/0/a~1b~0c": "extra-forbidden"},
        ),
        ([], {"#": "model-attributes-type"}),
    ],
)
async def test_a_malformed_body_names_each_place_by_a_json_pointer(
    body: object, pointers: dict[str, str], rig: Rig
) -> None:
    answer = await rig.client.post("/samples", json=body, headers=rig.person(Role.COORDINATOR))

    errors = checked(answer, 422, "malformed-request")["errors"]
    assert {error["pointer"]: error["code"] for error in errors} == pointers


async def test_what_was_sent_is_not_repeated(rig: Rig) -> None:
    canary = "Canarybird-1961"

    answer = await rig.client.post(
        "/samples", json={"count": canary}, headers=rig.person(Role.COORDINATOR)
    )

    assert canary not in answer.text


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"nul", b'{"count": 1'])
async def test_what_is_no_json_is_refused(content: bytes, rig: Rig) -> None:
    headers = {**rig.person(Role.COORDINATOR), "content-type": "application/json"}

    answer = await rig.client.post("/samples", content=content, headers=headers)

    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == MEDIA_TYPE


async def test_a_body_beyond_a_megabyte_is_refused_with_and_without_a_length(rig: Rig) -> None:
    headers = {**rig.person(Role.COORDINATOR), "content-type": "application/json"}

    async def chunks() -> Any:
        for _ in range(11):
            yield b"x" * 100_000

    with_length = await rig.client.post("/samples", content=b"x" * 1_000_001, headers=headers)
    without = await rig.client.post("/samples", content=chunks(), headers=headers)

    checked(with_length, 413, "body-too-large")
    checked(without, 413, "body-too-large")


async def test_an_endpoint_may_take_more_than_a_megabyte(rig: Rig) -> None:
    headers = rig.person(Role.COORDINATOR)

    taken = await rig.client.post("/large", content=b"x" * 3_000_000, headers=headers)
    refused = await rig.client.post("/large", content=b"x" * 3_000_001, headers=headers)

    assert taken.json() == 3_000_000
    checked(refused, 413, "body-too-large")


async def test_a_body_nested_beyond_32_levels_is_refused(rig: Rig) -> None:
    headers = {**rig.person(Role.COORDINATOR), "content-type": "application/json"}
    deep = b"[" * 33 + b"]" * 33
    quoted = json.dumps({"count": 1, "parts": [{"name": "[" * 100 + '\\"{'}]}).encode()

    checked(await rig.client.post("/samples", content=deep, headers=headers), 422, "body-too-deep")
    assert (await rig.client.post("/samples", content=quoted, headers=headers)).status_code == 200


def test_the_depth_is_found_in_one_pass_whatever_the_text_is() -> None:
    assert depth_of(b'{"a": [[1, "]]]", {"b\\"[[[": []}]]}') == 5
    assert depth_of(b'"' + b'\\"' * 500_000) == 0
    assert depth_of(b'\\"' * 500_000) == 0
