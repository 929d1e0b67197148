"""The feed of alert changes as Server-Sent Events, resumable at any event."""

from collections.abc import AsyncIterator
from typing import Final

from fastapi.sse import ServerSentEvent

from services.notification.application.views import Change, Mark
from services.notification.domain.levels import URGENCY_OF
from services.notification.entrypoints.parts import NotificationParts

#: a change is shown within this time after its commit
POLL_SECONDS: Final = 0.5
#: the reader's rights are looked at again after this time, by signing in anew
STREAM_SECONDS_MAX: Final = 60.0
CHANGES_PER_POLL_MAX: Final = 200
#: a browser comes back after this time
RETRY_MS: Final = 500


async def changes(
    parts: NotificationParts, last_event_id: str | None
) -> AsyncIterator[ServerSentEvent]:
    """Changes after `last_event_id`; without one (or with a strange one) those from now on."""
    mark = Mark.parse(last_event_id) if last_event_id else None
    if mark is None:
        async with parts.uow.database.transaction() as tx:
            mark = await parts.views(tx).end_of_changes()
    yield ServerSentEvent(comment="alerts", id=str(mark), retry=RETRY_MS)
    for _ in range(round(STREAM_SECONDS_MAX / POLL_SECONDS)):
        async with parts.uow.database.transaction() as tx:
            found = await parts.views(tx).changes_after(mark, CHANGES_PER_POLL_MAX)
        for change in found:
            mark = change.mark
            yield _event(change)
        if not found:
            await parts.world.waiter.sleep(POLL_SECONDS)


def _event(change: Change) -> ServerSentEvent:
    return ServerSentEvent(
        id=str(change.mark),
        event="alert",
        data={
            "alert_id": str(change.alert_id),
            "case_id": str(change.case_id),
            "what": change.what,
            "version": change.version,
            "state": change.state,
            "urgency": URGENCY_OF[change.level],
            "changed_at": change.changed_at.isoformat(),
        },
    )
