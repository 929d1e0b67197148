"""Infusion scheduling's tables behind `ScheduleRows`."""

from collections.abc import Sequence
from datetime import date, datetime
from json import dumps
from typing import Final
from uuid import UUID

from services.infusion_scheduling.application.ports import (
    CheckRow,
    CourseRow,
    DoseRow,
    DoseState,
    FollowUpRow,
    InfusionRow,
    InfusionState,
    ProposalRow,
    VitalsRow,
)
from services.infusion_scheduling.domain.availability import TimelinePart
from services.infusion_scheduling.domain.chairs import Chair
from services.infusion_scheduling.domain.course import OpenHold
from shared.contracts.vocabulary import Gate, Verdict
from shared.persistence.database import Row, Tx
from shared.persistence.mapping import made, made_or_none
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.infusion_scheduling.adapters")


def _chair(row: Row) -> Chair:
    return Chair(
        chair_id=row["chair_id"],
        name=row["name"],
        weekdays=tuple(row["weekdays"]),
        opens_at=row["opens_at"],
        closes_at=row["closes_at"],
        visit_minutes=row["visit_minutes"],
    )


def _part_to_json(part: TimelinePart) -> dict[str, object]:
    return {
        "starts_at": part.starts_at.isoformat(),
        "ends_at": part.ends_at.isoformat(),
        "start": part.start.value,
        "plan": part.plan.value,
        "rules": list(part.rules),
    }


def _part_from_json(raw: Row) -> TimelinePart:
    return TimelinePart(
        starts_at=datetime.fromisoformat(raw["starts_at"]),
        ends_at=datetime.fromisoformat(raw["ends_at"]),
        start=Verdict(raw["start"]),
        plan=Verdict(raw["plan"]),
        rules=tuple(raw["rules"]),
    )


def _hold(row: Row) -> OpenHold:
    doses = row["dose_ids"]
    return OpenHold(
        hold_id=row["hold_id"],
        gates=frozenset(Gate(gate) for gate in row["gates"]),
        dose_ids=None if doses is None else frozenset(UUID(dose) for dose in doses),
        by_rule=row["by_rule"],
        recorded_at=row["recorded_at"],
        until=row["until"],
    )


