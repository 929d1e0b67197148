"""The coordination record's tables behind `RecordRows`."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import date, datetime
from typing import Final
from uuid import UUID

from services.intake.application.record_ports import (
    CaseSummary,
    NewFact,
    Origin,
    PatientIdentity,
    Product,
    StoredDecision,
    StoredFact,
    StoredTimeline,
)
from shared.persistence.database import Row, Tx
from shared.persistence.mapping import made, made_or_none
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.intake.adapters", "record_queries.sql")


def _timeline(row: Row) -> StoredTimeline:
    return StoredTimeline(
        gate=row["gate"],
        timeline_version=row["timeline_version"],
        body=row["body"],
        verdict=row["verdict"],
        blocking=frozenset((rule, episode) for rule, episode in row["blocking"]),
        next_boundary=row["next_boundary"],
    )


class PostgresRecordRows:
    """`RecordRows` over one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def insert_case(self, case: CaseSummary) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_case"], case.case_id, case.site, case.alias, case.opened_at
        )

    async def insert_identity(self, case_id: UUID, identity: PatientIdentity) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_identity"],
            case_id,
            identity.family_name,
            identity.given_names,
            identity.birth_date,
        )

    async def claim_identifier(self, system: str, value: str, case_id: UUID) -> bool:
        """See the port."""
        return await self._tx.run(STATEMENTS["insert_identifier"], system, value, case_id) == 1

    async def case_by_identifier(self, system: str, value: str) -> UUID | None:
        """See the port."""
        found: UUID | None = await self._tx.value(STATEMENTS["case_by_identifier"], system, value)
        return found

    async def case_summary(self, case_id: UUID) -> CaseSummary | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["case_summary"], case_id)
        return made_or_none(CaseSummary, row)

    async def cases_page(
        self, before: UUID | None, site: str | None, limit: int
    ) -> Sequence[CaseSummary]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["cases_page"], before, site, limit)
        return [made(CaseSummary, row) for row in rows]

    async def identity_of(self, case_id: UUID) -> PatientIdentity | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["identity_of"], case_id)
        return made_or_none(PatientIdentity, row)

    async def insert_facts(
        self,
        case_id: UUID,
        facts: Sequence[NewFact],
        *,
        recorded_at: datetime,
        origin: Origin,
        reporter: str,
    ) -> frozenset[UUID]:
        """See the port."""
        rows = await self._tx.rows(
            STATEMENTS["insert_facts"],
            case_id,
            recorded_at,
            origin,
            reporter,
            [fact.fact_id for fact in facts],
            [fact.source_id for fact in facts],
            [fact.source_version for fact in facts],
            [fact.kind for fact in facts],
            [dict(fact.statement) for fact in facts],
        )
        return frozenset(row["fact_id"] for row in rows)

    async def facts_of_case(
        self, case_id: UUID, as_of: datetime | None = None
    ) -> Sequence[StoredFact]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["facts_of_case"], case_id, as_of)
        return [made(StoredFact, row) for row in rows]

    async def fact_by_id(self, case_id: UUID, fact_id: UUID) -> StoredFact | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["fact_by_id"], fact_id, case_id)
        return made_or_none(StoredFact, row)

    async def insert_decisions(self, decisions: Sequence[StoredDecision]) -> None:
        """See the port."""
        columns = [
            [getattr(decision, field.name) for decision in decisions]
            for field in fields(StoredDecision)
        ]
        await self._tx.run(STATEMENTS["insert_decisions"], *columns)

    async def decision_given(
        self, case_id: UUID, gate: str, at: datetime, recorded_at: datetime
    ) -> StoredDecision | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["decision_given"], case_id, gate, at, recorded_at)
        return made_or_none(StoredDecision, row)

    async def decisions_page(
        self, after: UUID | None, case_id: UUID | None, as_of: datetime | None, limit: int
    ) -> Sequence[StoredDecision]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["decisions_page"], after, case_id, as_of, limit)
        return [made(StoredDecision, row) for row in rows]

    async def timelines_of_case(self, case_id: UUID) -> Sequence[StoredTimeline]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["timelines_of_case"], case_id)
        return [_timeline(row) for row in rows]

    async def put_timeline(self, case_id: UUID, timeline: StoredTimeline) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["put_timeline"],
            case_id,
            timeline.gate,
            timeline.timeline_version,
            list(timeline.body),
            timeline.verdict,
            sorted([rule, episode] for rule, episode in timeline.blocking),
            timeline.next_boundary,
            timeline.made_by,
        )

    async def cases_due(self, now: datetime, limit: int) -> Sequence[UUID]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["cases_due"], now, limit)
        return [row["case_id"] for row in rows]

    async def cases_made_by_others(self, made_by: str, limit: int) -> Sequence[UUID]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["cases_made_by_others"], made_by, limit)
        return [row["case_id"] for row in rows]

    async def count_made_by_others(self, made_by: str) -> int:
        """See the port."""
        found: int = await self._tx.value(STATEMENTS["count_made_by_others"], made_by)
        return found

    async def put_product(self, product: Product) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["put_product"],
            product.dose_id,
            product.case_id,
            product.batch_id,
            product.certificate_id,
            product.state,
            product.form,
            product.formulated_at,
            product.expires_at,
        )

    async def mark_issued(
        self, dose_id: UUID, permit_id: UUID, infusion_id: UUID, usable_until: datetime
    ) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["mark_issued"], dose_id, permit_id, infusion_id, usable_until)

    async def mark_thawed(self, dose_id: UUID, thawed_at: datetime, usable_until: datetime) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["mark_thawed"], dose_id, thawed_at, usable_until)

    async def mark_product_state(self, dose_id: UUID, state: str) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["mark_product_state"], dose_id, state)

    async def product_of_dose(self, dose_id: UUID) -> Product | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["product_of_dose"], dose_id)
        return made_or_none(Product, row)

    async def products_of_case(self, case_id: UUID) -> Sequence[Product]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["products_of_case"], case_id)
        return [made(Product, row) for row in rows]

    async def insert_eligibility(
        self,
        case_id: UUID,
        *,
        eligibility_id: UUID,
        outcome: str,
        advice: str,
        reevaluate_on: date | None,
        reason: str | None,
        signer: str,
        signed_at: datetime,
    ) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_eligibility"],
            eligibility_id,
            case_id,
            outcome,
            advice,
            reevaluate_on,
            reason,
            signer,
            signed_at,
        )

    async def permits_out(self) -> int:
        """See the port."""
        return int(await self._tx.value(STATEMENTS["permits_out"]))
