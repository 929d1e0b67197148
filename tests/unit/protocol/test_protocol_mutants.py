"""No number of the rulebook can be changed without a worked case noticing."""

from typing import Any

import pytest
from protocol_mutants import IDLE, Number, book, idle, numbers, run
from worked_cases import Question, golden, own

TREE = book()
ALL = list(numbers(TREE))
SECTIONS = sorted({str(number.path[0]) for number in ALL if not idle(number)})
QUESTIONS = [*own(), *golden()]


def lost(questions: list[Question], **asked: Any) -> list[str]:
    """The mutants that nobody notices."""
    return [f"{m.number.name} -> {m.became}" for m in run(questions, **asked) if m.caught is None]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("section", SECTIONS)
def test_every_changed_number_is_noticed(section: str) -> None:
    assert lost(QUESTIONS, only=lambda n: n.path[0] == section and not idle(n)) == []


def test_more_than_150_numbers_are_changed() -> None:
    assert len([number for number in ALL if not idle(number)]) >= 150


def test_every_idle_entry_names_a_number_that_exists() -> None:
    places = [".".join(str(part) for part in number.path) for number in ALL]

    assert [p for p in IDLE if not any(place.startswith(p) for place in places)] == []


def test_idle_rows_are_the_ones_that_their_reasons_name() -> None:
    named = {
        "washouts.11.": TREE["washouts"][11]["id"],
        "washouts.12.": TREE["washouts"][12]["id"],
        "clearance.2.max_age_min": TREE["clearance"][2]["id"],
        "release.15.target": TREE["release"][15]["id"],
    }

    assert [p for p, rule in named.items() if not IDLE[p].startswith(rule)] == []


def test_a_number_that_no_case_is_about_survives() -> None:
    """The planted violation: without the cases on WO-CHEMO its numbers may change unnoticed."""

    def is_chemo(number: Number) -> bool:
        return number.path[:2] == ("washouts", 0)

    blunt = [q for q in QUESTIONS if "WO-CHEMO" not in q.fires | q.near and q.case[:1] != "C"]

    assert lost(QUESTIONS, only=is_chemo) == []
    assert "washouts.0.c -> 13" in lost(blunt, only=is_chemo)
