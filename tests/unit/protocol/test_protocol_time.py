"""Local days over clock changes, exact hours, the shape of timelines."""

from datetime import UTC, date, datetime, timedelta
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from protocol_asking import PROTOCOL, ask, chemo, facts, instant, lab

from shared.protocol import Gate, Record, timeline
from shared.protocol.clinic_time import ClinicTime, birthday, full_years, plus_months
from shared.protocol.loader import read_protocol


def _protocol_in(zone: str) -> Any:
    here = resources.files("shared.protocol.rulebooks")
    coordination, codes, sentences = (
        here.joinpath(name).read_text("utf-8")
        for name in ("coordination.yaml", "codes.yaml", "sentences.yaml")
    )
    return read_protocol(coordination.replace("Europe/Istanbul", zone), codes, sentences)


BERLIN = _protocol_in("Europe/Berlin")


def test_day_rules_count_local_dates_over_a_clock_change() -> None:
    # Berlin, 2027-03-28: 02:00 becomes 03:00, so that day has 23 hours.
    stated = chemo("2027-03-26", more_planned=False)

    def rules(at: str) -> set[str]:
        return set(ask(stated, at=at, protocol=BERLIN).blocking_rules)

    assert rules("2027-03-28T23:59") == {"WO-CHEMO"}
    assert rules("2027-03-29T00:00") == set()


def test_hour_rules_count_elapsed_hours_over_a_clock_change() -> None:
    fever = {
        "kind": "vital",
        "metric": "body_temp",
        "value": 38.5,
        "unit": "Cel",
        "effective": "2027-03-27T12:00",
    }

    def blocks(at: str) -> bool:
        return "INF-001" in ask(fever, at=at, protocol=BERLIN).blocking_rules

    # 48 elapsed hours after 12:00 are 13:00 by the clock that was put forward.
    assert blocks("2027-03-29T12:59")
    assert not blocks("2027-03-29T13:00")


def test_intervals_begin_at_local_midnight_in_summer_and_winter() -> None:
    given = {"kind": "medication", "name": "filgrastim", "doses": [{"day": "2027-03-26"}]}
    record = Record(BERLIN, facts(given, protocol=BERLIN))

    found = timeline(
        BERLIN, record, Gate.INFUSION, instant("2027-03-25", BERLIN), instant("2027-04-05", BERLIN)
    )

    begins = [interval.begins for interval in found]
    assert datetime(2027, 3, 25, 23, tzinfo=UTC) in begins  # 26 March, still UTC+1
    assert datetime(2027, 3, 28, 22, tzinfo=UTC) in begins  # 29 March, UTC+2


@pytest.mark.parametrize(
    ("zone", "day", "starts"),
    [
        ("Europe/Istanbul", date(2027, 3, 28), datetime(2027, 3, 27, 21, tzinfo=UTC)),
        # Beirut puts its clock forward at midnight: the day begins at 01:00.
        ("Asia/Beirut", date(2027, 3, 28), datetime(2027, 3, 27, 22, tzinfo=UTC)),
        ("America/Havana", date(2027, 3, 14), datetime(2027, 3, 14, 5, tzinfo=UTC)),
    ],
)
def test_a_day_begins_at_its_first_existing_instant(zone: str, day: date, starts: datetime) -> None:
    time = ClinicTime(ZoneInfo(zone))

    assert time.start_of(day) == starts
    assert time.day_of(starts) == day
    assert time.day_of(starts - timedelta(microseconds=1)) == day - timedelta(days=1)
    assert time.end_of(day - timedelta(days=1)) == starts - timedelta(microseconds=1)


def test_a_day_asks_about_its_last_second() -> None:
    decision = ask(at="2027-03-10")

    assert decision.to_json()["at"] == "2027-03-10T23:59:59+03:00"


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2027, 1, 31), 1, date(2027, 2, 28)),
        (date(2027, 1, 20), 12, date(2028, 1, 20)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2027, 12, 1), 1, date(2028, 1, 1)),
    ],
)
def test_calendar_months(day: date, months: int, expected: date) -> None:
    assert plus_months(day, months) == expected


def test_ages_are_completed_years() -> None:
    assert full_years(date(2009, 3, 10), date(2027, 3, 10)) == 18
    assert full_years(date(2009, 3, 11), date(2027, 3, 10)) == 17
    assert birthday(date(2008, 2, 29), 18) == date(2026, 3, 1)
    assert full_years(date(2008, 2, 29), date(2026, 2, 28)) == 17


def test_an_empty_range_has_no_intervals_and_naive_times_are_refused() -> None:
    at = instant("2027-03-10")

    assert timeline(PROTOCOL, (), Gate.INFUSION, at, at) == ()
    with pytest.raises(ValueError, match="offset"):
        timeline(PROTOCOL, (), Gate.INFUSION, datetime(2027, 3, 1), at)  # noqa: DTZ001


def test_the_due_window_of_an_interval_covers_every_step_inside_it() -> None:
    record = Record(PROTOCOL, facts(lab("anc", 2.0, "10*9/L", "2027-03-10")))

    found = timeline(
        PROTOCOL, record, Gate.COLLECTION, instant("2027-03-20"), instant("2027-03-27")
    )

    (interval,) = found
    due = {entry.item: entry for entry in interval.due}
    # Useful for some step between 03-20 and 03-26: from three days before the first of them on.
    assert due["cbc_differential"].not_before == date(2027, 3, 17)
    assert due["cbc_differential"].not_after == date(2027, 3, 26)
    assert due["cbc_differential"].max_age_days == 3
    assert due["vital_signs"].max_age_hours == 24


def test_valid_until_is_the_first_instant_at_which_time_alone_may_change_the_answer() -> None:
    count = lab("anc", 2.0, "10*9/L", "2027-03-10")

    decision = ask(count, at="2027-03-10", gate="collection")
    assert decision.valid_until == instant("2027-03-14")  # the count is too old from then on


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2027-03-12T10:00", "2027-03-13T10:00"),  # CLR-001: 24 h, the count is good for longer
        ("2027-03-13T10:00", "2027-03-14"),  # the count is too old before 24 h are over
    ],
)
def test_a_clearance_to_infuse_expires_after_24_hours_or_with_its_evidence(
    at: str, until: str
) -> None:
    decision = ask(lab("anc", 2.0, "10*9/L", "2027-03-10"), at=at)

    assert decision.valid_until == instant(until)


def test_next_go_looks_over_a_wash_out() -> None:
    decision = ask(chemo("2027-03-09", more_planned=False), at="2027-03-10")

    assert decision.next_go == instant("2027-03-12")
    assert ask(at="2027-03-10").next_go == ask(at="2027-03-10").at


def test_a_series_of_sixteen_has_plan_open_while_start_is_shut() -> None:
    schedule = next(s for s in PROTOCOL.plans.schedules if s.n == 16)
    record = Record(PROTOCOL, facts({"kind": "performance", "ecog": 1, "effective": "2027-03-01"}))
    begin = instant("2027-03-01")
    weeks = [sum(schedule.intervals_weeks[:i]) for i in range(schedule.n)]

    found = timeline(PROTOCOL, record, Gate.INFUSION, begin, begin + timedelta(weeks=61))

    for week in weeks:
        at = begin + timedelta(weeks=week)
        interval = next(i for i in found if i.begins <= at < i.ends)
        assert interval.plan == "go"
        assert interval.start == "hold"
        assert {"consent", "cbc_differential"} <= {due.item for due in interval.due}
