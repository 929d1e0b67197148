"""What the use cases ask of their store. Each method is one SQL statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from services.infusion_scheduling.domain.availability import TimelinePart
from services.infusion_scheduling.domain.chairs import Chair
from services.infusion_scheduling.domain.course import OpenHold

InfusionState = Literal["planned", "suspended", "running", "paused", "stopped", "completed"]
DoseState = Literal["released", "issued", "given", "gone"]
Phase = Literal["before", "during", "after"]


@dataclass(frozen=True, slots=True)
class CourseRow:
    """A course. `plan_version` rises with every accepted change of the plan."""

    course_id: UUID
    case_id: UUID
    schedule: str
    status: Literal["open", "closed"]
    plan_version: int
    planned_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class InfusionRow:
    """An infusion. `attempt` counts starts (and resumptions) so far."""

    infusion_id: UUID
    course_id: UUID
    case_id: UUID
    number: int
    state: InfusionState
    chair_id: UUID
    starts_at: datetime
    ends_at: datetime
    dose_id: UUID | None
    cause: str | None
    rules: Sequence[str]
    attempt: int
    start_id: UUID | None


@dataclass(frozen=True, slots=True)
class DoseRow:
    """A dose as manufacturing reported it, in the order of release."""

    dose_id: UUID
    case_id: UUID
    batch_id: UUID
    state: DoseState
    usable_from: datetime
    usable_until: datetime
    ordinal: int
    label: str | None = None


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """A proposal for the rest of a series. `body` is as it was shown."""

    proposal_id: UUID
    course_id: UUID
    base_version: int
    body: Mapping[str, Any]
    status: Literal["open", "accepted", "superseded"]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CheckRow:
    """What two people checked at the bedside before one attempt."""

    infusion_id: UUID
    attempt: int
    first_by: str
    second_by: str
    band: str
    label: str
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class VitalsRow:
    """Vital signs. `measures` maps the metric to {value, unit}; `triggers` are stop rules met."""

    vitals_id: UUID
    infusion_id: UUID
    phase: Phase
    taken_at: datetime
    taken_by: str
    measures: Mapping[str, Mapping[str, Any]]
    triggers: Sequence[str]


@dataclass(frozen=True, slots=True)
class FollowUpRow:
    """A follow-up, due on a clinic-local day within its window."""

    follow_up_id: UUID
    case_id: UUID
    infusion_id: UUID
    rule: str
    due_on: date
    window_days: int
    items: Sequence[str]
    done_on: date | None = None
    done_by: str | None = None


class ScheduleRows(Protocol):
    """The tables of infusion scheduling."""

    async def insert_chair(self, chair: Chair) -> None:
        """Adds a chair."""
        ...

    async def chairs(self) -> Sequence[Chair]:
        """All chairs, by name."""
        ...

    async def taken_slots(
        self, since: datetime, but_course: UUID | None
    ) -> frozenset[tuple[UUID, datetime]]:
        """(chair, start) pairs that are spoken for, but for those of one course."""
        ...

    async def insert_course(self, course: CourseRow) -> None:
        """Adds an open course."""
        ...

    async def course_by_id(self, course_id: UUID) -> CourseRow | None:
        """The course, or None."""
        ...

    async def open_course_of_case(self, case_id: UUID) -> CourseRow | None:
        """The case's open course, or None."""
        ...

    async def courses_page(self, before: UUID | None, limit: int) -> Sequence[CourseRow]:
        """Courses, newest first."""
        ...

    async def raise_plan_version(self, course_id: UUID) -> int:
        """The new plan version."""
        ...

    async def close_course(self, course_id: UUID) -> None:
        """The course is over."""
        ...

    async def insert_infusion(self, infusion: InfusionRow) -> None:
        """Adds a planned infusion."""
        ...

    async def infusions_of_course(self, course_id: UUID) -> Sequence[InfusionRow]:
        """In the order of numbers."""
        ...

    async def infusion_by_id(self, infusion_id: UUID) -> InfusionRow | None:
        """The infusion, or None."""
        ...

    async def infusions_between(
        self, since: datetime, until: datetime, case_id: UUID | None, limit: int
    ) -> Sequence[InfusionRow]:
        """Infusions that start in `[since, until)`."""
        ...

    async def suspend_infusions(
        self, suspensions: Sequence[tuple[UUID, str, Sequence[str]]]
    ) -> frozenset[UUID]:
        """Those that were planned and are now suspended; each with its cause and its rules."""
        ...

    async def reinstate_infusion(self, infusion_id: UUID) -> bool:
        """Whether a suspended infusion stands again."""
        ...

    async def move_infusion(
        self, infusion_id: UUID, chair_id: UUID, starts_at: datetime, ends_at: datetime
    ) -> bool:
        """Whether a planned or suspended infusion has its new place."""
        ...

    async def bind_dose(self, infusion_id: UUID, dose_id: UUID) -> bool:
        """Whether the dose is now bound, for good."""
        ...

    async def set_infusion_state(
        self, infusion_id: UUID, state: InfusionState, attempt: int, start_id: UUID | None
    ) -> None:
        """What became of the infusion."""
        ...

    async def supersede_proposals(self, course_id: UUID) -> None:
        """Open proposals of the course no longer count."""
        ...

    async def insert_proposal(self, proposal: ProposalRow) -> None:
        """Adds an open proposal."""
        ...

    async def proposal_by_id(self, proposal_id: UUID) -> ProposalRow | None:
        """The proposal, or None."""
        ...

    async def proposals_of_course(self, course_id: UUID) -> Sequence[ProposalRow]:
        """The latest proposals, newest first."""
        ...

    async def accept_proposal(self, proposal_id: UUID) -> bool:
        """Whether the open proposal is now accepted."""
        ...

    async def put_timeline(
        self, case_id: UUID, version: int, parts: Sequence[TimelinePart]
    ) -> bool:
        """Whether this publication is newer than what was known."""
        ...

    async def timeline_of_case(self, case_id: UUID) -> Sequence[TimelinePart] | None:
        """The infusion gate's timeline, or None when nothing was published."""
        ...

    async def timeline_version(self, case_id: UUID) -> int | None:
        """Which publication of the infusion gate's timeline is known here, or None."""
        ...

    async def put_hold(self, case_id: UUID, hold: OpenHold) -> None:
        """Adds an open hold, unless its release came first."""
        ...

    async def release_hold(self, case_id: UUID, hold_id: UUID, at: datetime) -> None:
        """The hold no longer counts, also when it is heard of later."""
        ...

    async def open_holds_of_case(self, case_id: UUID) -> Sequence[OpenHold]:
        """The open holds of the case."""
        ...

    async def put_dose(self, dose: DoseRow) -> None:
        """Adds a released dose."""
        ...

    async def set_dose_state(
        self, dose_id: UUID, state: DoseState, usable_until: datetime | None = None
    ) -> None:
        """What became of the dose."""
        ...

    async def put_dose_label(self, dose_id: UUID, label: str) -> None:
        """The label that stands on the bag."""
        ...

    async def doses_of_case(self, case_id: UUID) -> Sequence[DoseRow]:
        """The case's doses in the order of release."""
        ...

    async def put_check(self, check: CheckRow) -> None:
        """Keeps the bedside check of an attempt."""
        ...

    async def check_of_attempt(self, infusion_id: UUID, attempt: int) -> CheckRow | None:
        """The bedside check of an attempt."""
        ...

    async def insert_vitals(self, vitals: VitalsRow) -> None:
        """Keeps vital signs."""
        ...

    async def vitals_of_infusion(self, infusion_id: UUID) -> Sequence[VitalsRow]:
        """In the order in which they were taken."""
        ...

    async def insert_reaction(
        self,
        reaction_id: UUID,
        infusion_id: UUID,
        *,
        scale: str,
        grade: int,
        rule: str,
        graded_by: str,
        graded_at: datetime,
    ) -> None:
        """Keeps a graded reaction."""
        ...

    async def insert_follow_up(self, follow_up: FollowUpRow) -> None:
        """Adds a follow-up, once per infusion and rule."""
        ...

    async def follow_ups_page(
        self,
        case_id: UUID | None,
        only_open: bool,
        after: tuple[date, UUID] | None,
        limit: int,
    ) -> Sequence[FollowUpRow]:
        """Follow-ups by due day."""
        ...

    async def finish_follow_up(
        self, follow_up_id: UUID, done_on: date, done_by: str
    ) -> tuple[UUID, str] | None:
        """(case, rule) of the follow-up that is now done; None when it was done or is unknown."""
        ...

    async def case_of_follow_up(self, follow_up_id: UUID) -> UUID | None:
        """The case that the follow-up belongs to, or None."""
        ...
