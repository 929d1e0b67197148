"""A series is placed into open intervals, free chairs and usable doses, as early as it can be.

Expected days are counted by hand; optimality is compared with brute force.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.infusion_scheduling.domain.availability import Availability, TimelinePart
from services.infusion_scheduling.domain.chairs import Chair, FreeSlots
from services.infusion_scheduling.domain.check_plan import faults_of_plan
from services.infusion_scheduling.domain.placement import (
    DoseWindow,
    Placed,
    SeriesRequest,
    place_series,
)
from services.infusion_scheduling.domain.schedule import ScheduleTemplate
from shared.contracts.vocabulary import Verdict

ISTANBUL = ZoneInfo("Europe/Istanbul")
CHAIR = UUID(int=1)
#: SCH-SOLID-8: four weekly, then four every two weeks
SOLID_8 = ScheduleTemplate("SCH-SOLID-8", (1, 1, 1, 2, 2, 2, 2), 7)


def local(day: date, hour: int = 9) -> datetime:
    return datetime.combine(day, time(hour), ISTANBUL).astimezone(UTC)


def part(first: date, last: date, plan: Verdict, *rules: str) -> TimelinePart:
    """From the morning of `first` to the end of `last`, clinic-local."""
    return TimelinePart(local(first, 0), local(last + timedelta(days=1), 0), plan, plan, rules)


def chemo_gaps(cycles: Sequence[date], until: date) -> list[TimelinePart]:
    """WO-CHEMO for infusion by hand: closed from 4 days before a cycle to 2 days after it.

    elapsed >= 3 after a dose, lead >= 5 before the next (protocol WO-CHEMO, columns i and lead).
    """
    parts: list[TimelinePart] = []
    for this, following in zip(cycles, [*cycles[1:], until], strict=True):
        parts.append(part(this, this + timedelta(days=2), Verdict.HOLD, "WO-CHEMO"))
        last_open = following - timedelta(days=5)
        parts.append(part(this + timedelta(days=3), last_open, Verdict.GO))
        if following != until:
            parts.append(
                part(last_open + timedelta(days=1), following - timedelta(days=1), Verdict.HOLD,
                     "WO-CHEMO")
            )  # fmt: skip
    return parts


def daily_slots(first: date, last: date, taken: Iterable[date] = ()) -> FreeSlots:
    chair = Chair(CHAIR, "bay 1", (1, 2, 3, 4, 5, 6, 7), time(9), time(13), 240)
    spoken_for = [(CHAIR, local(day, 9)) for day in taken]
    return FreeSlots(
        [chair], spoken_for, first=first, last=last, after=local(first, 0), zone=ISTANBUL
    )


def request(template: ScheduleTemplate, start: date, **extra: object) -> SeriesRequest:
    values = {"first_number": 1, "previous_on": None, "not_before": start, "doses": {}, **extra}
    return SeriesRequest(template, **values)  # type: ignore[arg-type]


def days_of(placed: Sequence[Placed]) -> list[date]:
    return [p.slot.starts_at.astimezone(ISTANBUL).date() for p in placed]


def test_eight_infusions_fall_into_the_gaps_of_three_week_cycles() -> None:
    # Cycles every 21 days from Monday 2027-02-01; open days of a cycle are day 3 to day 16.
    cycles = [date(2027, 2, 1) + timedelta(days=21 * n) for n in range(6)]
    until = cycles[-1] + timedelta(days=120)
    parts = chemo_gaps(cycles, until)

    plan = place_series(
        request(SOLID_8, date(2027, 2, 1)),
        Availability(parts),
        daily_slots(date(2027, 2, 1), until),
        ISTANBUL,
    )

    # 02-04 (day 3), 02-11 (day 10); 02-18 is day 17: closed until 02-25 (day 3 of cycle 2), then
    # 03-04; +14 = 03-18 (day 3 of cycle 3); +14 = 04-01 is day 17: 04-08 (day 3 of cycle 4);
    # +14 = 04-22 is day 17: 04-29 (day 3 of cycle 5); +14 = 05-13 is day 17: 05-20 (day 3 of 6).
    assert plan.complete
    assert days_of(plan.placed) == [
        date(2027, 2, 4), date(2027, 2, 11), date(2027, 2, 25), date(2027, 3, 4),
        date(2027, 3, 18), date(2027, 4, 8), date(2027, 4, 29), date(2027, 5, 20),
    ]  # fmt: skip


def test_an_infusion_without_a_place_is_impossible_with_the_rules_that_bind() -> None:
    first, last = date(2027, 2, 1), date(2027, 2, 20)
    parts = [part(first, last, Verdict.HOLD, "STER-001")]

    plan = place_series(
        request(SOLID_8, first), Availability(parts), daily_slots(first, last), ISTANBUL
    )

    assert plan.placed == ()
    assert plan.impossible[0].number == 1
    assert plan.impossible[0].reasons == ("STER-001",)
    assert [i.reasons for i in plan.impossible[1:]] == [("follows-impossible",)] * 7


def test_a_dose_that_expires_first_is_told_as_such() -> None:
    first, last = date(2027, 2, 1), date(2027, 2, 20)
    parts = [
        part(first, date(2027, 2, 9), Verdict.HOLD, "WO-CHEMO"),
        part(date(2027, 2, 10), last, Verdict.GO),
    ]
    dose = DoseWindow(UUID(int=7), local(first, 0), local(date(2027, 2, 8)))

    plan = place_series(
        request(SOLID_8, first, doses={1: dose}),
        Availability(parts),
        daily_slots(first, last),
        ISTANBUL,
    )

    assert "dose-expires-first" in plan.impossible[0].reasons


def test_nothing_is_planned_beyond_the_published_timeline() -> None:
    first = date(2027, 2, 1)
    parts = [part(first, first, Verdict.GO)]

    plan = place_series(
        request(SOLID_8, first), Availability(parts), daily_slots(first, first), ISTANBUL
    )

    assert days_of(plan.placed) == [first]
    assert plan.impossible[0].number == 2


SMALL = ScheduleTemplate("T", (1, 1), 7)


@settings(max_examples=150, deadline=None)
@given(
    open_days=st.sets(st.integers(0, 29), max_size=25),
    taken_days=st.sets(st.integers(0, 29), max_size=8),
    dose_end=st.none() | st.integers(0, 29),
)
def test_places_a_series_whenever_brute_force_does_and_never_later(
    open_days: set[int], taken_days: set[int], dose_end: int | None
) -> None:
    first = date(2027, 3, 15)
    all_days = [first + timedelta(days=n) for n in range(30)]
    parts = [
        part(
            day,
            day,
            Verdict.GO if n in open_days else Verdict.HOLD,
            *(() if n in open_days else ("R",)),
        )
        for n, day in enumerate(all_days)
    ]
    slots = daily_slots(first, all_days[-1], [all_days[n] for n in taken_days])
    doses = {}
    if dose_end is not None:
        doses[2] = DoseWindow(UUID(int=2), local(first, 0), local(all_days[dose_end], 14))

    plan = place_series(request(SMALL, first, doses=doses), Availability(parts), slots, ISTANBUL)

    feasible = [
        (a, b, c)
        for a, b, c in product(sorted(open_days - taken_days), repeat=3)
        if b - a >= 7 and c - b >= 7 and (dose_end is None or b <= dose_end)
    ]
    assert plan.complete == bool(feasible)
    if feasible:
        assert [(d - first).days for d in days_of(plan.placed)] == list(min(feasible))
        assert (
            faults_of_plan(
                plan.placed, template=SMALL, parts=parts, taken=frozenset(), doses=doses,
                previous_on=None, zone=ISTANBUL,
            )
            == ()
        )  # fmt: skip


def test_the_check_finds_each_planted_fault() -> None:
    first = date(2027, 3, 15)
    parts = [
        part(first, first + timedelta(days=13), Verdict.GO),
        part(first + timedelta(days=14), first + timedelta(days=20), Verdict.HOLD, "R"),
    ]
    slots = list(daily_slots(first, first + timedelta(days=20)).from_day(first))
    too_close = (Placed(1, slots[0], None), Placed(2, slots[6], None))
    closed = (Placed(1, slots[15], None),)
    expired = (Placed(1, slots[3], UUID(int=2)),)
    dose = {1: DoseWindow(UUID(int=2), local(first, 0), local(first, 23))}

    def check(plan: Sequence[Placed], **extra: object) -> tuple[str, ...]:
        values = {"taken": frozenset(), "doses": {}, "previous_on": None, **extra}
        return faults_of_plan(plan, template=SMALL, parts=parts, zone=ISTANBUL, **values)  # type: ignore[arg-type]

    assert check(too_close) == ("too-close:2",)
    assert check(closed) == ("closed:1",)
    assert check(expired, doses=dose) == ("dose-unusable:1",)
    assert check(too_close[:1], taken=frozenset({(CHAIR, slots[0].starts_at)})) == (
        "chair-taken:1",
    )
    assert check(too_close[:1], previous_on=first - timedelta(days=30)) == ()


def test_free_slots_are_by_time_and_chair_after_now_and_within_the_days() -> None:
    monday = date(2027, 3, 15)
    two = [Chair(UUID(int=n), f"bay {n}", (1, 3), time(9), time(13), 120) for n in (2, 1)]
    free = FreeSlots(
        two, [(UUID(int=1), local(monday, 11))],
        first=monday, last=monday + timedelta(days=6), after=local(monday, 9), zone=ISTANBUL,
    )  # fmt: skip

    found = [(s.starts_at, s.chair_id.int) for s in free.from_day(monday - timedelta(days=3))]

    # Monday at 9 is now, at 11 bay 1 is taken; Wednesday at 9 and 11; the next Monday is too late
    wednesday = monday + timedelta(days=2)
    assert found == [
        (local(monday, 11), 2), (local(wednesday, 9), 1), (local(wednesday, 9), 2),
        (local(wednesday, 11), 1), (local(wednesday, 11), 2),
    ]  # fmt: skip
