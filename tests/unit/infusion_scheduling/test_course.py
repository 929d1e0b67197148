"""A change suspends exactly the infusions that no longer fit, and lets others stand again."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.infusion_scheduling.domain.availability import Availability, TimelinePart
from services.infusion_scheduling.domain.course import (
    Begun,
    OpenHold,
    Planned,
    Suspended,
    revise,
)
from services.infusion_scheduling.domain.placement import Slot
from shared.contracts.vocabulary import Gate, Verdict

NOW = datetime(2027, 3, 1, 8, tzinfo=UTC)
CHAIR = UUID(int=9)


def slot(days: int) -> Slot:
    start = NOW + timedelta(days=days)
    return Slot(start, start + timedelta(hours=4), CHAIR)


def planned(number: int, days: int, dose: UUID | None = None) -> Planned:
    return Planned(UUID(int=number), number, slot(days), dose)


def timeline(*closed: tuple[int, int]) -> Availability:
    """Open for a year but for `[from, to)` in days from now."""
    parts, at = [], 0
    for first, last in (*closed, (365, 365)):
        parts.append(_part(at, first, Verdict.GO))
        parts.append(_part(first, last, Verdict.HOLD, "WO-CHEMO"))
        at = last
    return Availability(p for p in parts if p.starts_at < p.ends_at)


def _part(first: int, last: int, plan: Verdict, *rules: str) -> TimelinePart:
    return TimelinePart(
        NOW + timedelta(days=first - 0.5), NOW + timedelta(days=last - 0.5), plan, plan, rules
    )


def hold(**changes: object) -> OpenHold:
    values: dict[str, object] = {
        "hold_id": UUID(int=77), "gates": frozenset({Gate.INFUSION}), "dose_ids": None,
        "by_rule": False, "recorded_at": NOW, "until": None, **changes,
    }  # fmt: skip
    return OpenHold(**values)  # type: ignore[arg-type]


def test_a_moved_cycle_suspends_only_the_infusions_in_its_window() -> None:
    course = [planned(1, 4), planned(2, 11), planned(3, 18)]

    revision = revise(course, availability=timeline((9, 14)), holds=(), now=NOW)

    assert [s.infusion.number for s in revision.suspensions] == [2]
    assert revision.suspensions[0].rules == ("WO-CHEMO",)
    assert revision.suspensions[0].cause == "timeline"


def test_a_persons_hold_without_end_suspends_all_that_is_planned() -> None:
    course = [planned(1, 4), planned(2, 11)]

    revision = revise(course, availability=timeline(), holds=(hold(),), now=NOW)

    assert [(s.infusion.number, s.cause) for s in revision.suspensions] == [
        (1, "hold"),
        (2, "hold"),
    ]


def test_a_persons_hold_with_a_review_time_leaves_later_infusions() -> None:
    course = [planned(1, 4), planned(2, 11)]
    until = NOW + timedelta(days=7)

    revision = revise(course, availability=timeline(), holds=(hold(until=until),), now=NOW)

    assert [s.infusion.number for s in revision.suspensions] == [1]


def test_a_rules_hold_speaks_of_today_and_the_timeline_of_the_rest() -> None:
    course = [planned(1, 0.5), planned(2, 4)]  # type: ignore[arg-type]

    revision = revise(course, availability=timeline(), holds=(hold(by_rule=True),), now=NOW)

    assert [s.infusion.number for s in revision.suspensions] == [1]


def test_a_hold_on_one_dose_leaves_the_others() -> None:
    bad, good = UUID(int=100), UUID(int=101)
    course = [planned(1, 4, bad), planned(2, 11, good)]
    recall = hold(dose_ids=frozenset({bad}))

    revision = revise(course, availability=timeline(), holds=(recall,), now=NOW)

    assert [s.infusion.number for s in revision.suspensions] == [1]


def test_a_hold_at_another_gate_suspends_nothing() -> None:
    other = hold(gates=frozenset({Gate.COLLECTION}))

    revision = revise([planned(1, 4)], availability=timeline(), holds=(other,), now=NOW)

    assert revision.suspensions == ()


def test_what_has_begun_is_left_alone() -> None:
    begun = Begun(UUID(int=1), 1, slot(0), None)

    revision = revise([begun], availability=timeline((0, 30)), holds=(hold(),), now=NOW)

    assert revision.suspensions == ()


def test_a_suspended_infusion_stands_again_when_its_cause_is_gone() -> None:
    waiting = Suspended(UUID(int=1), 1, slot(4), None, "timeline", ("WO-CHEMO",))

    revision = revise([waiting], availability=timeline(), holds=(), now=NOW)

    assert revision.reinstated == (waiting,)


def test_it_stays_suspended_under_a_hold_and_without_news() -> None:
    waiting = Suspended(UUID(int=1), 1, slot(4), None, "hold", ())

    under_hold = revise([waiting], availability=timeline(), holds=(hold(),), now=NOW)
    without_news = revise([waiting], availability=None, holds=(), now=NOW)

    assert under_hold.reinstated == ()
    assert without_news.reinstated == ()


def test_an_infusion_suspended_for_its_dose_waits_for_a_person() -> None:
    waiting = Suspended(UUID(int=1), 1, slot(4), None, "dose", ())

    revision = revise([waiting], availability=timeline(), holds=(), now=NOW)

    assert revision.reinstated == ()
