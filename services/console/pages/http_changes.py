"""The feed by which open pages learn that they should ask for themselves anew."""

from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.console.pages.viewer import Parts, Viewer

router = APIRouter(include_in_schema=False)

#: the viewer's rights are looked at again after this many rounds of waiting
ROUNDS: Final = 6
ROUND_SECONDS: Final = 10.0
#: one change seldom comes alone: a hold brings a dozen within this time
GATHER_SECONDS: Final = 0.2
RETRY_MS: Final = 500


@router.get("/changes", response_class=EventSourceResponse)
async def changes(
    parts: Parts, viewer: Viewer, case: UUID | None = None
) -> AsyncIterator[ServerSentEvent]:
    """An event `changed` whenever something about the case (or any case) has changed.

    It tells nothing else. It comes at most five times a second, and once at the beginning, since
    what changed while nobody was connected is not known.
    """
    noted = parts.changes
    seen = noted.count(case)
    yield ServerSentEvent(event="changed", raw_data=str(seen), retry=RETRY_MS)
    for _ in range(ROUNDS):
        now = await noted.after(seen, case, seconds=ROUND_SECONDS)
        if noted.ended:
            return
        if now > seen:
            await parts.world.waiter.sleep(GATHER_SECONDS)
            seen = noted.count(case)
            yield ServerSentEvent(event="changed", raw_data=str(seen))
