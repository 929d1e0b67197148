"""The authority's tables in PostgreSQL: one method, one SQL statement."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.intake.application.authority_ports import (
    MayBeRunning,
    OverdueHold,
    PageDue,
    Recovery,
    SettledHold,
)
from services.intake.domain.holds import Hold, HoldOrder, HoldScope
from services.intake.domain.permits import Permit, PermitRequest, Reason
from services.intake.domain.shadow import Advice
from shared.contracts.vocabulary import (
    EffectiveBy,
    Gate,
    HoldKind,
    HoldState,
    OnRunning,
    PermitState,
    Service,
)
from shared.permits.clearance import ClearanceVersion
from shared.persistence.database import Row, Tx
from shared.persistence.mapping import made, made_or_none
from shared.persistence.statements import Statement, load_statements

STATEMENTS: Final[dict[str, Statement]] = dict(
    load_statements("services.intake.adapters", "authority_queries.sql")
)

#: advisory locks of intake's database: one lapser and one pager at a time
_LAPSER: Final = 0x7A6E_6C61
_PAGER: Final = 0x7A6E_7067


async def lock_cases(tx: Tx, case_ids: Sequence[UUID]) -> None:
    """Locks the cases of a consumer's batch, ascending: intake's `lock_cases`.

    Raises `LockTimeoutError` when one of them is busy for longer than the lock time-out.
    """
    await tx.rows(STATEMENTS["lock_cases"], sorted(case_ids))


class AuthorityStore:
    """Implements `AuthorityRows` over one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def insert_clearance(self, case_id: UUID) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["insert_clearance"], case_id)

    async def lock_case(self, case_id: UUID) -> ClearanceVersion | None:
        """See the port."""
        return _clearance(await self._tx.row(STATEMENTS["lock_case"], case_id))

    async def view(self, case_id: UUID) -> ClearanceVersion:
        """See the port."""
        seen = _clearance(await self._tx.row(STATEMENTS["view"], case_id))
        if seen is None:
            raise LookupError(f"case {case_id} has no clearance")
        return seen

    async def raise_version(self, case_id: UUID) -> ClearanceVersion:
        """See the port."""
        raised = _clearance(await self._tx.row(STATEMENTS["raise_version"], case_id))
        if raised is None:
            raise LookupError(f"case {case_id} has no clearance")
        return raised

    async def hold(self, hold_id: UUID) -> Hold | None:
        """See the port."""
        return _hold_or_none(await self._tx.row(STATEMENTS["hold_by_id"], hold_id))

    async def open_holds(self, case_id: UUID) -> list[Hold]:
        """See the port."""
        return [_hold(row) for row in await self._tx.rows(STATEMENTS["open_holds"], case_id)]

    async def open_rule_gates(self, case_id: UUID) -> Mapping[tuple[str, str], frozenset[Gate]]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["open_rule_gates"], case_id)
        return {(row["rule"], row["episode"]): frozenset(map(Gate, row["gates"])) for row in rows}

    async def open_hold_of(
        self, case_id: UUID, kind: HoldKind, rule: str | None, episode: str
    ) -> Hold | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["open_hold_of"], case_id, kind.value, rule, episode)
        return _hold_or_none(row)

    async def insert_hold(
        self, order: HoldOrder, clearance: ClearanceVersion, recorded_at: datetime,
        committed_at: datetime,
    ) -> None:  # fmt: skip
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_hold"],
            order.hold_id,
            order.case_id,
            order.kind.value,
            order.rule,
            order.episode,
            sorted(order.scope.gates),
            _doses(order.scope),
            clearance.epoch,
            clearance.version,
            order.on_running.value,
            order.reporter,
            order.reason,
            list(order.evidence),
            order.review_at,
            recorded_at,
            committed_at,
        )

    async def wait_for_permits(self, order: HoldOrder) -> int:
        """See the port."""
        return await self._tx.run(
            STATEMENTS["wait_for_permits"],
            order.hold_id,
            order.case_id,
            sorted(order.scope.gates),
            _doses(order.scope),
        )

    async def wait_for_holders(self, hold_id: UUID, holders: Sequence[Service]) -> None:
        """See the port."""
        names = [holder.value for holder in holders]
        await self._tx.run(STATEMENTS["wait_for_holders"], hold_id, names)

    async def settle(self, case_id: UUID, by: EffectiveBy, at: datetime) -> list[SettledHold]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["settle"], case_id, by.value, at)
        return [SettledHold(row["hold_id"], row["case_id"]) for row in rows]

    async def is_own_history(self) -> bool:
        """See the port."""
        return bool(await self._tx.value(STATEMENTS["is_own_history"]))

    async def keep_history(self) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["keep_history"])

    async def recovery(self) -> Recovery | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["recovery"])
        return made_or_none(Recovery, row)

    async def acknowledge(
        self, hold_id: UUID, holder: Service, epoch: int, in_flight: str, at: datetime
    ) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["acknowledge"], hold_id, holder.value, epoch, in_flight, at)

    async def stop_waiting_for_holder(self, hold_id: UUID, holder: Service) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["stop_waiting_for_holder"], hold_id, holder.value)

    async def stop_waiting_for_permit(self, permit_id: UUID) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["stop_waiting_for_permit"], permit_id)

    async def stop_waiting(self, hold_id: UUID) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["stop_waiting"], hold_id)

    async def release_hold(
        self, hold_id: UUID, releaser: str, reason: str | None, at: datetime
    ) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["release_hold"], hold_id, releaser, reason, at)

    async def nobody_was_paged(self, hold_id: UUID) -> bool:
        """See the port."""
        return bool(await self._tx.value(STATEMENTS["nobody_was_paged"], hold_id))

    async def may_be_running(self, case_id: UUID) -> list[MayBeRunning]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["may_be_running"], case_id)
        return [_running(row) for row in rows]

    async def granted_permits(self, case_id: UUID) -> list[Permit]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["granted_permits"], case_id)
        return [_permit(row) for row in rows]

    async def permit(self, permit_id: UUID) -> Permit | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["permit_by_id"], permit_id)
        return None if row is None else _permit(row)

    async def rivals(self, request: PermitRequest) -> list[Permit]:
        """See the port."""
        rows = await self._tx.rows(
            STATEMENTS["rivals"],
            request.case_id,
            request.gate.value,
            request.subject_id,
            request.attempt,
            request.dose_id,
        )
        return [_permit(row) for row in rows]

    async def issue_consumed(self, case_id: UUID, dose_id: UUID) -> bool:
        """See the port."""
        return bool(await self._tx.value(STATEMENTS["issue_consumed"], case_id, dose_id))

    async def insert_granted(
        self,
        request: PermitRequest,
        granted: ClearanceVersion,
        boot_id: str,
        now_ns: int,
        ttl_ms: int,
        at: datetime,
        may_start_until: datetime,
    ) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_granted"],
            *_asked(request),
            granted.epoch,
            granted.version,
            boot_id,
            now_ns,
            ttl_ms,
            at,
            may_start_until,
        )

    async def insert_denied(
        self, request: PermitRequest, reasons: Sequence[Reason], at: datetime
    ) -> None:
        """See the port."""
        refusal = [reason.to_json() for reason in reasons]
        await self._tx.run(STATEMENTS["insert_denied"], *_asked(request), refusal, at)

    async def insert_advice(self, advice: Advice) -> None:
        """See the port."""
        request = advice.request
        await self._tx.run(
            STATEMENTS["insert_advice"],
            request.permit_id,
            request.case_id,
            request.gate.value,
            request.holder.value,
            request.subject_id,
            request.attempt,
            request.dose_id,
            request.requested_by,
            advice.view.epoch,
            advice.view.version,
            advice.would_be.value,
            [reason.to_json() for reason in advice.reasons],
            advice.protocol_version,
            advice.asked_at,
        )

    async def insert_outcome(self, permit: Permit, at: datetime) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["insert_outcome"],
            permit.permit_id,
            permit.case_id,
            permit.gate.value,
            permit.holder.value,
            permit.subject_id,
            permit.attempt,
            permit.dose_id,
            permit.state.value,
            at,
        )

    async def set_permit_state(self, permit_id: UUID, state: PermitState, at: datetime) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["set_permit_state"], permit_id, state.value, at)

    async def put_unpermitted(self, start: MayBeRunning, case_id: UUID, attempt: int) -> bool:
        """See the port."""
        added = await self._tx.run(
            STATEMENTS["put_unpermitted"],
            start.start_id,
            case_id,
            start.gate.value,
            start.holder.value,
            start.subject_id,
            attempt,
            start.dose_id,
            start.place,
            start.since,
        )
        return added > 0

    async def end_permit(self, permit_id: UUID, at: datetime) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["end_permit"], permit_id, at)

    async def end_subject(self, subject_id: UUID, gate: Gate, at: datetime) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["end_subject"], subject_id, gate.value, at)

    async def end_start(self, start_id: UUID, at: datetime) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["end_start"], start_id, at)

    async def end_lapsed(self, permit_id: UUID, at: datetime) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["end_lapsed"], permit_id, at)

    async def take_lapser_lock(self) -> bool:
        """See the port."""
        return bool(await self._tx.value(STATEMENTS["take_lock"], _LAPSER))

    async def take_pager_lock(self) -> bool:
        """See the port."""
        return bool(await self._tx.value(STATEMENTS["take_lock"], _PAGER))

    async def is_lapse_work_left(self) -> bool:
        """See the port."""
        return bool(await self._tx.value(STATEMENTS["is_lapse_work_left"]))

    async def permits_out(self, limit: int) -> list[Permit]:
        """See the port."""
        return [_permit(row) for row in await self._tx.rows(STATEMENTS["permits_out"], limit)]

    async def mark_seen(self, permit_id: UUID, boot_id: str, now_ns: int) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["mark_seen"], permit_id, boot_id, now_ns)

    async def lapsed_without_end(self, limit: int) -> list[tuple[Permit, datetime]]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["lapsed_without_end"], limit)
        return [(_permit(row), row["changed_at"]) for row in rows]

    async def move_window(self, boot_id: str, now_ns: int) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["move_window"], boot_id, now_ns)

    async def close_window(self) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["close_window"])

    async def cases_waiting_for_anybody(self) -> list[UUID]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["cases_waiting_for_anybody"])
        return [row["case_id"] for row in rows]

    async def stop_waiting_for_anybody(self, case_id: UUID) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["stop_waiting_for_anybody"], case_id)

    async def lock_all_cases(self) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["lock_all_cases"])

    async def raise_epoch(self, at_least: int) -> int:
        """See the port."""
        return int(await self._tx.value(STATEMENTS["raise_epoch"], at_least))

    async def open_window(
        self, epoch: int, boot_id: str, now_ns: int, at: datetime, reason: str, actor: str
    ) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["open_window"], epoch, boot_id, now_ns, at, reason, actor)

    async def all_cases(self) -> list[UUID]:
        """See the port."""
        return [row["case_id"] for row in await self._tx.rows(STATEMENTS["all_cases"])]

    async def move_to_epoch(self, case_id: UUID, epoch: int) -> ClearanceVersion:
        """See the port."""
        moved = _clearance(await self._tx.row(STATEMENTS["move_to_epoch"], case_id, epoch))
        if moved is None:
            raise LookupError(f"case {case_id} has no clearance")
        return moved

    async def record_anew(self, case_id: UUID, epoch: int) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["record_anew"], case_id, epoch)

    async def cases_of_unfinished_permits(self, holder: Service) -> list[UUID]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["cases_of_unfinished_permits"], holder.value)
        return [row["case_id"] for row in rows]

    async def all_open_holds(self) -> list[Hold]:
        """See the port."""
        return [_hold(row) for row in await self._tx.rows(STATEMENTS["all_open_holds"])]

    async def overdue_holds(
        self,
        acknowledged_before: datetime,
        stopped_before: datetime,
        hold_id: UUID | None,
        limit: int,
    ) -> list[OverdueHold]:
        """See the port."""
        rows = await self._tx.rows(
            STATEMENTS["overdue_holds"], acknowledged_before, stopped_before, hold_id, limit
        )
        return [made(OverdueHold, row) for row in rows]

    async def raise_page(
        self,
        page_id: UUID,
        case_id: UUID,
        hold_id: UUID | None,
        start_id: UUID | None,
        cause: str,
        at: datetime,
    ) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["raise_page"], page_id, case_id, hold_id, start_id, cause, at)

    async def pages_due(self, now: datetime, limit: int) -> list[PageDue]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["pages_due"], now, limit)
        return [made(PageDue, row) for row in rows]

    async def page_tried(
        self, page_id: UUID, next_try_at: datetime, *, is_taken: bool, by_mail: bool
    ) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["page_tried"], page_id, next_try_at, is_taken, by_mail)


