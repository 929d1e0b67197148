"""The infusions of a course as planned: which of them stand, and which a change has suspended.

Once an infusion is running, the start record of `shared.permits` tells its state; here it is only
"begun", so that nothing of a plan touches it any more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from services.infusion_scheduling.domain.availability import Availability
from services.infusion_scheduling.domain.placement import Slot
from shared.contracts.vocabulary import Gate

#: a rule's hold speaks of now; what it means for later days is told by the timeline that follows
RULE_HOLD_HORIZON: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Planned:
    """An infusion that may be started when its time comes."""

    infusion_id: UUID
    number: int
    slot: Slot
    dose_id: UUID | None


@dataclass(frozen=True, slots=True)
class Suspended:
    """An infusion that no longer fits. It has no start; its chair is kept until it is moved."""

    infusion_id: UUID
    number: int
    slot: Slot
    dose_id: UUID | None
    cause: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """An infusion that was started, given or given up; no plan moves it."""

    infusion_id: UUID
    number: int
    slot: Slot
    dose_id: UUID | None


Infusion = Planned | Suspended | Begun


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A hold as infusion scheduling knows it. `until` None: no end is known."""

    hold_id: UUID
    gates: frozenset[Gate]
    dose_ids: frozenset[UUID] | None
    by_rule: bool
    recorded_at: datetime
    until: datetime | None

    def closes(self, slot: Slot, dose_id: UUID | None) -> bool:
        """Whether a planned infusion in that slot cannot stay while this hold is open."""
        if Gate.INFUSION not in self.gates:
            return False
        if self.dose_ids is not None and dose_id not in self.dose_ids:
            return False
        end = self.until
        if end is None and self.by_rule:
            end = self.recorded_at + RULE_HOLD_HORIZON
        return end is None or slot.starts_at < end


@dataclass(frozen=True, slots=True)
class Suspension:
    """A planned infusion that has to be suspended, and why."""

    infusion: Planned
    cause: Literal["hold", "timeline"]
    hold_id: UUID | None
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revision:
    """What a change does to a course: who is suspended, and who stands again."""

    suspensions: tuple[Suspension, ...]
    reinstated: tuple[Suspended, ...]


def revise(
    infusions: Iterable[Infusion],
    *,
    availability: Availability | None,
    holds: Sequence[OpenHold],
    now: datetime,
) -> Revision:
    """Brings planned infusions in line with the published timeline and the open holds.

    Without a published timeline only holds speak: absence of news neither suspends nor reinstates.
    Infusions in the past are left alone.
    """
    suspensions: list[Suspension] = []
    reinstated: list[Suspended] = []
    for infusion in infusions:
        match infusion:
            case Planned() if infusion.slot.ends_at > now:
                found = _reason(infusion, availability, holds)
                suspensions.extend([found] if found else [])
            case Suspended(cause="hold" | "timeline") if infusion.slot.starts_at > now:
                if availability is not None and _stands(infusion, availability, holds):
                    reinstated.append(infusion)
            case _:
                pass
    return Revision(tuple(suspensions), tuple(reinstated))


def _reason(
    infusion: Planned, availability: Availability | None, holds: Sequence[OpenHold]
) -> Suspension | None:
    for hold in holds:
        if hold.closes(infusion.slot, infusion.dose_id):
            return Suspension(infusion, "hold", hold.hold_id, ())
    begins = infusion.slot.starts_at
    if availability is None or availability.is_open_at(begins):
        return None
    return Suspension(infusion, "timeline", None, availability.rules_at(begins))


def _stands(infusion: Suspended, availability: Availability, holds: Sequence[OpenHold]) -> bool:
    slot = infusion.slot
    open_again = availability.is_open_at(slot.starts_at)
    return open_again and not any(hold.closes(slot, infusion.dose_id) for hold in holds)
