"""The daily list of shadow mode, worked by hand, and the clinic's days as its clocks go."""

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from services.intake.domain.shadow import Asked, Obstacle, WouldHold, day_of, would_have_held
from shared.contracts.vocabulary import Gate

CASE, OTHER = UUID(int=1), UUID(int=2)
FIRST, SECOND = UUID(int=11), UUID(int=12)
STER = Obstacle("decision", "STER-001")
LAB = Obstacle("decision", "LAB-003")
BEHIND = Obstacle("unknown-source", None)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2027, 3, 10, hour, minute, tzinfo=UTC)


def asked(case_id: UUID, step: UUID, when: datetime, *obstacles: Obstacle) -> Asked:
    return Asked(case_id, Gate.INFUSION, step, when, obstacles)


PRESSES = (
    asked(CASE, FIRST, at(8), STER, LAB, STER),
    asked(CASE, FIRST, at(9, 30), STER),
    asked(CASE, SECOND, at(10), STER),
    asked(OTHER, FIRST, at(7), BEHIND),
    asked(OTHER, FIRST, at(11)),
)


def test_a_day_of_five_presses_is_four_lines_counted_by_hand() -> None:
    infusion = Gate.INFUSION
    assert list(would_have_held(PRESSES)) == [
        WouldHold(OTHER, infusion, FIRST, BEHIND, 1, at(7), at(7)),
        WouldHold(CASE, infusion, FIRST, LAB, 1, at(8), at(8)),
        WouldHold(CASE, infusion, FIRST, STER, 2, at(8), at(9, 30)),
        WouldHold(CASE, infusion, SECOND, STER, 1, at(10), at(10)),
    ]


def test_the_list_does_not_depend_on_the_order_in_which_presses_are_read() -> None:
    assert len({tuple(would_have_held(order)) for order in permutations(PRESSES)}) == 1


@pytest.mark.parametrize(
    ("day", "begins", "hours"),
    [
        (date(2027, 3, 27), datetime(2027, 3, 26, 23, tzinfo=UTC), 24),
        (date(2027, 3, 28), datetime(2027, 3, 27, 23, tzinfo=UTC), 23),
        (date(2027, 10, 31), datetime(2027, 10, 30, 22, tzinfo=UTC), 25),
    ],
)
def test_a_day_lasts_from_midnight_to_midnight_of_the_clinic(
    day: date, begins: datetime, hours: int
) -> None:
    found = day_of(day, ZoneInfo("Europe/Berlin"))

    assert (found.begins, found.ends - found.begins) == (begins, timedelta(hours=hours))
