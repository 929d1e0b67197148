"""Events with meaningful defaults, and the fold that the application runs, over memory."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from services.notification.adapters.routing_table import read_routes
from services.notification.domain.alert import Alert, absorb, belongs_to, raise_alert
from services.notification.domain.evidence import Evidence
from services.notification.domain.reading import evidence_of
from shared.contracts.coordination import (
    HoldEffective,
    HoldRecorded,
    HoldReleased,
    RedFlagReported,
)
from shared.contracts.event import Envelope, Event
from shared.contracts.infusion import (
    InfusionHoldAcknowledged,
    InfusionSuspended,
    PlanAccepted,
    PlanProposed,
)
from shared.contracts.manufacturing import GrowthForecastChanged
from shared.contracts.vocabulary import EffectiveBy, Gate, HoldKind, InFlight, OnRunning

CASE = UUID("0198a000-0000-7000-8000-000000000001")
AT = datetime(2027, 3, 10, 9, 0, tzinfo=UTC)
ROUTES = read_routes()


def envelope(event: Event, *, chain: UUID, at: datetime = AT) -> Envelope[Any]:
    return Envelope(
        id=uuid4(), source=event.owner, time=at, epoch=0, sequence=None, correlation_id=chain,
        causation_id=None, traceparent=None, data=event,
    )  # fmt: skip


def evidence(event: Event, *, chain: UUID | None = None, at: datetime = AT) -> Evidence:
    found = evidence_of(envelope(event, chain=chain or uuid4(), at=at))
    assert found is not None
    return found


def hold(hold_id: UUID, kind: HoldKind = HoldKind.RULE, **changes: Any) -> HoldRecorded:
    fields: dict[str, Any] = {
        "case_id": CASE, "hold_id": hold_id, "epoch": 0, "version": 3, "kind": kind,
        "rule": "STER-001" if kind is HoldKind.RULE else None,
        "gates": frozenset({Gate.INFUSION}), "on_running": OnRunning.STOP, "effective": True,
    }  # fmt: skip
    return HoldRecorded(**{**fields, **changes})


def effective(hold_id: UUID) -> HoldEffective:
    return HoldEffective(case_id=CASE, hold_id=hold_id, effective_by=EffectiveBy.ACK)


def released(hold_id: UUID, kind: HoldKind = HoldKind.RULE) -> HoldReleased:
    return HoldReleased(
        case_id=CASE, hold_id=hold_id, epoch=0, version=4, gates=frozenset({Gate.INFUSION}),
        kind=kind, rule=None,
    )  # fmt: skip


def suspended(
    hold_id: UUID | None, number: int = 3, course_id: UUID | None = None
) -> InfusionSuspended:
    return InfusionSuspended(
        case_id=CASE, infusion_id=uuid4(), course_id=course_id or uuid4(), number=number,
        planned_at=AT + timedelta(days=2), cause="hold" if hold_id else "timeline",
        hold_id=hold_id, rules=("STER-001",),
    )  # fmt: skip


def proposed(course_id: UUID) -> PlanProposed:
    return PlanProposed(
        case_id=CASE, course_id=course_id, proposal_id=uuid4(), moved=(), impossible=(),
        rules=("STER-001",),
    )  # fmt: skip


def accepted(course_id: UUID) -> PlanAccepted:
    return PlanAccepted(case_id=CASE, course_id=course_id, proposal_id=uuid4(), plan_version=2)


def held_by_scheduling(hold_id: UUID, in_flight: InFlight) -> InfusionHoldAcknowledged:
    return InfusionHoldAcknowledged(
        case_id=CASE, hold_id=hold_id, epoch=0, version=3, in_flight=in_flight
    )


def red_flag(level: str = "L4", flag: str = "RF-DYSP") -> RedFlagReported:
    return RedFlagReported(
        case_id=CASE,
        fact_id=uuid4(),
        flag=flag,
        level=level,
        reported_at=AT,  # type: ignore[arg-type]
    )


def forecast(batch_id: UUID, day: int, before: int) -> GrowthForecastChanged:
    return GrowthForecastChanged(
        case_id=CASE, batch_id=batch_id, forecast_on=date(2027, 3, day),
        previous_on=date(2027, 3, before),
    )  # fmt: skip


def fold(pieces: Iterable[Evidence]) -> list[Alert]:
    """All alerts that these pieces make, in the way the application absorbs them."""
    alerts: dict[UUID, Alert] = {}
    for piece in pieces:
        known = any(e.subject == piece.subject for a in alerts.values() for e in a.file.evidence)
        if known and piece.resolves is None:
            continue
        joined = belongs_to(list(alerts.values()), piece, ROUTES)
        changes = [absorb(alert, piece, ROUTES, AT) for alert in joined]
        if not joined and ROUTES.of(piece).raises:
            changes = [raise_alert(piece, ROUTES, AT)]
        for change in changes:
            if change is not None:
                alerts[change.alert.file.alert_id] = change.alert
    return list(alerts.values())
