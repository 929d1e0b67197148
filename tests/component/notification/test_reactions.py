"""Each reaction run twice equals once, on the real tables, without the inbox."""

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import uuid4

import pytest

from services.notification.domain.reading import READERS
from shared.contracts import coordination as coord
from shared.contracts import infusion as inf
from shared.contracts import manufacturing as made
from shared.contracts.event import Event
from shared.contracts.vocabulary import InFlight, Service
from tests.component.notification.conftest import START, Desk
from tests.unit.notification.samples import (
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

pytestmark = pytest.mark.component

HOLD, BATCH, COURSE, INFUSION, START_ID, DOSE = (uuid4() for _ in range(6))


def batch(kind: type[Any], **more: Any) -> Event:
    event: Event = kind(
        case_id=CASE, batch_id=BATCH, certificate_id=uuid4(), dose_ids=(DOSE,), form="fresh",
        formulated_at=START, expires_at=START, **more,
    )  # fmt: skip
    return event


def stopped(outcome: str) -> Event:
    return inf.InfusionStopped(
        case_id=CASE, infusion_id=INFUSION, start_id=START_ID, permit_id=None,
        outcome=outcome, stopped_at=START,  # type: ignore[arg-type]
    )  # fmt: skip


def started(*, unpermitted: bool) -> Event:
    return inf.InfusionStarted(
        case_id=CASE, infusion_id=INFUSION, start_id=START_ID, permit_id=None, dose_id=DOSE,
        attempt=1, number=2, go_at=START, unpermitted=unpermitted,
    )  # fmt: skip


def parked(kind: type[Any]) -> Event:
    event: Event = kind(
        case_id=CASE, consumer=kind.owner, parked_source=Service.INTAKE, parked_sequence=4
    )
    return event


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
            completed_at=START,
        ),
    ),
    (
        [],
        lambda: inf.ReactionGraded(
            case_id=CASE, infusion_id=INFUSION, scale="irr_ctcae5", grade=3, rule="IRR-3"
        ),
    ),
    ([], lambda: inf.VitalsOverdue(case_id=CASE, infusion_id=INFUSION, due_at=START)),
    (
        [lambda: inf.VitalsOverdue(case_id=CASE, infusion_id=INFUSION, due_at=START)],
        lambda: inf.VitalsRecorded(
            case_id=CASE, infusion_id=INFUSION, phase="during", taken_at=START
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
        lambda: made.Harvested(case_id=CASE, batch_id=BATCH, harvested_at=START),
    ),
    ([], lambda: batch(made.BatchReleased)),
    ([], lambda: batch(made.BatchReleasedConditionally, pending=("sterility_14d",))),
    ([], lambda: made.BatchRejected(case_id=CASE, batch_id=BATCH, rules=("QC-1",))),
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

TABLES = {
    "alert": "SELECT alert_id, version, state, level, leading_kind, opened_at FROM alert",
    "evidence": "SELECT alert_id, subject, kind FROM evidence",
    "delivery": "SELECT delivery_id, state FROM delivery",
    "escalation": "SELECT alert_id, alert_version, step, due_at, state FROM escalation",
    "outbox": "SELECT headers->>'ce_type' AS type FROM outbox",
    "audit": "SELECT action FROM audit_entry",
    "feed": "SELECT what FROM alert_change",
}


async def everything(desk: Desk) -> dict[str, list[Any]]:
    return {name: sorted(str(row) for row in await desk.rows(sql)) for name, sql in TABLES.items()}


def test_the_stories_name_every_event_of_the_table() -> None:
    assert {type(event()) for _, event in STORIES} == set(READERS)


@pytest.mark.parametrize(
    ("before", "event"), STORIES, ids=[type(event()).__name__ for _, event in STORIES]
)
async def test_a_reaction_run_twice_equals_once(
    desk: Desk, before: list[Callable[[], Event]], event: Callable[[], Event]
) -> None:
    chain, told, event_id = uuid4(), event(), uuid4()
    for earlier in before:
        await desk.hear(earlier(), chain=chain)
    desk.clock.advance(minutes=1)

    await desk.hear(told, chain=chain, event_id=event_id)
    once = await everything(desk)
    await desk.hear(told, chain=chain, event_id=event_id, at=desk.clock.now())
    await desk.hear(told, chain=chain, event_id=uuid4(), at=desk.clock.now())

    assert await everything(desk) == once
    assert len(await desk.rows("SELECT FROM alert")) == 1


async def test_what_ends_an_alert_closes_it(desk: Desk) -> None:
    """Of the stories whose last event resolves the ones before it, none leaves an alert open."""
    resolving = (
        coord.HoldReleased, inf.PlanAccepted, inf.InfusionCompleted, inf.VitalsRecorded,
        made.Harvested,
    )  # fmt: skip
    for before, event in STORIES:
        if isinstance(event(), resolving):
            for told in [*before, event]:
                await desk.hear(told())

    states = await desk.rows("SELECT DISTINCT state FROM alert")

    assert states == [{"state": "closed"}]
