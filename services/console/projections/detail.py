"""Which fields of events the console keeps and shows: an allow-list by field name.

Invariant: every field of every event of the catalogue stands in exactly one of the four sets (a
test compares them with the catalogue), so a new field is shown to nobody until somebody decides.
Values are ids, codes, days and versions; clinical values do not ride in events at all.
"""

from collections.abc import Mapping
from typing import Final

from shared.contracts.event import Event

#: names of things
IDS: Final = frozenset(
    {
        "alert_id", "batch_id", "certificate_id", "collection_id", "container_id", "course_id",
        "deviation_id", "dose_id", "dose_ids", "fact_id", "follow_up_id", "hold_id", "hold_ids",
        "infusion_id", "other_case_id", "override_id", "permit_id", "proposal_id", "question_id",
        "silence_id", "slot_id", "start_id", "subject_id", "superseded_by",
    }
)  # fmt: skip

#: what happened, in words and times that tell nothing about the patient's health
PLAIN: Final = frozenset(
    {
        "ack_due_at", "acknowledged_at", "acknowledged_on", "alert_version",
        "assessed_on", "attempt", "channel", "collected_at", "completed_at", "consumer",
        "day", "decided_at", "delivered_at", "document_version", "done_on", "due_at",
        "due_on", "effective", "effective_by", "effective_day", "epoch", "expected_until",
        "expires_at", "feasible_from", "feed", "final", "forecast_on", "form", "formulated_at",
        "gate", "gates", "go_at", "handed_over_at", "harvest_forecast_on", "harvested_at",
        "holder", "impossible", "in_flight", "issued_at", "may_be_running_until",
        "measured_at", "method", "number", "offer_ends_at", "on_running", "overdue",
        "parked_sequence", "parked_source", "place", "plan_version", "planned_at",
        "planned_on", "previous_at", "previous_on", "protocol_version", "received_at",
        "reevaluate_on", "reopened", "reported_at", "roles", "schedule", "signed_on",
        "since", "source_name", "started_at", "starts_at", "step", "stopped_at", "stream_source",
        "taken_at", "thawed_at", "timeline_version", "ttl_ms", "unpermitted", "urgency",
        "usable", "usable_until", "valid_until", "version", "window_days", "withdrawn_on",
    }
)  # fmt: skip

#: codes that tell something about the patient's health; operations staff do not see them
CLINICAL: Final = frozenset(
    {
        "advice", "answer", "cause", "codes", "decision", "flag", "grade", "kind",
        "level", "metric", "outcome", "passed", "pending", "phase", "reason", "rule",
        "rules", "scale", "triggers",
    }
)  # fmt: skip

#: never kept: lists with tables of their own, and the bag's label, which belongs to the bedside
LEFT_OUT: Final = frozenset({"case_id", "infusions", "intervals", "label", "moved", "open_holds"})

_KEPT: Final = IDS | PLAIN | CLINICAL


def kept_detail(event: Event) -> dict[str, object]:
    """The fields of an event that the log keeps, as JSON values; what is empty is left out."""
    document = event.model_dump(mode="json", include=set(_KEPT & type(event).model_fields.keys()))
    return {
        name: sorted(value) if isinstance(value, list) else value
        for name, value in document.items()
        if value not in (None, [], "")
    }


def visible_detail(detail: Mapping[str, object], *, clinical: bool) -> dict[str, object]:
    """What of a kept detail this viewer may see."""
    return {n: v for n, v in detail.items() if n in IDS | PLAIN or (clinical and n in CLINICAL)}
