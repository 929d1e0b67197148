"""List what would have been held on a day, and which holds were placed: to tune the protocol by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.intake.application.ports import IntakeRows
from services.intake.domain.shadow import Day, PlacedHold, WouldHold, would_have_held

#: a clinic presses a few hundred times a day; the list says when it is cut
ROWS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class ShadowDay:
    """The day's list. `is_cut`: more presses or holds were there; the oldest are told."""

    day: Day
    asked: int
    would_be_granted: int
    lines: Sequence[WouldHold]
    holds: Sequence[PlacedHold]
    is_cut: bool


async def list_shadow_day(
    rows: IntakeRows, day: Day, site: str | None, limit: int = ROWS_MAX
) -> ShadowDay:
    """The list of that day, for one site or for all."""
    asked = await rows.shadow.asked_on(day, site, limit + 1)
    holds = await rows.shadow.held_on(day, site, limit + 1)
    is_cut = max(len(asked), len(holds)) > limit
    asked, holds = asked[:limit], holds[:limit]
    return ShadowDay(
        day=day,
        asked=len(asked),
        would_be_granted=sum(not press.obstacles for press in asked),
        lines=would_have_held(asked),
        holds=holds,
        is_cut=is_cut,
    )
