"""What the events of infusion scheduling mean for alerts. Pure."""

from types import MappingProxyType
from typing import Final, assert_never

from services.notification.domain.evidence import Evidence, EvidenceKind
from services.notification.domain.heard import Heard, about_hold, course_key, hold_key
from shared.contracts import infusion as inf
from shared.contracts import manufacturing as made
from shared.contracts.vocabulary import InFlight

_STOPPED: Final = MappingProxyType(
    {
        "stopped": EvidenceKind.INFUSION_STOPPED,
        "paused": EvidenceKind.INFUSION_PAUSED,
        "never_opened": EvidenceKind.INFUSION_NEVER_OPENED,
    }
)


def suspended(event: inf.InfusionSuspended, heard: Heard) -> Evidence:
    """By a hold, it ends with the hold's alert; any other suspension lasts until a new plan."""
    by_hold = event.hold_id is not None
    key = hold_key(event.hold_id) if event.hold_id is not None else course_key(event.course_id)
    return heard.piece(
        event,
        EvidenceKind.INFUSION_SUSPENDED,
        f"suspended:{event.infusion_id}:{event.hold_id or heard.chain}",
        keys=(key,),
        lasts_until=None if by_hold else key,
        detail={
            "number": str(event.number),
            "planned_at": event.planned_at.isoformat(),
            "rules": ", ".join(event.rules),
            "reason": event.cause,
        },
    )


def plan_proposed(event: inf.PlanProposed, heard: Heard) -> Evidence:
    """A proposal waits until a plan of its course is accepted."""
    key = course_key(event.course_id)
    return heard.piece(
        event,
        EvidenceKind.PLAN_PROPOSED,
        f"proposal:{event.proposal_id}",
        keys=(key,),
        lasts_until=key,
        detail={"moved": str(len(event.moved)), "impossible": str(len(event.impossible))},
    )


def plan_accepted(event: inf.PlanAccepted, heard: Heard) -> Evidence:
    """Ends what waited for a new plan."""
    key = course_key(event.course_id)
    subject = f"plan-accepted:{event.course_id}:{event.plan_version}"
    return heard.piece(event, EvidenceKind.PLAN_ACCEPTED, subject, keys=(key,), resolves=key)


def hold_acknowledged(
    event: inf.InfusionHoldAcknowledged | made.ManufacturingHoldAcknowledged, heard: Heard
) -> Evidence | None:
    """What a holder found running; nothing running is no news."""
    match event.in_flight:
        case InFlight.NONE:
            return None
        case InFlight.RUNNING:
            return about_hold(event, heard, EvidenceKind.RUNNING_UNDER_HOLD, event.hold_id)
        case InFlight.STOPPED:
            return about_hold(event, heard, EvidenceKind.STOP_ORDERED, event.hold_id)
        case _:
            assert_never(event.in_flight)


def started(event: inf.InfusionStarted, heard: Heard) -> Evidence:
    """A start ends the news of a stop before it; a start without a permit is news of its own.

    The end of an unpermitted infusion does not settle it: that is a matter for people.
    """
    number = {"number": str(event.number), "attempt": str(event.attempt)}
    if event.unpermitted:
        subject, key = f"unpermitted:{event.start_id}", f"start:{event.start_id}"
        return heard.piece(
            event, EvidenceKind.UNPERMITTED_START, subject, keys=(key,), detail=number
        )
    key = f"infusion:{event.infusion_id}"
    return heard.piece(
        event,
        EvidenceKind.INFUSION_STARTED,
        f"started:{event.start_id}",
        keys=(key,),
        resolves=key,
        detail=number,
    )


def stopped(event: inf.InfusionStopped, heard: Heard) -> Evidence:
    """Stands until the infusion runs again or is completed."""
    kind = _STOPPED[event.outcome]
    key = f"infusion:{event.infusion_id}"
    return heard.piece(event, kind, f"{kind.value}:{event.start_id}", keys=(key,), lasts_until=key)


def completed(event: inf.InfusionCompleted, heard: Heard) -> Evidence:
    """Ends the news of a stop before it."""
    key = f"infusion:{event.infusion_id}"
    subject = f"completed:{event.start_id}"
    return heard.piece(event, EvidenceKind.INFUSION_COMPLETED, subject, keys=(key,), resolves=key)


def reaction_graded(event: inf.ReactionGraded, heard: Heard) -> Evidence:
    """Gradings of one infusion belong together; a new grade is a new piece."""
    return heard.piece(
        event,
        EvidenceKind.REACTION_GRADED,
        f"reaction:{event.infusion_id}:{event.scale}:{event.grade}:{event.rule}",
        keys=(f"reactions:{event.infusion_id}",),
        detail={"scale": event.scale, "grade": str(event.grade), "rule": event.rule},
    )


def vitals_overdue(event: inf.VitalsOverdue, heard: Heard) -> Evidence:
    """Stands until vital signs of this infusion are taken."""
    key = f"vitals:{event.infusion_id}"
    due_at = event.due_at.isoformat()
    return heard.piece(
        event,
        EvidenceKind.VITALS_OVERDUE,
        f"vitals-overdue:{event.infusion_id}:{due_at}",
        keys=(key,),
        lasts_until=key,
        detail={"due_at": due_at},
    )


def vitals_recorded(event: inf.VitalsRecorded, heard: Heard) -> Evidence:
    """Ends an overdue check."""
    key = f"vitals:{event.infusion_id}"
    subject = f"vitals-taken:{event.infusion_id}:{event.taken_at.isoformat()}"
    return heard.piece(event, EvidenceKind.VITALS_TAKEN, subject, keys=(key,), resolves=key)
