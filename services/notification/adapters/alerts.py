"""Notification's tables behind the port `AlertRows`: each method is one or two named statements."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.notification.application.ports import (
    Answer,
    Claimed,
    DoubtfulHold,
    DueEscalation,
    NewDelivery,
    Origin,
)
from services.notification.domain.alert import (
    Alert,
    AlertFile,
    AnsweredAlert,
    ClosedAlert,
    Content,
    OpenAlert,
)
from services.notification.domain.delivery import Settled
from services.notification.domain.evidence import Evidence, EvidenceKind
from services.notification.domain.levels import Level
from services.notification.domain.routing import Recipients, RosterEntry
from services.notification.domain.streams import StreamState
from shared.contracts.vocabulary import Role, Service
from shared.messaging.reactions import lock_case_rows
from shared.persistence.database import Row, Tx
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.notification.adapters")


class PostgresAlertRows:
    """The tables over one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def lock_case(self, case_id: UUID) -> None:
        """Locks the case's row, alone in its statements."""
        await lock_case_rows(self._tx, [case_id])

    async def knows(self, case_id: UUID, subject: str) -> bool:
        """Whether some alert of the case has evidence with this subject."""
        return bool(await self._tx.value(STATEMENTS["knows_subject"], case_id, subject))

    async def related(self, case_id: UUID, keys: Collection[str]) -> Sequence[Alert]:
        """The case's living alerts, and its closed ones with evidence that shares a key."""
        rows = await self._tx.rows(STATEMENTS["related_alerts"], case_id, sorted(keys))
        return await self._with_evidence(rows)

    async def alert(self, alert_id: UUID) -> Alert | None:
        """One alert with its evidence."""
        rows = await self._tx.rows(STATEMENTS["alert_by_id"], alert_id)
        found = await self._with_evidence(rows)
        return found[0] if found else None

    async def case_of(self, alert_id: UUID) -> UUID | None:
        """The case of an alert."""
        found: UUID | None = await self._tx.value(STATEMENTS["case_of_alert"], alert_id)
        return found

    async def _with_evidence(self, rows: Sequence[Row]) -> list[Alert]:
        if not rows:
            return []
        ids = [row["alert_id"] for row in rows]
        pieces: dict[UUID, list[Evidence]] = {alert_id: [] for alert_id in ids}
        for piece in await self._tx.rows(STATEMENTS["evidence_of_alerts"], ids):
            pieces[piece["alert_id"]].append(evidence_from(piece))
        return [alert_from(row, tuple(pieces[row["alert_id"]])) for row in rows]

    async def put(
        self, alert: Alert, content: Content, told: Recipients | None, now: datetime
    ) -> None:
        """Writes the alert's row."""
        file = alert.file
        closed = alert if isinstance(alert, ClosedAlert) else None
        await self._tx.run(
            STATEMENTS["put_alert"],
            file.alert_id, file.case_id, file.version, state_of(alert), content.level.value,
            content.leading.value, _names(content.roles), file.told_level.value,
            _names(file.told_roles), file.raised_at, file.opened_at,
            None if told is None else _names(told.unreachable),
            None if told is None else told.fallback_used,
            now, closed and closed.reason, closed and closed.closed_at,
        )  # fmt: skip

    async def add_evidence(
        self, alert_id: UUID, evidence: Evidence, origin: Origin, now: datetime, heard_at: datetime
    ) -> None:
        """Adds a piece of evidence."""
        await self._tx.run(
            STATEMENTS["add_evidence"],
            alert_id, evidence.subject, evidence.case_id, evidence.kind.value, evidence.chain,
            evidence.occurred_at, sorted(evidence.keys), evidence.level and evidence.level.value,
            evidence.lasts_until, evidence.resolves, dict(evidence.detail), origin.event_id,
            origin.source and origin.source.value, now, heard_at,
        )  # fmt: skip

    async def add_change(self, alert_id: UUID, what: str, now: datetime) -> None:
        """Adds a line to the feed of changes."""
        await self._tx.run(STATEMENTS["add_change"], alert_id, what, now)

    async def add_delivery(
        self, alert_id: UUID, case_id: UUID, delivery: NewDelivery, now: datetime
    ) -> None:
        """Adds a message, unless there is one already."""
        mail = delivery.channel == "email"
        people = [
            {
                "subject": p.subject,
                "name": p.name,
                "email": p.email,
                "role": p.role and p.role.value,
            }
            for p in delivery.people
        ]
        await self._tx.run(
            STATEMENTS["add_delivery"],
            delivery.delivery_id, alert_id, case_id, delivery.alert_version, delivery.step,
            delivery.channel, delivery.urgency, people,
            [p.email for p in delivery.people] if mail else [],
            "queued" if mail else "sent", now, None if mail else now, delivery.traceparent,
        )  # fmt: skip

    async def drop_deliveries(self, alert_id: UUID, why: str, now: datetime) -> None:
        """Messages of the alert that have not left will not leave."""
        await self._tx.run(STATEMENTS["drop_deliveries"], alert_id, why, now)

    async def add_escalation(
        self, alert_id: UUID, version: int, step: int, due_at: datetime
    ) -> None:
        """Sets the timer of one escalation step."""
        await self._tx.run(STATEMENTS["add_escalation"], alert_id, version, step, due_at)

    async def stop_escalations(self, alert_id: UUID) -> None:
        """The alert's pending steps will not fire."""
        await self._tx.run(STATEMENTS["stop_escalations"], alert_id)

    async def snooze_escalations(self, alert_id: UUID, until: datetime) -> int:
        """Moves pending steps to `until`."""
        return await self._tx.run(STATEMENTS["snooze_escalations"], alert_id, until)

    async def fire_escalation(self, due: DueEscalation, now: datetime) -> bool:
        """True for the one caller that found the step pending."""
        changed = await self._tx.run(
            STATEMENTS["fire_escalation"], due.alert_id, due.alert_version, due.step, now
        )
        return changed == 1

    async def escalations_due(self, now: datetime, limit: int) -> Sequence[DueEscalation]:
        """Pending steps whose time has come."""
        rows = await self._tx.rows(STATEMENTS["escalations_due"], now, limit)
        return [DueEscalation(**row) for row in rows]

    async def steps_fired(self, alert_id: UUID) -> int:
        """The highest escalation step that fired."""
        return int(await self._tx.value(STATEMENTS["steps_fired"], alert_id))

    async def add_answer(self, alert_id: UUID, answer: Answer) -> None:
        """Records who answered this version."""
        await self._tx.run(
            STATEMENTS["add_answer"],
            alert_id, answer.alert_version, answer.kind, answer.subject, answer.name,
            answer.role, answer.reason, answer.note, answer.answered_at,
        )  # fmt: skip

    async def answer(self, alert_id: UUID, version: int) -> Answer | None:
        """The answer to this version."""
        row = await self._tx.row(STATEMENTS["answer_of_version"], alert_id, version)
        return None if row is None else answer_from(row)

    async def claim_delivery(self, now: datetime, until: datetime) -> Claimed | None:
        """Takes the next e-mail that is due for this worker."""
        row = await self._tx.row(STATEMENTS["claim_delivery"], now, until)
        if row is None:
            return None
        context = await self._tx.row(STATEMENTS["claimed_context"], row["alert_id"])
        assert context is not None  # noqa: S101 - a SELECT without FROM has one row
        return Claimed(
            delivery_id=row["delivery_id"], alert_id=row["alert_id"], case_id=row["case_id"],
            alert_version=row["alert_version"], step=row["step"], urgency=row["urgency"],
            addresses=tuple(row["remaining"]), attempt=row["attempt"],
            chain=context["chain"], answer_by=context["answer_by"],
            traceparent=row["traceparent"],
        )  # fmt: skip

    async def settle_delivery(
        self, claimed: Claimed, settled: Settled, due_at: datetime, now: datetime
    ) -> bool:
        """Writes what became of a claimed message."""
        changed = await self._tx.run(
            STATEMENTS["settle_delivery"], claimed.delivery_id, claimed.attempt, settled.state,
            list(settled.remaining), settled.outcome, due_at, now,
        )  # fmt: skip
        return changed == 1

    async def drop_stale_claims(self, now: datetime) -> int:
        """Ends claims that nobody settled of alerts that need no message any more."""
        return await self._tx.run(STATEMENTS["drop_stale_claims"], now)

    async def roster(self, case_id: UUID | None, at: datetime) -> Sequence[RosterEntry]:
        """Entries that count now or later."""
        rows = await self._tx.rows(STATEMENTS["roster_for"], case_id, at)
        return [roster_entry_from(row) for row in rows]

    async def roster_entry(self, entry_id: UUID) -> RosterEntry | None:
        """One entry."""
        row = await self._tx.row(STATEMENTS["roster_entry"], entry_id)
        return None if row is None else roster_entry_from(row)

    async def put_roster_entry(self, entry: RosterEntry) -> None:
        """Adds or replaces an entry."""
        await self._tx.run(
            STATEMENTS["put_roster_entry"],
            entry.entry_id, entry.role.value, entry.subject, entry.name, entry.email,
            entry.case_id, entry.starts_at, entry.ends_at,
        )  # fmt: skip

    async def holds_not_effective(self, before: datetime, limit: int) -> Sequence[DoubtfulHold]:
        """Recorded holds heard of before `before` and not told to be effective or released."""
        rows = await self._tx.rows(STATEMENTS["holds_not_effective"], before, limit)
        return [DoubtfulHold(r["case_id"], UUID(r["hold_id"]), r["chain"]) for r in rows]

    async def oldest_unacknowledged(self) -> datetime | None:
        """Since when the oldest alert that must be answered stands open."""
        found: datetime | None = await self._tx.value(STATEMENTS["oldest_unacknowledged"])
        return found

    async def stream_states(self) -> Sequence[StreamState]:
        """The dead-man's state of each source."""
        rows = await self._tx.rows(STATEMENTS["stream_states"])
        return [
            StreamState(Service(r["source"]), r["last_seen_at"], r["broken_since"]) for r in rows
        ]

    async def put_stream_state(self, state: StreamState) -> None:
        """Writes the dead-man's state of a source."""
        await self._tx.run(
            STATEMENTS["put_stream_state"], state.source.value, state.last_seen_at,
            state.broken_since,
        )  # fmt: skip

    async def last_heartbeats(self) -> Mapping[Service, datetime]:
        """When each source was last heard."""
        rows = await self._tx.rows(STATEMENTS["last_heartbeats"])
        return {Service(row["source"]): row["heard_at"] for row in rows}


