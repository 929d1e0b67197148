"""Numbers that other services plan and work by, worked out by hand.

Schedules, the harvest, follow-up, alerts, signs to stop at, the advice on a postponed case: each
row below names what the protocol's number gives for one infusion, culture or alert.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from protocol_asking import instant

from services.infusion_scheduling.domain.monitoring import read_trigger, triggers_met
from services.notification.domain.levels import AckTimes, Level
from shared.protocol import Protocol, eligibility_advice

# SCH-*: weeks after the first infusion, each interval added to the one before
WEEKS = {
    "SCH-HCC-ADJ": [0, 1, 2, 3, 5, 7, 9, 11, 15, 19, 23, 27, 35, 43, 51, 59],
    "SCH-SOLID-8": [0, 1, 2, 3, 5, 7, 9, 11],
    "SCH-CHEMO-Q3W": [0, 3, 6, 9],
}
# FU-*: infusion on 2027-03-01; day and window on either side
FOLLOW_UP = {
    "FU-D1": ("2027-03-02", "2027-03-02"),  # + 1
    "FU-D3": ("2027-03-03", "2027-03-05"),  # + 3 = 03-04, 1 either side
    "FU-D7": ("2027-03-06", "2027-03-10"),  # + 7 = 03-08, 2
    "FU-D28": ("2027-03-24", "2027-04-03"),  # + 28 = 03-29, 5
    "FU-W8": ("2027-04-19", "2027-05-03"),  # + 56 = 04-26, 7
    "FU-M3": ("2027-05-16", "2027-06-13"),  # + 90 = 05-30, 14
    "FU-M6": ("2027-08-07", "2027-09-18"),  # + 180 = 08-28, 21
    "FU-M12": ("2028-01-30", "2028-03-30"),  # + 365 = 2028-02-29, 30
}
# L2..L4: an alert of 10:00 is due at
DUE = {"L2": (14, 0), "L3": (10, 30), "L4": (10, 5)}
# STOP-*: baseline values, measured values, which fire
SIGNS: list[tuple[dict[str, str], dict[str, str], list[str]]] = [
    ({}, {"spo2": "89.9"}, ["STOP-001"]),
    ({}, {"spo2": "90"}, ["STOP-002"]),
    ({}, {"spo2": "92"}, ["STOP-002"]),
    ({}, {"spo2": "92.1"}, []),
    ({"sbp": "95"}, {"sbp": "89.9"}, ["STOP-001"]),
    ({"sbp": "95"}, {"sbp": "90"}, []),  # a fall of 5 / 95 = 5 %
    ({"sbp": "200"}, {"sbp": "140"}, []),  # 60 / 200 = 30 %: not above
    ({"sbp": "200"}, {"sbp": "139.9"}, ["STOP-001"]),  # 60.1 / 200 = 30.05 %
    ({}, {"heart_rate": "130"}, []),
    ({}, {"heart_rate": "130.1"}, ["STOP-001"]),
    ({"body_temp": "38.5"}, {"body_temp": "39.0"}, ["STOP-001", "STOP-002"]),
    ({"body_temp": "38.5"}, {"body_temp": "38.95"}, ["STOP-002"]),
    ({"body_temp": "37.5"}, {"body_temp": "38.0"}, ["STOP-002"]),
    ({"body_temp": "37.5"}, {"body_temp": "37.95"}, []),  # a rise of 0.45
    ({"body_temp": "36.0"}, {"body_temp": "37.0"}, ["STOP-002"]),  # a rise of exactly 1.0
    ({"body_temp": "36.0"}, {"body_temp": "36.95"}, []),
]


def _schedules(protocol: Protocol) -> Iterator[str]:
    for schedule in protocol.plans.schedules:
        weeks = [sum(schedule.intervals_weeks[:i]) for i in range(schedule.n)]
        if weeks != WEEKS[schedule.id]:
            yield f"{schedule.id}: {weeks}"


def _follow_up(protocol: Protocol) -> Iterator[str]:
    for row in protocol.plans.follow_up:
        due = date(2027, 3, 1) + timedelta(days=row.day)
        wide = timedelta(days=row.window_days)
        if (str(due - wide), str(due + wide)) != FOLLOW_UP[row.id]:
            yield f"{row.id}: {due - wide} to {due + wide}"


def _alerts(protocol: Protocol) -> Iterator[str]:
    opened = datetime(2027, 3, 1, 10, tzinfo=UTC)
    levels = protocol.plans.escalation
    times = AckTimes({Level(r.id): r.ack_minutes for r in levels if r.ack_minutes is not None})
    for name, (hour, minute) in DUE.items():
        due = times.due_at(Level(name), opened)
        if due != opened.replace(hour=hour, minute=minute):
            yield f"{name}: {due}"


def _signs(protocol: Protocol) -> Iterator[str]:
    triggers = [read_trigger(t.id, t.action, t.any_of) for t in protocol.plans.stop_triggers]
    for baseline, measures, wanted in SIGNS:
        first, now = ({k: Fraction(v) for k, v in each.items()} for each in (baseline, measures))
        met = [t.rule for t in triggers_met(triggers, now, first, frozenset())]
        if met != wanted:
            yield f"{baseline} {measures}: {met}"


def _harvest(protocol: Protocol) -> Iterator[str]:
    # culture from 2027-03-01: harvest planned on day 21
    planned = date(2027, 3, 1) + timedelta(days=protocol.plans.harvest.day_target)
    if planned != date(2027, 3, 22):
        yield f"harvest planned {planned}"


def _infusion(protocol: Protocol) -> Iterator[str]:
    # a drip that starts at 10:00 lasts until 10:30 at the least
    if protocol.plans.rate.min_minutes != 30:
        yield f"drip of {protocol.plans.rate.min_minutes} min"


def _grades(protocol: Protocol) -> Iterator[str]:
    # RX-IRR-3 is grade 3 of its scale, and so on: the id ends with the grade
    for row in protocol.plans.reactions:
        if not row.id.endswith(f"-{row.grade}"):
            yield f"{row.id}: grade {row.grade}"


def _advice(protocol: Protocol) -> Iterator[str]:
    # nothing on record: postponed without a date of its own, looked at again after 28 d
    advice = eligibility_advice(protocol, (), instant("2027-03-10T10:00"))
    if advice.reevaluate_on != date(2027, 4, 7):
        yield f"looked at again {advice.reevaluate_on}"


PLANS: tuple[Callable[[Protocol], Iterator[str]], ...] = (
    *(_schedules, _follow_up, _alerts, _signs, _harvest, _infusion, _grades, _advice),
)


def plan_difference(protocol: Protocol) -> str | None:
    """Where the plans first depart from what was worked out; None when they agree."""
    return next((found for plan in PLANS for found in plan(protocol)), None)
