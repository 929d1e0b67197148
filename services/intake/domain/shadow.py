"""Shadow mode: what a press would have been answered, and the list of what would have been held.

Invariant: an `Advice` is no permit and becomes none; no function takes one and answers a permit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from uuid import UUID

from services.intake.domain.permits import PermitRequest, Reason
from shared.contracts.vocabulary import Gate, HoldKind
from shared.permits.clearance import ClearanceVersion


class WouldBe(StrEnum):
    """What the answer would have been outside shadow mode."""

    GRANTED = "granted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Advice:
    """What a press of start would have been answered; `view` is the clearance it was judged by."""

    request: PermitRequest
    view: ClearanceVersion
    reasons: tuple[Reason, ...]
    protocol_version: str
    asked_at: datetime

    @property
    def would_be(self) -> WouldBe:
        """Refused when there is any reason against it."""
        return WouldBe.REFUSED if self.reasons else WouldBe.GRANTED


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stood against one press: a rule, or (`rule` None) the code of a reason without one."""

    code: str
    rule: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One press on record, as the daily list reads it."""

    case_id: UUID
    gate: Gate
    subject_id: UUID
    asked_at: datetime
    obstacles: tuple[Obstacle, ...]


@dataclass(frozen=True, slots=True)
class WouldHold:
    """One line of the list: this rule would have held this step, `times` times that day."""

    case_id: UUID
    gate: Gate
    subject_id: UUID
    obstacle: Obstacle
    times: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class PlacedHold:
    """A hold that was recorded that day."""

    hold_id: UUID
    case_id: UUID
    kind: HoldKind
    rule: str | None
    gates: tuple[Gate, ...]
    recorded_at: datetime
    released_at: datetime | None


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day of the clinic as instants: 23, 24 or 25 hours, as its clocks go."""

    day: date
    begins: datetime
    ends: datetime


def day_of(day: date, zone: tzinfo) -> Day:
    """The day from its midnight to the next one, in the clinic's zone."""
    return Day(day, _midnight(day, zone), _midnight(day + timedelta(days=1), zone))


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def would_have_held(asked: Iterable[Asked]) -> Sequence[WouldHold]:
    """The presses of a day by case, gate, step and rule; the first asked first.

    A press counts once for each rule that stood against it, however many findings the rule had.
    """
    lines: dict[tuple[UUID, Gate, UUID, Obstacle], list[datetime]] = {}
    for press in asked:
        for obstacle in dict.fromkeys(press.obstacles):
            key = (press.case_id, press.gate, press.subject_id, obstacle)
            lines.setdefault(key, []).append(press.asked_at)
    found = [
        WouldHold(case_id, gate, subject_id, obstacle, len(at), min(at), max(at))
        for (case_id, gate, subject_id, obstacle), at in lines.items()
    ]
    return sorted(found, key=_order)


def _order(line: WouldHold) -> tuple[object, ...]:
    what = line.obstacle
    return (line.first_at, line.case_id, line.gate, line.subject_id, what.code, what.rule or "")
