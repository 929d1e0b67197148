"""Every example of OpenAPI is carried out against running services, in the order of the story."""

import copy
import json
import os
from typing import Any

import pytest

from shared.runtime.paths import CHECKOUT
from shared.web.examples import FILE, story
from tests.system.deployment import Deployment
from tests.system.example_runner import Misfit, Runner, fitted

pytestmark = [pytest.mark.system, pytest.mark.timeout(280)]

#: with this, calls whose answer is null in the file get the answer of the run
FILL = "TANDEM_EXAMPLES_FILL"


async def test_every_example_can_be_carried_out(deployment: Deployment) -> None:
    runner = Runner(deployment)
    answers = [await runner.carry_out(example) for example in story()]

    assert len(answers) > 0
    if os.environ.get(FILL):
        fill(answers, {real: told for told, real in runner.ids.items()})


def fill(answers: list[Any], told: dict[str, str]) -> None:
    file = CHECKOUT / "shared" / "web" / FILE
    calls = json.loads(file.read_text(encoding="utf-8"))
    for call, answer in zip(calls, answers, strict=True):
        if call["answer"] is None:
            text = json.dumps(answer)
            for real, example in told.items():
                text = text.replace(real, example)
            call["answer"] = json.loads(text)
    file.write_text(json.dumps(calls, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


ID, OTHER = "01a20958-7791-71b4-9bc7-5d607f4f5c64", "01a20958-8ec6-760c-ba78-ec20bc9289ab"
TOLD: dict[str, Any] = {
    "case_id": ID, "state": "open", "count": 1, "go": True, "since": None,
    "items": [{"id": OTHER, "kind": "lab"}, {"id": ID, "kind": "vital"}],
}  # fmt: skip


def test_an_answer_with_other_ids_times_and_more_elements_fits() -> None:
    real = json.loads(json.dumps(TOLD).replace(ID, "0" * 8 + ID[8:]))
    real["items"] = [*reversed(real["items"]), {"id": OTHER, "kind": "evidence"}]
    real["since"] = "2027-01-01T00:00:00Z"

    assert fitted(TOLD, real, {})[ID] == "0" * 8 + ID[8:]


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("state", "closed", "/state is 'closed', not 'open'"),
        ("go", False, "/go is False, not True"),
        ("count", "1", "/count is str, not int"),
        ("items", [TOLD["items"][0]], "/items/1 of the example is not among 0 elements"),
        ("items", ["lab", "vital"], "/items/0 of the example is not among 2 elements"),
        ("case_id", "nobody", f"/case_id is 'nobody', not '{ID}'"),
    ],
)
def test_a_planted_difference_is_found(member: str, value: Any, said: str) -> None:
    with pytest.raises(Misfit) as caught:
        fitted(TOLD, {**copy.deepcopy(TOLD), member: value}, {})

    assert str(caught.value) == said


def test_a_planted_member_is_found() -> None:
    with pytest.raises(Misfit, match="has the members"):
        fitted(TOLD, {**TOLD, "name": "Ada"}, {})


def test_an_id_that_is_known_stands_for_one_thing() -> None:
    with pytest.raises(Misfit, match="about another"):
        fitted(TOLD, TOLD, {ID: OTHER})


def test_the_number_of_a_parked_record_stands_for_one_record() -> None:
    told = {"items": [{"id": 2, "cause": "behind"}, {"id": 1, "cause": "malformed"}]}
    real = {"items": [{"id": 40, "cause": "malformed"}, {"id": 41, "cause": "behind"}]}

    numbers = fitted(told, real, {})

    assert numbers == {"#1": "40", "#2": "41"}
    with pytest.raises(Misfit, match="about another record than 2"):
        fitted({"record_id": 2}, {"record_id": 40}, numbers)
