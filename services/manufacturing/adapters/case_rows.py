"""Cases, timelines and planned infusions over one transaction."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.manufacturing.adapters.statements import STATEMENTS
from services.manufacturing.application.row_ports import KnownCase
from services.manufacturing.domain.planning import Interval, Timeline
from shared.contracts.coordination import TimelineInterval, TimelinePublished
from shared.contracts.vocabulary import Gate, Verdict
from shared.permits.rows import lock_fences
from shared.persistence.database import Tx


class CaseRows:
    """The port `Cases`. The lock of a case is its fence row, as for every holder."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def lock(self, *case_ids: UUID) -> None:
        """Locks these cases, ascending."""
        await lock_fences(self._tx, sorted(set(case_ids)))

    async def find(self, case_id: UUID) -> KnownCase | None:
        """The case."""
        row = await self._tx.row(STATEMENTS["case_by_id"], case_id)
        return None if row is None else KnownCase(**row)

    async def open(self, case_id: UUID) -> None:
        """The case is known."""
        await self._tx.run(STATEMENTS["open_case"], case_id)

    async def withdraw_consent(self, case_id: UUID, on: date) -> None:
        """Consent is withdrawn."""
        await self._tx.run(STATEMENTS["withdraw_consent"], case_id, on)

    async def restore_consent(self, case_id: UUID, signed_on: date) -> None:
        """Consent was signed again, on or after the day of its withdrawal."""
        await self._tx.run(STATEMENTS["restore_consent"], case_id, signed_on)

    async def close(self, case_id: UUID) -> None:
        """The case is closed."""
        await self._tx.run(STATEMENTS["close_case"], case_id)

    async def put_timeline(self, published: TimelinePublished) -> bool:
        """Whether the timeline was newer."""
        changed = await self._tx.run(
            STATEMENTS["put_timeline"],
            published.case_id,
            published.gate.value,
            published.epoch,
            published.timeline_version,
            [_interval_json(i) for i in published.intervals],
        )
        return changed > 0

    async def timeline(self, case_id: UUID, gate: Gate) -> Timeline | None:
        """The newest timeline."""
        found = await self._tx.value(STATEMENTS["timeline"], case_id, gate.value)
        return None if found is None else Timeline(tuple(_interval(i) for i in found))

    async def put_infusion(self, infusion_id: UUID, case_id: UUID, planned_at: datetime) -> None:
        """The infusion is known."""
        await self._tx.run(STATEMENTS["put_infusion"], infusion_id, case_id, planned_at)

    async def case_of_infusion(self, infusion_id: UUID) -> UUID | None:
        """The infusion's case."""
        found: UUID | None = await self._tx.value(STATEMENTS["case_of_infusion"], infusion_id)
        return found


def _interval_json(interval: TimelineInterval) -> dict[str, object]:
    return {
        "from": interval.starts_at.isoformat(),
        "to": interval.ends_at.isoformat(),
        "plan": interval.plan.value,
        "rules": list(interval.rules),
    }


def _interval(document: dict[str, Any]) -> Interval:
    return Interval(
        datetime.fromisoformat(document["from"]),
        datetime.fromisoformat(document["to"]),
        Verdict(document["plan"]),
        tuple(document["rules"]),
    )
