"""One story for each event of the reaction table: what must stand before, and the event itself."""

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from shared.contracts import coordination as coord
from shared.contracts import infusion as inf
from shared.contracts import manufacturing as made
from shared.contracts.event import Event
from shared.contracts.vocabulary import InFlight, Service
from tests.unit.notification.samples import (
    AT,
    CASE,
    accepted,
    effective,
    forecast,
    held_by_scheduling,
    hold,
    proposed,
    red_flag,
    released,
    suspended,
)

HOLD, BATCH, COURSE, INFUSION, START_ID, DOSE = (uuid4() for _ in range(6))


def batch(kind: type[Any], **more: Any) -> Event:
    event: Event = kind(
        case_id=CASE, batch_id=BATCH, certificate_id=uuid4(), dose_ids=(DOSE,), form="fresh",
        formulated_at=AT, expires_at=AT, **more,
    )  # fmt: skip
    return event


def stopped(outcome: str) -> Event:
    return inf.InfusionStopped(
        case_id=CASE, infusion_id=INFUSION, start_id=START_ID, permit_id=None,
        outcome=outcome, stopped_at=AT,  # type: ignore[arg-type]
    )  # fmt: skip


def started(*, unpermitted: bool) -> Event:
    return inf.InfusionStarted(
        case_id=CASE, infusion_id=INFUSION, start_id=START_ID, permit_id=None, dose_id=DOSE,
        attempt=1, number=2, go_at=AT, unpermitted=unpermitted,
    )  # fmt: skip


def parked(kind: type[Any]) -> Event:
    event: Event = kind(
        case_id=CASE, consumer=kind.owner, parked_source=Service.INTAKE, parked_sequence=4
    )
    return event


def source_silent(*, case_id: UUID = CASE, silence: str = "silence/lab-north/1") -> Event:
    return coord.SourceSilent(
        case_id=case_id, silence_id=silence, source_name="lab-north", feed="laboratory_feed",
        since=AT,
    )  # fmt: skip


def source_heard_again(*, case_id: UUID = CASE, silence: str = "silence/lab-north/1") -> Event:
    return coord.SourceHeardAgain(
        case_id=case_id, silence_id=silence, source_name="lab-north", feed="laboratory_feed"
    )


#: what must stand before -> the event itself; together they name every event of the table
STORIES: list[tuple[list[Callable[[], Event]], Callable[[], Event]]] = [
    ([], lambda: hold(HOLD)),
    ([lambda: hold(HOLD)], lambda: effective(HOLD)),
    ([lambda: hold(HOLD)], lambda: released(HOLD)),
    ([], red_flag),
    ([], lambda: coord.ConsentWithdrawn(case_id=CASE, withdrawn_on=date(2027, 3, 9))),
    ([lambda: hold(HOLD)], lambda: suspended(HOLD)),
    ([], lambda: suspended(None, 3, COURSE)),
    ([], lambda: proposed(COURSE)),
    ([lambda: suspended(None, 3, COURSE)], lambda: accepted(COURSE)),
    ([lambda: hold(HOLD)], lambda: held_by_scheduling(HOLD, InFlight.RUNNING)),
    ([lambda: hold(HOLD)], lambda: held_by_scheduling(HOLD, InFlight.STOPPED)),
    (
        [lambda: hold(HOLD)],
        lambda: made.ManufacturingHoldAcknowledged(
            case_id=CASE, hold_id=HOLD, epoch=0, version=3, in_flight=InFlight.RUNNING
        ),
    ),
    ([], lambda: started(unpermitted=True)),
    ([lambda: stopped("paused")], lambda: started(unpermitted=False)),
    ([], lambda: stopped("stopped")),
    ([], lambda: stopped("never_opened")),
    (
        [lambda: stopped("paused")],
        lambda: inf.InfusionCompleted(
            case_id=CASE, infusion_id=INFUSION, start_id=START_ID, dose_id=DOSE, number=2,
            completed_at=AT,
        ),
    ),
    (
        [],
        lambda: inf.ReactionGraded(
            case_id=CASE, infusion_id=INFUSION, scale="irr_ctcae5", grade=3, rule="IRR-3"
        ),
    ),
    ([], lambda: inf.VitalsOverdue(case_id=CASE, infusion_id=INFUSION, due_at=AT)),
    (
        [lambda: inf.VitalsOverdue(case_id=CASE, infusion_id=INFUSION, due_at=AT)],
        lambda: inf.VitalsRecorded(
            case_id=CASE, infusion_id=INFUSION, phase="during", taken_at=AT
        ),
    ),
    (
        [],
        lambda: made.RecallOrdered(
            case_id=CASE, batch_id=BATCH, dose_ids=(DOSE,), hold_id=HOLD, reason="sterility"
        ),
    ),
    (
        [],
        lambda: made.IdentityMismatch(
            case_id=CASE, hold_id=HOLD, step="issue", deviation_id=uuid4()
        ),
    ),
    ([], lambda: forecast(BATCH, 14, 12)),
    (
        [lambda: forecast(BATCH, 14, 12)],
        lambda: made.Harvested(case_id=CASE, batch_id=BATCH, harvested_at=AT),
    ),
    ([], lambda: batch(made.BatchReleased)),
    ([], lambda: batch(made.BatchReleasedConditionally, pending=("sterility_14d",))),
    ([], lambda: made.BatchRejected(case_id=CASE, batch_id=BATCH, rules=("QC-1",))),
    ([], source_silent),
    ([source_silent], source_heard_again),
    ([], lambda: parked(coord.CoordinationCaseParked)),
    ([], lambda: parked(made.ManufacturingCaseParked)),
    ([], lambda: parked(inf.InfusionCaseParked)),
    *[
        (
            [lambda kind=kind: parked(kind)],
            lambda kind=gone: kind(case_id=CASE, consumer=kind.owner),
        )
        for kind, gone in (
            (coord.CoordinationCaseParked, coord.CoordinationCaseUnparked),
            (made.ManufacturingCaseParked, made.ManufacturingCaseUnparked),
            (inf.InfusionCaseParked, inf.InfusionCaseUnparked),
        )
    ],
]  # fmt: skip
