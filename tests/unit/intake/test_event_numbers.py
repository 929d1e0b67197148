"""Which event numbers are missing: nothing between two notifications is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from services.intake.domain.event_numbers import Span, left_of, missing

NUMBERS = st.frozensets(st.integers(1, 40))


def numbers_in(*spans: Span) -> list[int]:
    return [n for span in spans for n in range(span.first, span.last + 1)]


def test_what_follows_without_a_hole_leaves_nothing_missing() -> None:
    assert missing(2, [3, 4], 4) == ()


def test_holes_before_between_and_after_the_told_numbers_are_spans() -> None:
    assert missing(0, [3, 4, 7], 9) == (Span(1, 2), Span(5, 6), Span(8, 9))


def test_a_total_without_any_event_is_missing_as_a_whole() -> None:
    assert missing(4, [], 6) == (Span(5, 6),)


def test_a_late_number_splits_the_span_that_it_lies_in() -> None:
    assert left_of(Span(2, 6), [4]) == (Span(2, 3), Span(5, 6))


def test_a_span_of_which_all_was_told_is_filled() -> None:
    assert left_of(Span(2, 3), [1, 2, 3, 4]) == ()


@given(before=st.integers(0, 20), more=st.integers(0, 20), told=NUMBERS)
def test_each_number_is_told_or_in_exactly_one_span(
    before: int, more: int, told: frozenset[int]
) -> None:
    after = before + more

    found = numbers_in(*missing(before, told, after))

    assert found == [n for n in range(before + 1, after + 1) if n not in told]


@given(st.lists(NUMBERS, min_size=1, max_size=6))
def test_the_order_of_notifications_does_not_matter_for_what_is_missing(
    told: list[frozenset[int]],
) -> None:
    def end(notifications: list[frozenset[int]]) -> list[int]:
        highest, gaps = 0, list[Span]()
        for numbers in notifications:
            gaps = [left for gap in gaps for left in left_of(gap, numbers)]
            after = max(highest, *numbers, 0)
            gaps += missing(highest, numbers, after)
            highest = after
        return sorted(numbers_in(*gaps))

    everything = frozenset[int]().union(*told)
    expected = [n for n in range(1, max(everything, default=0) + 1) if n not in everything]
    assert end(told) == end(list(reversed(told))) == expected