def _names(roles: Collection[Role]) -> list[str]:
    return [role.value for role in roles]


def state_of(alert: Alert) -> str:
    """The word for the state of an alert."""
    match alert:
        case OpenAlert():
            return "open"
        case AnsweredAlert():
            return alert.answer
        case ClosedAlert():
            return "closed"


def alert_from(row: Row, evidence: tuple[Evidence, ...]) -> Alert:
    """The alert in a row."""
    file = AlertFile(
        alert_id=row["alert_id"],
        case_id=row["case_id"],
        version=row["version"],
        raised_at=row["raised_at"],
        opened_at=row["opened_at"],
        told_level=Level(row["told_level"]),
        told_roles=tuple(Role(name) for name in row["told_roles"]),
        evidence=evidence,
    )
    match row["state"]:
        case "open":
            return OpenAlert(file)
        case "closed":
            return ClosedAlert(file, row["close_reason"], row["closed_at"])
        case answer:
            return AnsweredAlert(file, answer)


def evidence_from(row: Row) -> Evidence:
    """The evidence in a row."""
    return Evidence(
        case_id=row["case_id"],
        kind=EvidenceKind(row["kind"]),
        subject=row["subject"],
        chain=row["chain"],
        occurred_at=row["occurred_at"],
        keys=frozenset(row["keys"]),
        level=Level(row["level"]) if row["level"] else None,
        lasts_until=row["lasts_until"],
        resolves=row["resolves"],
        detail=row["detail"],
    )


def answer_from(row: Row) -> Answer:
    """The answer in a row."""
    return Answer(
        kind=row["kind"],
        alert_version=row["alert_version"],
        subject=row["subject"],
        name=row["name"],
        role=row["role"],
        reason=row["reason"],
        note=row["note"],
        answered_at=row["answered_at"],
    )


def roster_entry_from(row: Row) -> RosterEntry:
    """The roster entry in a row."""
    return RosterEntry(
        entry_id=row["entry_id"],
        role=Role(row["role"]),
        subject=row["subject"],
        name=row["name"],
        email=row["email"],
        case_id=row["case_id"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
    )
