"""What the authority does with the holders' events, for intake's table of reactions."""

from collections.abc import Mapping
from typing import Any

from services.intake.application.acknowledge_hold import acknowledge_hold
from services.intake.application.authority_ports import Authority, R
from services.intake.application.place_hold import place_unprocessed_hold
from services.intake.application.release_hold import release_unprocessed_hold
from services.intake.domain.holds import unprocessed_hold_id
from shared.contracts.event import Envelope, Event
from shared.contracts.infusion import (
    InfusionCaseParked,
    InfusionCaseUnparked,
    InfusionHoldAcknowledged,
)
from shared.contracts.manufacturing import (
    ManufacturingCaseParked,
    ManufacturingCaseUnparked,
    ManufacturingHoldAcknowledged,
)
from shared.contracts.notification import NotificationCaseParked, NotificationCaseUnparked
from shared.messaging.reactions import Reaction
from shared.messaging.unit_of_work import Work


def authority_reactions(authority: Authority[R]) -> Mapping[type[Event], Reaction[R]]:
    """The handlers by event; the case is locked by the consumer (`adapters.authority.lock_cases`).

    Where another part of intake reacts to the same event, run both.
    """
    return {
        ManufacturingHoldAcknowledged: on_hold_acknowledged,
        InfusionHoldAcknowledged: on_hold_acknowledged,
        ManufacturingCaseParked: on_case_parked,
        InfusionCaseParked: on_case_parked,
        NotificationCaseParked: on_case_parked,
        ManufacturingCaseUnparked: on_case_unparked,
        InfusionCaseUnparked: on_case_unparked,
        NotificationCaseUnparked: on_case_unparked,
    }


async def on_hold_acknowledged(work: Work[R], envelope: Envelope[Any]) -> None:
    """`hold-acknowledged` of either holder. The source is the topic's owner, never the body."""
    await acknowledge_hold(work, envelope.source, envelope.case_id, envelope.data)


async def on_case_parked(work: Work[R], envelope: Envelope[Any]) -> None:
    """A consumer elsewhere waits with an event of this case: what it would say is unknown."""
    hold_id = unprocessed_hold_id(envelope.case_id, envelope.source, envelope.id)
    await place_unprocessed_hold(work, envelope.case_id, envelope.source, hold_id)


async def on_case_unparked(work: Work[R], envelope: Envelope[Any]) -> None:
    """That consumer has caught up."""
    await release_unprocessed_hold(work, envelope.case_id, envelope.source)
