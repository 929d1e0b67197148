"""What the forms' use cases ask of their store. Each method is one SQL statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One version of a filled-in form. `sources` are the source ids of the facts that it made."""

    entry_id: UUID
    version: int
    case_id: UUID
    form: str
    body: Mapping[str, Any]
    sources: Sequence[str]
    withdrawn: bool
    entered_by: str
    entered_at: datetime


class EntryRows(Protocol):
    """The table of filled-in forms."""

    async def insert_entry(self, entry: StoredEntry) -> None:
        """Adds a version."""
        ...

    async def entry(self, case_id: UUID, entry_id: UUID) -> StoredEntry | None:
        """The newest version of an entry."""
        ...

    async def entries_of_case(self, case_id: UUID) -> Sequence[StoredEntry]:
        """All versions of all entries, newest entry first, versions in order."""
        ...
