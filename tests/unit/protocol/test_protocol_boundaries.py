"""Boundaries are exact, over clock changes too; due windows and a long series worked by hand."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_asking import BAG, PROTOCOL, chemo, facts, instant
from protocol_budget import deterministic
from protocol_strategies import records
from test_protocol_time import BERLIN

from shared.protocol import Due, Gate, Interval, Record, decide, timeline

START, FINISH = datetime(2027, 3, 1, tzinfo=UTC), datetime(2027, 4, 20, tzinfo=UTC)
TICK = timedelta(microseconds=1)
AROUND = [
    sign * step
    for step in (TICK, timedelta(seconds=1), timedelta(minutes=1), timedelta(minutes=59))
    for sign in (-1, 1)
]


def _at(intervals: tuple[Interval, ...], at: datetime) -> Interval:
    return next(part for part in intervals if part.begins <= at < part.ends)


def _disagreements(
    record: Record, gate: Gate, intervals: tuple[Interval, ...], instants: set[datetime]
) -> list[datetime]:
    """The instants at which a decision says other than the timeline."""
    found = []
    for at in sorted(i for i in instants if intervals[0].begins <= i < intervals[-1].ends):
        part, told = _at(intervals, at), decide(record.protocol, record, gate, at)
        said = (part.start, part.plan, part.rules)
        if said != (told.verdict, told.plan, told.blocking_rules):
            found.append(at)
    return found


@deterministic("boundaries")
@given(stated=records, gate=st.sampled_from(list(Gate)), assume=st.booleans())
def test_decisions_close_around_every_boundary_agree_with_the_timeline(
    stated: list[dict[str, Any]], gate: Gate, assume: bool
) -> None:
    record = Record(PROTOCOL, facts(*stated), assume_other_evidence_current=assume)
    intervals = timeline(PROTOCOL, record, gate, START, FINISH)
    edges = {part.begins for part in intervals}
    near = {edge + step for edge in edges for step in (timedelta(0), *AROUND)}
    grid = {START + timedelta(hours=7 * n) for n in range(160)}

    assert _disagreements(record, gate, intervals, near | grid) == []


def test_a_planted_boundary_one_tick_late_is_seen() -> None:
    given_dose = chemo("2027-03-09", more_planned=False)
    record = Record(PROTOCOL, facts(BAG, given_dose), assume_other_evidence_current=True)
    shut, opened = timeline(
        PROTOCOL, record, Gate.INFUSION, instant("2027-03-10"), instant("2027-03-20")
    )[:2]
    end = shut.ends + TICK
    late = tuple(
        Interval(b, e, p.start, p.plan, p.rules, p.due, p.zone, p.plan_rules)
        for p, b, e in ((shut, shut.begins, end), (opened, end, opened.ends))
    )

    assert _disagreements(record, Gate.INFUSION, late, {shut.ends, end}) == [shut.ends]


# Clock changes in Berlin: 2027-03-28 has 23 hours, 2027-10-31 has 25


@pytest.mark.parametrize(
    ("last_dose", "opens"),
    [
        # 26 + 3 = 29 March, which begins at 00:00 UTC+2 (the clock went forward on the 28th).
        ("2027-03-26", datetime(2027, 3, 28, 22, tzinfo=UTC)),
        # 25 + 3 = 28 March, still UTC+1 at midnight: the clock goes forward two hours later.
        ("2027-03-25", datetime(2027, 3, 27, 23, tzinfo=UTC)),
        # 29 October + 3 = 1 November, UTC+1 (the clock went back on 31 October).
        ("2027-10-29", datetime(2027, 10, 31, 23, tzinfo=UTC)),
        # 28 + 3 = 31 October, still UTC+2 at midnight: the clock goes back three hours later.
        ("2027-10-28", datetime(2027, 10, 30, 22, tzinfo=UTC)),
    ],
)
def test_a_wash_out_ends_at_local_midnight_in_spring_and_autumn(
    last_dose: str, opens: datetime
) -> None:
    stated = facts(chemo(last_dose, more_planned=False), protocol=BERLIN)
    record = Record(BERLIN, stated, assume_other_evidence_current=True)
    begin = opens - timedelta(days=2)

    found = timeline(BERLIN, record, Gate.INFUSION, begin, opens + timedelta(days=2))

    ends = [part.ends for part in found if "WO-CHEMO" in part.rules]
    assert ends == [opens]


def test_an_hour_rule_counts_the_hour_that_comes_twice() -> None:
    fever = {
        "kind": "vital", "metric": "body_temp", "value": 38.5, "unit": "Cel",
        "effective": "2027-10-30T12:00",
    }  # fmt: skip
    record = Record(BERLIN, facts(fever, protocol=BERLIN), assume_other_evidence_current=True)
    begin = instant("2027-10-31", BERLIN)

    found = timeline(BERLIN, record, Gate.INFUSION, begin, begin + timedelta(days=3))

    # INF-001, 48 hours: 12:00 UTC+2 is 10:00 UTC; two days later 10:00 UTC is 11:00 by the clock.
    ends = [part.ends for part in found if "INF-001" in part.rules]
    assert max(ends) == datetime(2027, 11, 1, 10, tzinfo=UTC)


# Due windows of a step at one instant, by hand: the day or instant less the age in the rulebook


@pytest.mark.parametrize(
    ("item", "not_before", "not_after", "owner_asked"),
    [
        # infusion planned for 10 June 2027, 10:00
        ("cbc_differential", date(2027, 6, 7), date(2027, 6, 10), True),  # EV-CBC 3 d: 10 - 3
        ("body_weight", date(2027, 6, 3), date(2027, 6, 10), True),  # EV-WEIGHT 7 d: 10 - 7
        ("oncology_plan_ack", date(2027, 5, 27), date(2027, 6, 10), True),  # 14 d: 31 - 4 = 27 May
        ("cmv_dna", date(2027, 5, 11), date(2027, 6, 10), True),  # 30 d: 31 - 20 = 11 May
        ("consent", date(2026, 12, 12), date(2027, 6, 10), True),  # 180 d: see below
        ("vital_signs", instant("2027-06-10T09:00"), instant("2027-06-10T10:00"), True),  # 1 h
    ],
)
def test_due_windows_worked_by_hand(
    item: str, not_before: date, not_after: date, owner_asked: bool
) -> None:
    # consent, 180 d back from 10 June: 10 (June) + 31 + 30 + 31 + 28 + 31 = 161 to 31 December,
    # 19 more: 31 - 19 = 12 December.
    decision = decide(PROTOCOL, facts(BAG), Gate.INFUSION, instant("2027-06-10T10:00"))

    due: dict[str, Due] = {entry.item: entry for entry in decision.due}
    assert (due[item].not_before, due[item].not_after) == (not_before, not_after)
    assert bool(due[item].owner) is owner_asked


# The longest series of the rulebook: 16 infusions in 60 weeks

#: weeks after the first: 1,1,1 | 2,2,2,2 | 4,4,4,4 | 8,8,8,8 added up
WEEKS = [0, 1, 2, 3, 5, 7, 9, 11, 15, 19, 23, 27, 35, 43, 51, 59]


def test_sixteen_infusions_can_be_planned_while_none_may_start_beyond_the_evidence() -> None:
    first = date(2027, 3, 10)
    days = [first + timedelta(weeks=week) for week in WEEKS]
    assert len(days) == 16
    assert timedelta(weeks=59) <= days[-1] - days[0] <= timedelta(weeks=60)
    status = {"kind": "performance", "ecog": 1, "effective": "2027-03-09"}
    cycle = chemo("2027-03-01", "2027-03-22")
    record = Record(PROTOCOL, facts(status, cycle))
    begin = instant("2027-03-10")
    whole = timeline(PROTOCOL, record, Gate.INFUSION, begin, begin + timedelta(weeks=61))

    without = Record(PROTOCOL, facts(status))
    found = timeline(PROTOCOL, without, Gate.INFUSION, begin, begin + timedelta(weeks=61))
    for day in days:
        at = instant(f"{day.isoformat()}T10:00")
        part = _at(found, at)
        assert part.plan == "go", day
        assert part.start == "hold", day
        needed = {entry.item for entry in part.due}
        assert {"consent", "vital_signs"} <= needed
        # ECOG of 9 March is good for 7 days, to the 16th: due at every infusion but the first.
        assert ("ecog" in needed) is (day != first)
    # Lead 5: the dose of the 22nd shuts planning from the 18th on, and it opens no more by itself.
    assert _at(whole, instant("2027-03-17T10:00")).plan == "go"
    assert _at(whole, instant("2027-03-18T00:00")).plan == "hold"


def test_each_decision_says_until_when_it_holds() -> None:
    given_dose = chemo("2027-03-09", more_planned=False)
    record = Record(PROTOCOL, facts(BAG, given_dose), assume_other_evidence_current=True)

    decision = decide(PROTOCOL, record, Gate.COLLECTION, instant("2027-03-10T10:00"))

    # The first instant at which time alone may change the answer lies ahead, and nothing differs
    # before it.
    assert decision.valid_until is not None
    before = decide(PROTOCOL, record, Gate.COLLECTION, decision.valid_until - TICK)
    assert before.blocking_rules == decision.blocking_rules
