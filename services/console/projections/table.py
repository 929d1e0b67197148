"""What the console reacts to, on one screen: everything goes to the log, and some of it further.

The console owns no topic and decides nothing: a reaction only writes read models. An event that it
cannot read parks the case here, without a hold; the case then shows as unknown.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from services.console.projections import (
    coordination,
    infusion,
    manufacturing,
    notification,
    parking,
)
from services.console.projections.log import log_events
from shared.contracts import coordination as coord
from shared.contracts import infusion as inf
from shared.contracts import manufacturing as made
from shared.contracts import notification as note
from shared.contracts.catalogue import EVENTS, PARKED_BY, TOPIC_OF, UNPARKED_BY
from shared.contracts.event import Envelope, Event
from shared.contracts.vocabulary import Service
from shared.messaging.reactions import Reactions
from shared.messaging.unit_of_work import Work
from shared.persistence.database import Tx

Projection = Callable[[Tx, Envelope[Any]], Awaitable[None]]
Changed = Callable[[UUID], None]

PROJECTIONS: Final[Mapping[type[Event], Projection]] = {
    coord.CaseOpened: coordination.open_case,
    coord.CaseClosed: coordination.close_case,
    coord.HoldRecorded: coordination.place_hold,
    coord.HoldEffective: coordination.make_hold_effective,
    coord.HoldOverdue: coordination.note_hold_overdue,
    coord.HoldReleased: coordination.release_hold,
    coord.EpochStarted: coordination.start_epoch,
    coord.TimelinePublished: coordination.publish_timeline,
    coord.SourceSilent: coordination.note_silence,
    coord.SourceHeardAgain: coordination.note_heard_again,
    coord.PermitGranted: coordination.grant_permit,
    coord.PermitConsumed: coordination.end_permit,
    coord.PermitUndone: coordination.end_permit,
    coord.PermitLapsed: coordination.end_permit,
    inf.CoursePlanned: infusion.plan_course,
    inf.InfusionSuspended: infusion.suspend_infusion,
    inf.InfusionReinstated: infusion.reinstate_infusion,
    inf.InfusionRescheduled: infusion.move_infusion,
    inf.InfusionStarted: infusion.start_infusion,
    inf.InfusionStopped: infusion.stop_infusion,
    inf.InfusionCompleted: infusion.complete_infusion,
    inf.StartRefused: infusion.refuse_start,
    inf.PlanProposed: infusion.propose_plan,
    inf.PlanAccepted: infusion.accept_plan,
    inf.InfusionHoldAcknowledged: parking.acknowledge_hold,
    made.MaterialReceived: manufacturing.receive_material,
    made.BatchStarted: manufacturing.start_batch,
    made.GrowthForecastChanged: manufacturing.change_forecast,
    made.Harvested: manufacturing.harvest_batch,
    made.BatchReleased: manufacturing.release_batch,
    made.BatchReleasedConditionally: manufacturing.release_conditionally,
    made.BatchRejected: manufacturing.reject_batch,
    made.RecallOrdered: manufacturing.recall_batch,
    made.ManufacturingHoldAcknowledged: parking.acknowledge_hold,
    note.AlertRaised: notification.raise_alert,
    note.AlertUpdated: notification.update_alert,
    note.AlertAcknowledged: notification.acknowledge_alert,
    note.AlertOverridden: notification.override_alert,
    note.AlertEscalated: notification.escalate_alert,
    note.AlertDelivered: notification.note_delivery,
    note.DeliveryFailed: notification.note_delivery_failure,
    note.AlertClosed: notification.close_alert,
    **dict.fromkeys(PARKED_BY.values(), parking.note_parked),
    **dict.fromkeys(UNPARKED_BY.values(), parking.note_unparked),
}


async def project(
    projection: Projection, changed: Changed, work: Work[Tx], envelope: Envelope[Any]
) -> None:
    """Logs the event and writes what else it changes; after the commit, says that it changed."""
    await log(changed, work, [envelope])
    await projection(work.tx, envelope)


async def log(changed: Changed, work: Work[Tx], envelopes: Sequence[Envelope[Any]]) -> None:
    """Logs events that change nothing else; after the commit, says whose cases have changed."""
    await log_events(work.tx, envelopes)
    for case_id in {envelope.case_id for envelope in envelopes}:
        work.after_commit.append(partial(changed, case_id))


def reactions(changed: Changed = lambda _: None) -> Reactions[Tx]:
    """The console's reactions: every event of the catalogue, from all four topics.

    `changed` is told the case of each event whose effects were committed.
    """
    only_logged = partial(log, changed)
    return Reactions(
        consumer=Service.CONSOLE,
        topics=frozenset(TOPIC_OF.values()),
        handlers={
            model: partial(project, projection, changed)
            for model, projection in PROJECTIONS.items()
        },
        bulk={model: only_logged for model in EVENTS.values() if model not in PROJECTIONS},
    )