def _asked(request: PermitRequest) -> tuple[object, ...]:
    return (
        request.permit_id,
        request.case_id,
        request.gate.value,
        request.holder.value,
        request.subject_id,
        request.attempt,
        request.dose_id,
        request.place,
        request.requested_by,
        request.second_checker,
        request.band_scanned,
    )


def _clearance(row: Row | None) -> ClearanceVersion | None:
    return None if row is None else ClearanceVersion(row["epoch"], row["version"])


def _doses(scope: HoldScope) -> list[UUID] | None:
    return None if scope.dose_ids is None else sorted(scope.dose_ids)


def _hold_or_none(row: Row | None) -> Hold | None:
    return None if row is None else _hold(row)


def _hold(row: Row) -> Hold:
    doses = row["dose_ids"]
    by = row["effective_by"]
    same = ("hold_id", "case_id", "rule", "episode", "reporter", "recorded_at", "committed_at",
            "review_at", "releaser")  # fmt: skip
    return Hold(
        **{name: row[name] for name in same},
        kind=HoldKind(row["kind"]),
        scope=HoldScope(
            frozenset(Gate(gate) for gate in row["gates"]),
            None if doses is None else frozenset(doses),
        ),
        clearance=ClearanceVersion(row["epoch"], row["version"]),
        state=HoldState(row["state"]),
        effective_by=None if by is None else EffectiveBy(by),
        on_running=OnRunning(row["on_running"]),
    )


def _running(row: Row) -> MayBeRunning:
    return MayBeRunning(
        permit_id=row["permit_id"],
        start_id=row["start_id"],
        gate=Gate(row["gate"]),
        holder=Service(row["holder"]),
        subject_id=row["subject_id"],
        dose_id=row["dose_id"],
        place=row["place"],
        state=row["state"],
        since=row["since"],
        until=row["until"],
    )


def _permit(row: Row) -> Permit:
    granted = None
    if row["granted_epoch"] is not None:
        granted = ClearanceVersion(row["granted_epoch"], row["granted_version"])
    same = ("permit_id", "case_id", "subject_id", "attempt", "dose_id", "boot_id",
            "granted_boot_ns", "ttl_ms", "seen_boot_id", "seen_boot_ns", "place",
            "asked_at")  # fmt: skip
    return Permit(
        **{name: row[name] for name in same},
        gate=Gate(row["gate"]),
        holder=Service(row["holder"]),
        granted=granted,
        state=PermitState(row["state"]),
    )
