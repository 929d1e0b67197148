"""Our own worked cases: worked by hand from the protocol, never from what the engine printed."""

import pytest
from protocol_asking import PROTOCOL
from worked_cases import Question, own

OWN = own()


@pytest.mark.parametrize("question", [pytest.param(q, id=q.name) for q in OWN])
def test_the_engine_decides_as_worked_out_by_hand(question: Question) -> None:
    assert question.difference(PROTOCOL) is None


def test_there_are_at_least_60_cases_beyond_the_24() -> None:
    assert len({question.case for question in OWN}) >= 60