class PostgresScheduleRows:
    """`ScheduleRows` over one transaction; each method is documented at the port."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def insert_chair(self, chair: Chair) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_chair"],
            chair.chair_id,
            chair.name,
            list(chair.weekdays),
            chair.opens_at,
            chair.closes_at,
            chair.visit_minutes,
        )

    async def chairs(self) -> Sequence[Chair]:
        """See the port."""
        return [_chair(row) for row in await self._tx.rows(STATEMENTS["chairs"])]

    async def taken_slots(
        self, since: datetime, but_course: UUID | None
    ) -> frozenset[tuple[UUID, datetime]]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["taken_slots"], since, but_course)
        return frozenset((row["chair_id"], row["starts_at"]) for row in rows)

    async def insert_course(self, course: CourseRow) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_course"],
            course.course_id,
            course.case_id,
            course.schedule,
            course.planned_by,
            course.created_at,
        )

    async def course_by_id(self, course_id: UUID) -> CourseRow | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["course_by_id"], course_id)
        return made_or_none(CourseRow, row)

    async def open_course_of_case(self, case_id: UUID) -> CourseRow | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["open_course_of_case"], case_id)
        return made_or_none(CourseRow, row)

    async def courses_page(self, before: UUID | None, limit: int) -> Sequence[CourseRow]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["courses_page"], before, limit)
        return [made(CourseRow, row) for row in rows]

    async def raise_plan_version(self, course_id: UUID) -> int:
        """See the port."""
        return int(await self._tx.value(STATEMENTS["raise_plan_version"], course_id))

    async def close_course(self, course_id: UUID) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["close_course"], course_id)

    async def insert_infusion(self, infusion: InfusionRow) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_infusion"],
            infusion.infusion_id,
            infusion.course_id,
            infusion.case_id,
            infusion.number,
            infusion.chair_id,
            infusion.starts_at,
            infusion.ends_at,
            infusion.dose_id,
        )

    async def infusions_of_course(self, course_id: UUID) -> Sequence[InfusionRow]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["infusions_of_course"], course_id)
        return [made(InfusionRow, row) for row in rows]

    async def infusion_by_id(self, infusion_id: UUID) -> InfusionRow | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["infusion_by_id"], infusion_id)
        return made_or_none(InfusionRow, row)

    async def infusions_between(
        self, since: datetime, until: datetime, case_id: UUID | None, limit: int
    ) -> Sequence[InfusionRow]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["infusions_between"], since, until, case_id, limit)
        return [made(InfusionRow, row) for row in rows]

    async def suspend_infusions(
        self, suspensions: Sequence[tuple[UUID, str, Sequence[str]]]
    ) -> frozenset[UUID]:
        """See the port."""
        if not suspensions:
            return frozenset()
        ids, causes, rules = zip(*suspensions, strict=True)
        rows = await self._tx.rows(
            STATEMENTS["suspend_infusions"], ids, causes, [dumps(list(some)) for some in rules]
        )
        return frozenset(row["infusion_id"] for row in rows)

    async def reinstate_infusion(self, infusion_id: UUID) -> bool:
        """See the port."""
        return await self._tx.run(STATEMENTS["reinstate_infusion"], infusion_id) == 1

    async def move_infusion(
        self, infusion_id: UUID, chair_id: UUID, starts_at: datetime, ends_at: datetime
    ) -> bool:
        """See the port."""
        statement = STATEMENTS["move_infusion"]
        return await self._tx.run(statement, infusion_id, chair_id, starts_at, ends_at) == 1

    async def bind_dose(self, infusion_id: UUID, dose_id: UUID) -> bool:
        """See the port."""
        return await self._tx.run(STATEMENTS["bind_dose"], infusion_id, dose_id) == 1

    async def set_infusion_state(
        self, infusion_id: UUID, state: InfusionState, attempt: int, start_id: UUID | None
    ) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["set_infusion_state"], infusion_id, state, attempt, start_id)

    async def supersede_proposals(self, course_id: UUID) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["supersede_proposals"], course_id)

    async def insert_proposal(self, proposal: ProposalRow) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_proposal"],
            proposal.proposal_id,
            proposal.course_id,
            proposal.base_version,
            dict(proposal.body),
            proposal.created_at,
        )

    async def proposal_by_id(self, proposal_id: UUID) -> ProposalRow | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["proposal_by_id"], proposal_id)
        return made_or_none(ProposalRow, row)

    async def proposals_of_course(self, course_id: UUID) -> Sequence[ProposalRow]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["proposals_of_course"], course_id)
        return [made(ProposalRow, row) for row in rows]

    async def accept_proposal(self, proposal_id: UUID) -> bool:
        """See the port."""
        return await self._tx.run(STATEMENTS["accept_proposal"], proposal_id) == 1

    async def put_timeline(
        self, case_id: UUID, version: int, parts: Sequence[TimelinePart]
    ) -> bool:
        """See the port."""
        stored = [_part_to_json(part) for part in parts]
        return await self._tx.run(STATEMENTS["put_timeline"], case_id, version, stored) == 1

    async def timeline_of_case(self, case_id: UUID) -> Sequence[TimelinePart] | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["timeline_of_case"], case_id)
        return None if row is None else [_part_from_json(part) for part in row["parts"]]

    async def timeline_version(self, case_id: UUID) -> int | None:
        """See the port."""
        found: int | None = await self._tx.value(STATEMENTS["timeline_version"], case_id)
        return found

    async def put_hold(self, case_id: UUID, hold: OpenHold) -> None:
        """See the port."""
        doses = None if hold.dose_ids is None else sorted(str(d) for d in hold.dose_ids)
        await self._tx.run(
            STATEMENTS["put_hold"],
            hold.hold_id,
            case_id,
            sorted(gate.value for gate in hold.gates),
            doses,
            hold.by_rule,
            hold.recorded_at,
            hold.until,
        )

    async def release_hold(self, case_id: UUID, hold_id: UUID, at: datetime) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["release_hold"], hold_id, case_id, at)

    async def open_holds_of_case(self, case_id: UUID) -> Sequence[OpenHold]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["open_holds_of_case"], case_id)
        return [_hold(row) for row in rows]

    async def put_dose(self, dose: DoseRow) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["put_dose"],
            dose.dose_id,
            dose.case_id,
            dose.batch_id,
            dose.usable_from,
            dose.usable_until,
            dose.ordinal,
        )

    async def set_dose_state(
        self, dose_id: UUID, state: DoseState, usable_until: datetime | None = None
    ) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["set_dose_state"], dose_id, state, usable_until)

    async def put_dose_label(self, dose_id: UUID, label: str) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["put_dose_label"], dose_id, label)

    async def doses_of_case(self, case_id: UUID) -> Sequence[DoseRow]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["doses_of_case"], case_id)
        return [made(DoseRow, row) for row in rows]

    async def put_check(self, check: CheckRow) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["put_check"],
            check.infusion_id,
            check.attempt,
            check.first_by,
            check.second_by,
            check.band,
            check.label,
            check.checked_at,
        )

    async def check_of_attempt(self, infusion_id: UUID, attempt: int) -> CheckRow | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["check_of_attempt"], infusion_id, attempt)
        return made_or_none(CheckRow, row)

    async def insert_vitals(self, vitals: VitalsRow) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_vitals"],
            vitals.vitals_id,
            vitals.infusion_id,
            vitals.phase,
            vitals.taken_at,
            vitals.taken_by,
            {metric: dict(measure) for metric, measure in vitals.measures.items()},
            list(vitals.triggers),
        )

    async def vitals_of_infusion(self, infusion_id: UUID) -> Sequence[VitalsRow]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["vitals_of_infusion"], infusion_id)
        return [made(VitalsRow, row) for row in rows]

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
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_reaction"],
            reaction_id,
            infusion_id,
            scale,
            grade,
            rule,
            graded_by,
            graded_at,
        )

    async def insert_follow_up(self, follow_up: FollowUpRow) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_follow_up"],
            follow_up.follow_up_id,
            follow_up.case_id,
            follow_up.infusion_id,
            follow_up.rule,
            follow_up.due_on,
            follow_up.window_days,
            list(follow_up.items),
        )

    async def follow_ups_page(
        self,
        case_id: UUID | None,
        only_open: bool,
        after: tuple[date, UUID] | None,
        limit: int,
    ) -> Sequence[FollowUpRow]:
        """See the port."""
        due_on, follow_up_id = after or (None, None)
        rows = await self._tx.rows(
            STATEMENTS["follow_ups_page"], case_id, only_open, due_on, follow_up_id, limit
        )
        return [made(FollowUpRow, row) for row in rows]

    async def finish_follow_up(
        self, follow_up_id: UUID, done_on: date, done_by: str
    ) -> tuple[UUID, str] | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["finish_follow_up"], follow_up_id, done_on, done_by)
        return None if row is None else (row["case_id"], row["rule"])

    async def case_of_follow_up(self, follow_up_id: UUID) -> UUID | None:
        """See the port."""
        found: UUID | None = await self._tx.value(STATEMENTS["case_of_follow_up"], follow_up_id)
        return found
