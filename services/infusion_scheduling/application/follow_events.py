"""What intake and manufacturing report, as infusion scheduling takes it in.

The start permit's side of a hold (fence, replica, stop order, acknowledgement) is `shared.permits`;
here is the planning side: which planned infusions cannot stay.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.infusion_scheduling.application.bind_doses import bind_doses
from services.infusion_scheduling.application.planning import Site
from services.infusion_scheduling.application.ports import DoseRow, ScheduleRows
from services.infusion_scheduling.application.revise_course import revise_course
from services.infusion_scheduling.domain.availability import TimelinePart
from services.infusion_scheduling.domain.course import OpenHold
from shared.contracts.coordination import (
    CaseClosed,
    HoldRecorded,
    HoldReleased,
    TimelinePublished,
)
from shared.contracts.event import Envelope, Event
from shared.contracts.manufacturing import (
    BatchReleased,
    BatchReleasedConditionally,
    DoseDiscarded,
    DoseIssued,
    DoseReturned,
    DoseThawed,
)
from shared.contracts.vocabulary import Gate
from shared.messaging.reactions import Reaction
from shared.messaging.unit_of_work import Work


@dataclass(frozen=True, slots=True)
class PlanningFacts:
    """The planning reactions."""

    site: Site

    def reactions(self) -> Mapping[type[Event], Reaction[ScheduleRows]]:
        """For the service's REACTIONS table; those for holds come after the permit's."""
        return {
            HoldRecorded: self.on_hold_recorded,
            HoldReleased: self.on_hold_released,
            TimelinePublished: self.on_timeline_published,
            BatchReleased: self.on_batch_released,
            BatchReleasedConditionally: self.on_batch_released,
            DoseIssued: self.on_dose_issued,
            DoseThawed: self.on_dose_thawed,
            DoseReturned: self.on_dose_returned,
            DoseDiscarded: self.on_dose_discarded,
            CaseClosed: self.on_case_closed,
        }

    async def on_hold_recorded(self, work: Work[ScheduleRows], envelope: Envelope[Any]) -> None:
        """Planned infusions in the hold's scope are suspended."""
        event: HoldRecorded = envelope.data
        if Gate.INFUSION not in event.gates:
            return
        hold = OpenHold(
            hold_id=event.hold_id,
            gates=event.gates,
            dose_ids=event.dose_ids,
            by_rule=event.rule is not None,
            recorded_at=envelope.time,
            until=event.expected_until,
        )
        await work.rows.put_hold(event.case_id, hold)
        await revise_course(work, self.site, event.case_id)

    async def on_hold_released(self, work: Work[ScheduleRows], envelope: Envelope[Any]) -> None:
        """Suspended infusions whose cause is gone stand again."""
        event: HoldReleased = envelope.data
        await work.rows.release_hold(event.case_id, event.hold_id, envelope.time)
        await revise_course(work, self.site, event.case_id)

    async def on_timeline_published(
        self, work: Work[ScheduleRows], envelope: Envelope[Any]
    ) -> None:
        """The course is revised against the new intervals."""
        event: TimelinePublished = envelope.data
        if event.gate is not Gate.INFUSION:
            return
        parts = [
            TimelinePart(i.starts_at, i.ends_at, i.start, i.plan, i.plan_rules)
            for i in event.intervals
        ]
        version = _ordered(event.epoch, event.timeline_version)
        if await work.rows.put_timeline(event.case_id, version, parts):
            await revise_course(work, self.site, event.case_id)

    async def on_batch_released(self, work: Work[ScheduleRows], envelope: Envelope[Any]) -> None:
        """The batch's doses are bound to the infusions of the course, in order."""
        event: BatchReleased | BatchReleasedConditionally = envelope.data
        known = await work.rows.doses_of_case(event.case_id)
        first = len(known) + 1
        for ordinal, dose_id in enumerate(event.dose_ids, start=first):
            await work.rows.put_dose(_dose(event, dose_id, ordinal))
        await bind_doses(work, self.site, event.case_id)

    async def on_dose_issued(self, work: Work[ScheduleRows], envelope: Envelope[Any]) -> None:
        """The dose is on its way to the bedside."""
        event: DoseIssued = envelope.data
        await work.rows.set_dose_state(event.dose_id, "issued", event.usable_until)
        if event.label is not None:
            await work.rows.put_dose_label(event.dose_id, event.label.strip().upper())

    async def on_dose_thawed(self, work: Work[ScheduleRows], envelope: Envelope[Any]) -> None:
        """The dose's short clock runs."""
        event: DoseThawed = envelope.data
        await work.rows.set_dose_state(event.dose_id, "issued", event.usable_until)

    async def on_dose_returned(self, work: Work[ScheduleRows], envelope: Envelope[Any]) -> None:
        """The dose is back in stock, or gone."""
        event: DoseReturned = envelope.data
        await work.rows.set_dose_state(event.dose_id, "released" if event.usable else "gone")

    async def on_dose_discarded(self, work: Work[ScheduleRows], envelope: Envelope[Any]) -> None:
        """The dose is gone."""
        event: DoseDiscarded = envelope.data
        await work.rows.set_dose_state(event.dose_id, "gone")

    async def on_case_closed(self, work: Work[ScheduleRows], envelope: Envelope[Any]) -> None:
        """The course is over."""
        course = await work.rows.open_course_of_case(envelope.case_id)
        if course is not None:
            await work.rows.close_course(course.course_id)
            work.note("course-closed", envelope.case_id, course_id=str(course.course_id))


def _ordered(epoch: int, timeline_version: int) -> int:
    """One number that a newer epoch always wins."""
    return epoch * 1_000_000 + timeline_version


def _dose(
    event: BatchReleased | BatchReleasedConditionally, dose_id: UUID, ordinal: int
) -> DoseRow:
    return DoseRow(
        dose_id=dose_id,
        case_id=event.case_id,
        batch_id=event.batch_id,
        state="released",
        usable_from=event.formulated_at,
        usable_until=event.expires_at,
        ordinal=ordinal,
    )
