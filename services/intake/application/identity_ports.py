"""What merging and unmerging patients' records asks of the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from services.intake.domain.identity import (
    ChangeState,
    Identifier,
    RecordedChange,
    Signatures,
)


@dataclass(frozen=True, slots=True)
class Resembling:
    """A case whose patient was born on a day in question."""

    case_id: UUID
    family_name: str | None
    given_names: str | None


@dataclass(frozen=True, slots=True)
class IdentityQuestion:
    """Whether two cases are one person."""

    question_id: UUID
    case_id: UUID
    other_case: UUID
    asked_at: datetime
    answer: str | None


class IdentityRows(Protocol):
    """The tables of identity changes and questions."""

    async def cases_of(self, identifiers: Sequence[Identifier]) -> Sequence[UUID]:
        """The cases that have any of these identifiers, ascending."""
        ...

    async def insert_change(self, change: RecordedChange, reason: str | None) -> None:
        """The change is PENDING."""
        ...

    async def change(self, change_id: UUID) -> RecordedChange | None:
        """The change, or None."""
        ...

    async def same_open_change(self, change: RecordedChange) -> RecordedChange | None:
        """The pending change that says the same."""
        ...

    async def changes(self, before: UUID | None, limit: int) -> Sequence[RecordedChange]:
        """Changes, newest first, before the given id."""
        ...

    async def decide(
        self,
        change_id: UUID,
        state: ChangeState,
        signed: Signatures,
        moved: Sequence[Identifier],
        at: datetime,
    ) -> None:
        """The change is decided; `moved` are the identifiers that changed their case."""
        ...

    async def merge_bringing(
        self, surviving: UUID, identifiers: Sequence[Identifier]
    ) -> RecordedChange | None:
        """The latest merge in force that brought the case any of these identifiers."""
        ...

    async def merge_of(self, surviving: UUID, retired: UUID) -> RecordedChange | None:
        """The merge in force of these two cases."""
        ...

    async def was_unmerged(self, one: UUID, other: UUID) -> bool:
        """Whether a merge of these two cases was taken apart before."""
        ...

    async def move_identifiers(self, retired: UUID, surviving: UUID) -> Sequence[Identifier]:
        """Those of the retired case; they are the surviving case's now."""
        ...

    async def give_back(self, identifiers: Sequence[Identifier], case_id: UUID) -> None:
        """These identifiers are this case's again."""
        ...

    async def retire_case(self, case_id: UUID, into: UUID, at: datetime) -> None:
        """The case is closed and names the one that it was merged into."""
        ...

    async def reopen_case(self, case_id: UUID) -> None:
        """The case is open again and merged into none."""
        ...

    async def merged_into(self, case_id: UUID) -> UUID | None:
        """The case that this one was merged into."""
        ...

    async def note_provenance(self, change_id: UUID, pairs: Sequence[tuple[UUID, UUID]]) -> None:
        """Each (fact, the fact that it was copied from)."""
        ...

    async def copied_sources(self, change_id: UUID) -> Sequence[str]:
        """The source ids of the facts that this change copied, corrections apart."""
        ...

    async def born_on(self, dates: Sequence[date], besides: UUID) -> Sequence[Resembling]:
        """Open cases whose patient was born on one of these days."""
        ...

    async def ask(self, question: IdentityQuestion) -> None:
        """The question is open, unless it was asked before."""
        ...

    async def questions(self, site: str | None, limit: int) -> Sequence[IdentityQuestion]:
        """Unanswered questions about cases of the site, oldest first."""
        ...

    async def question(self, question_id: UUID) -> IdentityQuestion | None:
        """The question, locked until the transaction ends."""
        ...

    async def answer(self, question_id: UUID, answer: str, by: str, at: datetime) -> None:
        """The question is answered."""
        ...
