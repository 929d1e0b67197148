"""A case from its opening to a suspended infusion and an acknowledged alert, as events."""

from datetime import timedelta
from uuid import UUID

from shared.contracts import coordination as coord
from shared.contracts import infusion as inf
from shared.contracts import manufacturing as made
from shared.contracts import notification as note
from shared.contracts.event import Event
from shared.contracts.vocabulary import (
    EffectiveBy,
    Gate,
    HoldKind,
    InFlight,
    OnRunning,
    Service,
    Verdict,
)
from tests.unit.console.console_events import CASE, START, known_id

DAY = timedelta(days=1)
COURSE, HOLD, ALERT, BATCH = (known_id(n) for n in ("course", "hold", "alert", "batch"))
INFUSIONS = tuple(known_id(f"infusion-{n}") for n in range(3))


def opened(case: UUID = CASE) -> Event:
    return coord.CaseOpened(case_id=case, protocol_version="1.0.0")


def timeline(
    case: UUID = CASE, *, version: int = 1, start: Verdict = Verdict.GO, rules: tuple[str, ...] = ()
) -> Event:
    due = coord.DueItem(
        item="cbc_differential", not_before=START.date(), not_after=(START + DAY).date(),
        owner="coordinator",
    )  # fmt: skip
    shut = coord.TimelineInterval(
        starts_at=START - DAY, ends_at=START + 5 * DAY, start=start, plan=start, rules=rules,
        due=(due,) if rules else (),
    )  # fmt: skip
    later = coord.TimelineInterval(
        starts_at=START + 5 * DAY, ends_at=START + 60 * DAY, start=Verdict.GO, plan=Verdict.GO,
        rules=(),
    )  # fmt: skip
    return coord.TimelinePublished(
        case_id=case, gate=Gate.INFUSION, epoch=0, version=version, timeline_version=version,
        protocol_version="1.0.0", intervals=(shut, later),
    )  # fmt: skip


def hold(case: UUID = CASE, *, hold_id: UUID = HOLD, rule: str | None = None) -> Event:
    return coord.HoldRecorded(
        case_id=case, hold_id=hold_id, epoch=0, version=2,
        kind=HoldKind.RULE if rule else HoldKind.INFECTION_SUSPECTED, rule=rule,
        gates=frozenset({Gate.INFUSION}), on_running=OnRunning.STOP, effective=False,
    )  # fmt: skip


def effective(case: UUID = CASE, hold_id: UUID = HOLD) -> Event:
    return coord.HoldEffective(case_id=case, hold_id=hold_id, effective_by=EffectiveBy.ACK)


def released(case: UUID = CASE, hold_id: UUID = HOLD) -> Event:
    return coord.HoldReleased(
        case_id=case, hold_id=hold_id, epoch=0, version=3, gates=frozenset({Gate.INFUSION}),
        kind=HoldKind.INFECTION_SUSPECTED,
    )  # fmt: skip


def planned(case: UUID = CASE, numbers: tuple[int, ...] = (1, 2, 3), *, version: int = 1) -> Event:
    return inf.CoursePlanned(
        case_id=case, course_id=COURSE, plan_version=version, schedule="SCH-SOLID-8",
        infusions=tuple(
            inf.PlannedInfusion(
                infusion_id=INFUSIONS[n - 1], number=n, planned_at=START + n * 7 * DAY
            )
            for n in numbers
        ),
    )  # fmt: skip


def suspended(number: int, case: UUID = CASE) -> Event:
    return inf.InfusionSuspended(
        case_id=case, infusion_id=INFUSIONS[number - 1], course_id=COURSE, number=number,
        planned_at=START + number * 7 * DAY, cause="hold", hold_id=HOLD,
    )  # fmt: skip


def fenced(case: UUID = CASE) -> Event:
    return inf.InfusionHoldAcknowledged(
        case_id=case, hold_id=HOLD, epoch=0, version=2, in_flight=InFlight.NONE
    )


def raised(
    case: UUID = CASE, *, alert_id: UUID = ALERT, urgency: note.Urgency = "critical",
    cause: str = "hold_infection_suspected", due_days: int = 0,
) -> Event:  # fmt: skip
    return note.AlertRaised(
        case_id=case, alert_id=alert_id, cause=cause, urgency=urgency,
        roles=("oncologist", "coordinator"),
        ack_due_at=START + timedelta(days=due_days, minutes=30),
    )  # fmt: skip


def acknowledged(case: UUID = CASE, *, alert_id: UUID = ALERT, version: int = 1) -> Event:
    return note.AlertAcknowledged(
        case_id=case, alert_id=alert_id, alert_version=version, acknowledged_at=START
    )


def closed(case: UUID = CASE, alert_id: UUID = ALERT) -> Event:
    return note.AlertClosed(case_id=case, alert_id=alert_id, reason="hold_released")


def parked(case: UUID = CASE) -> Event:
    return made.ManufacturingCaseParked(
        case_id=case, consumer=Service.MANUFACTURING, parked_source=Service.INTAKE,
        parked_sequence=7,
    )  # fmt: skip


def unparked(case: UUID = CASE) -> Event:
    return made.ManufacturingCaseUnparked(case_id=case, consumer=Service.MANUFACTURING)
