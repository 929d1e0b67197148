"""The tables of identity changes and questions behind `IdentityRows`."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from services.intake.application.identity_ports import IdentityQuestion, Resembling
from services.intake.domain.identity import (
    ChangeKind,
    ChangeState,
    Identifier,
    RecordedChange,
    Signatures,
)
from shared.persistence.database import Row, Tx
from shared.persistence.mapping import made, made_or_none
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.intake.adapters", "identity_queries.sql")


def _change(row: Row) -> RecordedChange:
    return RecordedChange(
        change_id=row["change_id"],
        kind=ChangeKind(row["kind"]),
        state=ChangeState(row["state"]),
        case_ids=tuple(row["case_ids"]),
        surviving_case=row["surviving_case"],
        retired_case=row["retired_case"],
        retired_keys=tuple((s, v) for s, v in row["retired_keys"]),
        moved=tuple((s, v) for s, v in row["moved"]),
        source=row["source"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        proposer=row["proposer"],
    )


def _columns(identifiers: Sequence[Identifier]) -> tuple[list[str], list[str]]:
    return [system for system, _ in identifiers], [value for _, value in identifiers]


class PostgresIdentityRows:
    """`IdentityRows` over one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def cases_of(self, identifiers: Sequence[Identifier]) -> Sequence[UUID]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["cases_of"], *_columns(identifiers))
        return [row["case_id"] for row in rows]

    async def insert_change(self, change: RecordedChange, reason: str | None) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_change"],
            change.change_id,
            change.kind.value,
            list(change.case_ids),
            change.surviving_case,
            change.retired_case,
            [list(key) for key in change.retired_keys],
            change.source,
            reason,
            change.occurred_at,
            change.recorded_at,
            change.proposer,
        )

    async def change(self, change_id: UUID) -> RecordedChange | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["change"], change_id)
        return None if row is None else _change(row)

    async def same_open_change(self, change: RecordedChange) -> RecordedChange | None:
        """See the port."""
        row = await self._tx.row(
            STATEMENTS["same_open_change"],
            change.kind.value,
            list(change.case_ids),
            [list(key) for key in change.retired_keys],
            change.surviving_case,
            change.retired_case,
        )
        return None if row is None else _change(row)

    async def changes(self, before: UUID | None, limit: int) -> Sequence[RecordedChange]:
        """See the port."""
        return [_change(row) for row in await self._tx.rows(STATEMENTS["changes"], before, limit)]

    async def decide(
        self,
        change_id: UUID,
        state: ChangeState,
        signed: Signatures,
        moved: Sequence[Identifier],
        at: datetime,
    ) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["decide"],
            change_id,
            state.value,
            signed.first,
            signed.second,
            list(signed.checked),
            [list(key) for key in moved],
            at,
        )

    async def merge_bringing(
        self, surviving: UUID, identifiers: Sequence[Identifier]
    ) -> RecordedChange | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["merge_bringing"], surviving, *_columns(identifiers))
        return None if row is None else _change(row)

    async def merge_of(self, surviving: UUID, retired: UUID) -> RecordedChange | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["merge_of"], surviving, retired)
        return None if row is None else _change(row)

    async def was_unmerged(self, one: UUID, other: UUID) -> bool:
        """See the port."""
        return bool(await self._tx.value(STATEMENTS["was_unmerged"], one, other))

    async def move_identifiers(self, retired: UUID, surviving: UUID) -> Sequence[Identifier]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["move_identifiers"], retired, surviving)
        return sorted((row["system"], row["value"]) for row in rows)

    async def give_back(self, identifiers: Sequence[Identifier], case_id: UUID) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["give_back"], *_columns(identifiers), case_id)

    async def retire_case(self, case_id: UUID, into: UUID, at: datetime) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["retire_case"], case_id, into, at)

    async def reopen_case(self, case_id: UUID) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["reopen_case"], case_id)

    async def merged_into(self, case_id: UUID) -> UUID | None:
        """See the port."""
        found: UUID | None = await self._tx.value(STATEMENTS["merged_into"], case_id)
        return found

    async def note_provenance(self, change_id: UUID, pairs: Sequence[tuple[UUID, UUID]]) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["note_provenance"],
            change_id,
            [fact_id for fact_id, _ in pairs],
            [origin for _, origin in pairs],
        )

    async def copied_sources(self, change_id: UUID) -> Sequence[str]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["copied_sources"], change_id)
        return [row["source_id"] for row in rows]

    async def born_on(self, dates: Sequence[date], besides: UUID) -> Sequence[Resembling]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["born_on"], list(dates), besides)
        return [made(Resembling, row) for row in rows]

    async def ask(self, question: IdentityQuestion) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["ask"],
            question.question_id,
            question.case_id,
            question.other_case,
            question.asked_at,
        )

    async def questions(self, site: str | None, limit: int) -> Sequence[IdentityQuestion]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["questions"], site, limit)
        return [made(IdentityQuestion, row) for row in rows]

    async def question(self, question_id: UUID) -> IdentityQuestion | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["question"], question_id)
        return made_or_none(IdentityQuestion, row)

    async def answer(self, question_id: UUID, answer: str, by: str, at: datetime) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["answer"], question_id, answer, by, at)
