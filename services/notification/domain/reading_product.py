"""What the events of manufacturing mean for alerts. Pure."""

from services.notification.domain.evidence import Evidence, EvidenceKind
from services.notification.domain.heard import Heard, hold_key
from shared.contracts import manufacturing as made


def recall_ordered(event: made.RecallOrdered, heard: Heard) -> Evidence:
    """Belongs to the hold that manufacturing placed before it told anybody."""
    return heard.piece(
        event,
        EvidenceKind.RECALL,
        f"recall:{event.hold_id}",
        keys=(hold_key(event.hold_id),),
        detail={"reason": event.reason, "doses": str(len(event.dose_ids))},
    )


def identity_mismatch(event: made.IdentityMismatch, heard: Heard) -> Evidence:
    """Belongs to the hold that manufacturing placed before it told anybody."""
    return heard.piece(
        event,
        EvidenceKind.IDENTITY_MISMATCH,
        f"identity:{event.hold_id}",
        keys=(hold_key(event.hold_id),),
        detail={"step": event.step},
    )


def forecast_changed(event: made.GrowthForecastChanged, heard: Heard) -> Evidence:
    """A later harvest stands until the culture is harvested; an earlier one is history."""
    later = event.forecast_on > event.previous_on
    key = f"growth:{event.batch_id}"
    days = (event.forecast_on.isoformat(), event.previous_on.isoformat())
    return heard.piece(
        event,
        EvidenceKind.FORECAST_LATER if later else EvidenceKind.FORECAST_EARLIER,
        f"forecast:{event.batch_id}:{days[0]}:{days[1]}",
        keys=(key,),
        lasts_until=key if later else None,
        detail={"forecast_on": days[0], "previous_on": days[1]},
    )


def harvested(event: made.Harvested, heard: Heard) -> Evidence:
    """Ends a late forecast."""
    key = f"growth:{event.batch_id}"
    subject = f"harvested:{event.batch_id}"
    return heard.piece(event, EvidenceKind.HARVESTED, subject, keys=(key,), resolves=key)


def released(event: made.BatchReleased, heard: Heard) -> Evidence:
    """Ends a conditional release of the same batch."""
    key = f"batch:{event.batch_id}"
    subject = f"batch_released:{event.batch_id}"
    return heard.piece(event, EvidenceKind.BATCH_RELEASED, subject, keys=(key,), resolves=key)


def released_conditionally(event: made.BatchReleasedConditionally, heard: Heard) -> Evidence:
    """Stands until the batch is released in full; a rejection is news of its own."""
    key = f"batch:{event.batch_id}"
    kind = EvidenceKind.BATCH_RELEASED_CONDITIONALLY
    return heard.piece(event, kind, f"{kind.value}:{event.batch_id}", keys=(key,), lasts_until=key)


def rejected(event: made.BatchRejected, heard: Heard) -> Evidence:
    """Joins what was told of the batch, as worse news."""
    kind = EvidenceKind.BATCH_REJECTED
    keys = (f"batch:{event.batch_id}", f"growth:{event.batch_id}")
    return heard.piece(event, kind, f"{kind.value}:{event.batch_id}", keys=keys)
