"""What each event means for alerts: event in, evidence out. Pure.

Subjects are made of the ids in the event, never of the event's own id, so that the same news told
by two events is one piece of evidence. An event that stands in no reader concerns no alert.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from services.notification.domain import reading_infusion as infusion
from services.notification.domain import reading_product as product
from services.notification.domain.evidence import NO_CASE, Evidence, EvidenceKind
from services.notification.domain.heard import Heard, about_hold, hold_key
from services.notification.domain.levels import Level
from shared.contracts import coordination as coord
from shared.contracts import infusion as inf
from shared.contracts import manufacturing as made
from shared.contracts.event import Envelope, Event
from shared.contracts.vocabulary import HoldKind

HOLD_EVIDENCE: Final[Mapping[HoldKind, EvidenceKind]] = MappingProxyType(
    {kind: EvidenceKind(f"hold_{kind.value}") for kind in HoldKind}
)
Parked = coord.CoordinationCaseParked | made.ManufacturingCaseParked | inf.InfusionCaseParked
Unparked = (
    coord.CoordinationCaseUnparked | made.ManufacturingCaseUnparked | inf.InfusionCaseUnparked
)


def evidence_of(envelope: Envelope[Any]) -> Evidence | None:
    """What this event tells an alert, or None when no alert needs it."""
    reader = READERS.get(type(envelope.data))
    heard = Heard(envelope.correlation_id, envelope.time)
    return None if reader is None else reader(envelope.data, heard)


def _hold_recorded(event: coord.HoldRecorded, heard: Heard) -> Evidence:
    key = hold_key(event.hold_id)
    detail = {
        "hold_id": str(event.hold_id),
        "gates": ", ".join(sorted(gate.value for gate in event.gates)),
        "rule": event.rule or "",
        "on_running": event.on_running.value,
        "effective": "yes" if event.effective else "no",
    }
    if event.may_be_running_until is not None:
        detail["may_be_running_until"] = event.may_be_running_until.isoformat()
    kind = HOLD_EVIDENCE[event.kind]
    return heard.piece(event, kind, key, keys=(key,), lasts_until=key, detail=detail)


def _hold_effective(event: coord.HoldEffective, heard: Heard) -> Evidence:
    return about_hold(event, heard, EvidenceKind.HOLD_EFFECTIVE, event.hold_id)


def _hold_released(event: coord.HoldReleased, heard: Heard) -> Evidence:
    return about_hold(event, heard, EvidenceKind.HOLD_RELEASED, event.hold_id, ends=True)


def _red_flag(event: coord.RedFlagReported, heard: Heard) -> Evidence:
    return heard.piece(
        event,
        EvidenceKind.RED_FLAG,
        f"red-flag:{event.fact_id}",
        level=Level(event.level),
        detail={"flag": event.flag},
    )


def _consent_withdrawn(event: coord.ConsentWithdrawn, heard: Heard) -> Evidence:
    subject = f"consent-withdrawn:{event.withdrawn_on.isoformat()}"
    return heard.piece(event, EvidenceKind.CONSENT_WITHDRAWN, subject)


def _parked(event: Parked, heard: Heard) -> Evidence:
    key = f"parked:{event.consumer.value}"
    place = f"{event.parked_source.value}:{event.parked_sequence}"
    return heard.piece(
        event,
        EvidenceKind.CASE_PARKED,
        f"{key}:{place}:{heard.chain}",
        keys=(key,),
        lasts_until=key,
        detail={"consumer": event.consumer.value, "source": event.parked_source.value},
    )


def _unparked(event: Unparked, heard: Heard) -> Evidence:
    key = f"parked:{event.consumer.value}"
    return heard.piece(
        event,
        EvidenceKind.CASE_UNPARKED,
        f"un{key}:{heard.at.isoformat()}",
        keys=(key,),
        resolves=key,
        detail={"consumer": event.consumer.value},
    )


def _source_silent(event: coord.SourceSilent, heard: Heard) -> Evidence:
    """One alert for the silence, however many cases it concerns: the news belongs to no case."""
    key = f"source:{event.silence_id}"
    told = heard.piece(
        event,
        EvidenceKind.SOURCE_SILENT,
        f"silent:{key}",
        keys=(key,),
        lasts_until=key,
        detail={"source": event.source_name, "since": event.since.isoformat()},
    )
    return replace(told, case_id=NO_CASE)


def _source_heard_again(event: coord.SourceHeardAgain, heard: Heard) -> Evidence:
    key = f"source:{event.silence_id}"
    told = heard.piece(
        event,
        EvidenceKind.SOURCE_HEARD_AGAIN,
        f"heard-again:{key}",
        keys=(key,),
        resolves=key,
        detail={"source": event.source_name},
    )
    return replace(told, case_id=NO_CASE)


READERS: Final[Mapping[type[Event], Callable[[Any, Heard], Evidence | None]]] = MappingProxyType(
    {
        coord.HoldRecorded: _hold_recorded,
        coord.HoldEffective: _hold_effective,
        coord.HoldReleased: _hold_released,
        coord.RedFlagReported: _red_flag,
        coord.ConsentWithdrawn: _consent_withdrawn,
        inf.InfusionSuspended: infusion.suspended,
        inf.PlanProposed: infusion.plan_proposed,
        inf.PlanAccepted: infusion.plan_accepted,
        inf.InfusionHoldAcknowledged: infusion.hold_acknowledged,
        made.ManufacturingHoldAcknowledged: infusion.hold_acknowledged,
        inf.InfusionStarted: infusion.started,
        inf.InfusionStopped: infusion.stopped,
        inf.InfusionCompleted: infusion.completed,
        inf.ReactionGraded: infusion.reaction_graded,
        inf.VitalsOverdue: infusion.vitals_overdue,
        inf.VitalsRecorded: infusion.vitals_recorded,
        made.RecallOrdered: product.recall_ordered,
        made.IdentityMismatch: product.identity_mismatch,
        made.GrowthForecastChanged: product.forecast_changed,
        made.Harvested: product.harvested,
        made.BatchReleased: product.released,
        made.BatchReleasedConditionally: product.released_conditionally,
        made.BatchRejected: product.rejected,
        coord.CoordinationCaseParked: _parked,
        made.ManufacturingCaseParked: _parked,
        inf.InfusionCaseParked: _parked,
        coord.CoordinationCaseUnparked: _unparked,
        coord.SourceSilent: _source_silent,
        coord.SourceHeardAgain: _source_heard_again,
        made.ManufacturingCaseUnparked: _unparked,
        inf.InfusionCaseUnparked: _unparked,
    }
)
