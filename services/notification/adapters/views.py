"""The read side behind the port `AlertViews`: a page of alerts costs five statements."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.notification.adapters.alerts import (
    STATEMENTS,
    alert_from,
    answer_from,
    evidence_from,
    roster_entry_from,
)
from services.notification.application.views import (
    AlertFilter,
    AlertView,
    Change,
    DeliveryView,
    EscalationView,
    EvidenceView,
    Mark,
)
from services.notification.domain.alert import content_of
from services.notification.domain.levels import Level
from services.notification.domain.routing import Person, RosterEntry, Routes
from shared.contracts.vocabulary import Role
from shared.persistence.database import Row, Tx

_BEGINNING: Final = Mark(0, 0)


class PostgresAlertViews:
    """Reads over one transaction."""

    def __init__(self, tx: Tx, routes: Routes) -> None:
        self._tx = tx
        self._routes = routes

    async def page(
        self, chosen: AlertFilter, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[AlertView]:
        """Alerts, newest first."""
        at, last = after or (None, None)
        rows = await self._tx.rows(
            STATEMENTS["alerts_page"], chosen.states and list(chosen.states),
            chosen.levels and [level.value for level in chosen.levels], chosen.case_id,
            chosen.roles and [role.value for role in chosen.roles], at, last, limit,
        )  # fmt: skip
        return await self._views(rows)

    async def one(self, alert_id: UUID) -> AlertView | None:
        """One alert."""
        found = await self._views(await self._tx.rows(STATEMENTS["alert_by_id"], alert_id))
        return found[0] if found else None

    async def _views(self, rows: Sequence[Row]) -> list[AlertView]:
        if not rows:
            return []
        ids = [row["alert_id"] for row in rows]
        evidence = _grouped(await self._tx.rows(STATEMENTS["evidence_of_alerts"], ids))
        answers = _grouped(await self._tx.rows(STATEMENTS["answers_of_alerts"], ids))
        steps = _grouped(await self._tx.rows(STATEMENTS["escalations_of_alerts"], ids))
        sent = _grouped(await self._tx.rows(STATEMENTS["deliveries_of_alerts"], ids))
        return [
            self._view(row, *(part[row["alert_id"]] for part in (evidence, answers, steps, sent)))
            for row in rows
        ]

    def _view(
        self,
        row: Row,
        evidence: Sequence[Row],
        answers: Sequence[Row],
        steps: Sequence[Row],
        sent: Sequence[Row],
    ) -> AlertView:
        pieces = tuple(evidence_from(piece) for piece in evidence)
        return AlertView(
            alert=alert_from(row, pieces),
            state=row["state"],
            content=content_of(pieces, self._routes),
            evidence=tuple(
                EvidenceView(piece, raw["source"], raw["recorded_at"])
                for piece, raw in zip(pieces, evidence, strict=True)
            ),
            unreachable=tuple(Role(name) for name in row["unreachable"]),
            fallback_used=row["fallback"],
            changed_at=row["changed_at"],
            answers=tuple(answer_from(answer) for answer in answers),
            escalations=tuple(_escalation(step) for step in steps),
            deliveries=tuple(_delivery(delivery) for delivery in sent),
        )

    async def roster_page(
        self, case_id: UUID | None, role: Role | None, after: UUID | None, limit: int, at: datetime
    ) -> Sequence[RosterEntry]:
        """Roster entries that count now or later."""
        rows = await self._tx.rows(
            STATEMENTS["roster_page"], at, case_id, role and role.value, after, limit
        )
        return [roster_entry_from(row) for row in rows]

    async def changes_after(self, mark: Mark, limit: int) -> Sequence[Change]:
        """The next changes, in commit order."""
        rows = await self._tx.rows(STATEMENTS["changes_after"], str(mark.xid), mark.seq, limit)
        return [
            Change(
                Mark(int(row["xid"]), row["seq"]), row["alert_id"], row["case_id"], row["what"],
                row["version"], row["state"], Level(row["level"]), row["changed_at"],
            )
            for row in rows
        ]  # fmt: skip

    async def end_of_changes(self) -> Mark:
        """The place after everything that can be read in order."""
        row = await self._tx.row(STATEMENTS["changes_end"])
        return _BEGINNING if row is None else Mark(int(row["xid"]), row["seq"])


def _grouped(rows: Iterable[Row]) -> defaultdict[UUID, list[Row]]:
    """Rows by alert, in their order."""
    groups: defaultdict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["alert_id"]].append(row)
    return groups


def _escalation(row: Row) -> EscalationView:
    return EscalationView(
        row["alert_version"], row["step"], row["due_at"], row["state"], row["fired_at"]
    )


def _delivery(row: Row) -> DeliveryView:
    people = tuple(
        Person(p["subject"], p["name"], p["email"], Role(p["role"]) if p["role"] else None)
        for p in row["people"]
    )
    return DeliveryView(
        alert_version=row["alert_version"],
        step=row["step"],
        channel=row["channel"],
        people=people,
        remaining=frozenset(row["remaining"]),
        state=row["state"],
        attempt=row["attempt"],
        queued_at=row["queued_at"],
        finished_at=row["finished_at"],
        outcome=row["outcome"],
    )
