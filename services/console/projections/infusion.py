"""What infusion scheduling says: the course, each infusion, proposals, refused starts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.console.projections.log import STATEMENTS
from shared.contracts import infusion as inf
from shared.contracts.event import Envelope
from shared.persistence.database import Tx


async def plan_course(tx: Tx, envelope: Envelope[inf.CoursePlanned]) -> None:
    """Every infusion of the series stands at its place; those left out are planned no more."""
    event = envelope.data
    order = (envelope.epoch, envelope.sequence)
    for planned in event.infusions:
        await tx.run(
            STATEMENTS["plan_infusion"], planned.infusion_id, event.case_id, event.course_id,
            planned.number, planned.planned_at, envelope.time, *order,
        )  # fmt: skip
    named = [planned.infusion_id for planned in event.infusions]
    await tx.run(STATEMENTS["unplan_others"], event.course_id, named, envelope.time, *order)


async def suspend_infusion(tx: Tx, envelope: Envelope[inf.InfusionSuspended]) -> None:
    """The infusion cannot be started until it is placed anew."""
    event = envelope.data
    await _set(
        tx, envelope, event.infusion_id, "suspended", course_id=event.course_id,
        number=event.number, planned_at=event.planned_at, cause=event.cause, rules=event.rules,
        hold_id=event.hold_id,
    )  # fmt: skip


async def reinstate_infusion(tx: Tx, envelope: Envelope[inf.InfusionReinstated]) -> None:
    """The infusion stands again at its old place."""
    event = envelope.data
    await _set(
        tx, envelope, event.infusion_id, "planned", course_id=event.course_id,
        number=event.number, planned_at=event.planned_at,
    )  # fmt: skip


async def move_infusion(tx: Tx, envelope: Envelope[inf.InfusionRescheduled]) -> None:
    """The infusion stands at another time."""
    event = envelope.data
    await _set(
        tx, envelope, event.infusion_id, "planned", number=event.number, planned_at=event.planned_at
    )


async def start_infusion(tx: Tx, envelope: Envelope[inf.InfusionStarted]) -> None:
    """The start is committed."""
    event = envelope.data
    await _set(tx, envelope, event.infusion_id, "running", number=event.number)


async def stop_infusion(tx: Tx, envelope: Envelope[inf.InfusionStopped]) -> None:
    """The infusion was stopped or paused, or never began."""
    event = envelope.data
    await _set(tx, envelope, event.infusion_id, event.outcome)


async def complete_infusion(tx: Tx, envelope: Envelope[inf.InfusionCompleted]) -> None:
    """The dose was given in full."""
    event = envelope.data
    await _set(tx, envelope, event.infusion_id, "completed", number=event.number)


async def refuse_start(tx: Tx, envelope: Envelope[inf.StartRefused]) -> None:
    """A start was refused, with all reasons."""
    event = envelope.data
    await tx.run(
        STATEMENTS["refuse_start"], event.infusion_id, envelope.time, list(event.codes),
        list(event.rules), envelope.epoch, envelope.sequence,
    )  # fmt: skip


async def propose_plan(tx: Tx, envelope: Envelope[inf.PlanProposed]) -> None:
    """A proposal waits for a person; it takes the place of the course's last one."""
    event = envelope.data
    await tx.run(
        STATEMENTS["propose_plan"], event.proposal_id, event.case_id, event.course_id,
        len(event.moved), len(event.impossible), envelope.time,
    )  # fmt: skip


async def accept_plan(tx: Tx, envelope: Envelope[inf.PlanAccepted]) -> None:
    """Nothing is proposed for the course any more."""
    await tx.run(STATEMENTS["end_proposals"], envelope.data.course_id, envelope.time)


async def _set(
    tx: Tx, envelope: Envelope[Any], infusion_id: UUID, state: str, *,
    course_id: UUID | None = None, number: int | None = None, planned_at: datetime | None = None,
    cause: str | None = None, rules: Sequence[str] = (), hold_id: UUID | None = None,
) -> None:  # fmt: skip
    await tx.run(
        STATEMENTS["set_infusion"], infusion_id, envelope.case_id, course_id, number, planned_at,
        state, envelope.time, cause, list(rules), hold_id, envelope.epoch, envelope.sequence,
    )  # fmt: skip
