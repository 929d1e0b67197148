"""Who is on duty for which role: entries are added and ended, never erased."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.notification.application.ports import AlertRows
from services.notification.domain.routing import RosterEntry
from shared.messaging.unit_of_work import Work
from shared.web.problems import Problem, not_found


async def add_roster_entry(work: Work[AlertRows], entry: RosterEntry) -> RosterEntry:
    """The entry, on the roster from its start on. Raises `Problem` 422 when it ends before."""
    if entry.ends_at is not None and entry.ends_at <= entry.starts_at:
        raise Problem(422, "ends-before-start", "The duty must end after it starts.")
    if entry.case_id is not None:
        await work.rows.lock_case(entry.case_id)
    await work.rows.put_roster_entry(entry)
    work.note(
        "roster-entry-added", entry.case_id, entry_id=str(entry.entry_id), role=entry.role.value,
        person=entry.subject, starts_at=entry.starts_at.isoformat(),
        ends_at=None if entry.ends_at is None else entry.ends_at.isoformat(),
    )  # fmt: skip
    return entry


async def end_roster_entry(work: Work[AlertRows], entry_id: UUID, at: datetime) -> RosterEntry:
    """The entry, over from `at` on (or from its start, if that is later). Raises `Problem` 404."""
    found = await work.rows.roster_entry(entry_id)
    if found is None:
        raise not_found("roster entry")
    if found.ends_at is not None and found.ends_at <= at:
        return found
    if found.case_id is not None:
        await work.rows.lock_case(found.case_id)
    ended = replace(found, ends_at=max(at, found.starts_at))
    await work.rows.put_roster_entry(ended)
    work.note(
        "roster-entry-ended", found.case_id, entry_id=str(entry_id), role=found.role.value,
        person=found.subject,
    )  # fmt: skip
    return ended
