"""The judgement on duplicate, gap, epoch and parking, without any store."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.vocabulary import Service
from shared.messaging.incoming import Keyless, Skippable, StreamPlace, Unreadable
from shared.messaging.plan import Books, Judgement, Planner, Todo, judge, plan_all
from shared.messaging.wire import Record

CASE = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
KEY = (Service.INTAKE, CASE)


def record(offset: int = 0) -> Record:
    return Record("tandem.coordination.v1", 0, offset, str(CASE).encode(), b"{}", (), 0)


def event(sequence: int, *, epoch: int = 0, offset: int = 0) -> Skippable:
    """The planner treats it as any event of a stream; only what applying means differs."""
    return Skippable(record(offset), CASE, StreamPlace(Service.INTAKE, epoch, sequence))


@pytest.mark.parametrize(
    ("place", "head", "judged"),
    [
        ((0, 1), None, Judgement.NEXT),
        ((7, 1), None, Judgement.NEXT),
        ((0, 2), None, Judgement.GAP),
        ((0, 4), (0, 3), Judgement.NEXT),
        ((0, 3), (0, 3), Judgement.DUPLICATE),
        ((0, 1), (0, 3), Judgement.DUPLICATE),
        ((0, 5), (0, 3), Judgement.GAP),
        ((1, 1), (0, 3), Judgement.NEXT),
        ((1, 4), (0, 3), Judgement.GAP),
        ((0, 4), (1, 1), Judgement.DUPLICATE),
    ],
)
def test_judgement_of_a_place(
    place: tuple[int, int], head: tuple[int, int] | None, judged: Judgement
) -> None:
    assert judge(StreamPlace(Service.INTAKE, *place), head) is judged


def drain(arrivals: Sequence[int]) -> list[int]:
    """The sequences applied, when what is early waits and is tried again after each record."""
    books, applied, waiting = Books(), [], []
    for sequence in arrivals:
        waiting.append(sequence)
        moved = True
        while moved:
            moved = False
            for waits in sorted(waiting):
                todo = Planner(books).plan(event(waits)).todo
                if todo is not Todo.WAIT:
                    waiting.remove(waits)
                    applied += [waits] if todo is Todo.PASS else []
                    moved = True
                    break
    return applied


@given(st.permutations(list(range(1, 9))), st.lists(st.integers(1, 8), max_size=10))
def test_any_order_with_any_duplicates_is_applied_once_and_in_order(
    order: list[int], duplicates: list[int]
) -> None:
    assert drain([*duplicates, *order]) == list(range(1, 9))


@given(st.lists(st.integers(1, 12), max_size=40))
def test_whatever_arrives_what_is_applied_is_an_unbroken_prefix(arrivals: list[int]) -> None:
    applied = drain(arrivals)

    assert applied == list(range(1, len(applied) + 1))


def test_a_bad_record_parks_its_case_and_those_behind_it_queue() -> None:
    bad = Unreadable(record(1), CASE, StreamPlace(Service.INTAKE, 0, 2), "malformed", "no JSON")

    steps = plan_all([event(1), bad, event(3), event(4)], books := Books())

    assert [step.todo for step in steps] == [Todo.PASS, Todo.PARK, Todo.QUEUE, Todo.QUEUE]
    assert books.heads[KEY] == (0, 1)


def test_a_known_bad_record_is_dropped_when_it_is_read_again() -> None:
    placed = Unreadable(record(1), CASE, StreamPlace(Service.INTAKE, 0, 2), "malformed", "")
    unplaced = Unreadable(record(2), CASE, None, "malformed", "")

    by_sequence = plan_all([placed], Books(heads={KEY: (0, 2)}))
    by_offset = plan_all([unplaced], Books(parked_before={unplaced.record.where}))

    assert by_sequence[0].todo is Todo.DROP
    assert by_offset[0].todo is Todo.DROP


def test_a_duplicate_of_a_parked_case_does_not_queue() -> None:
    steps = plan_all([event(2), event(3)], Books(heads={KEY: (0, 2)}, parked={CASE}))

    assert [step.todo for step in steps] == [Todo.DROP, Todo.QUEUE]


def test_other_cases_go_on_beside_a_parked_one() -> None:
    other = UUID("01890a5d-ac96-774b-bcce-b302099a8058")
    beside = Skippable(record(3), other, StreamPlace(Service.INTAKE, 0, 1))

    steps = plan_all([event(1), beside], Books(parked={CASE}))

    assert [step.todo for step in steps] == [Todo.QUEUE, Todo.PASS]


def test_a_record_without_a_case_is_buried() -> None:
    assert plan_all([Keyless(record(), "no key")], Books())[0].todo is Todo.BURY
