"""The authority's tables in PostgreSQL: one method, one SQL statement."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.intake.application.authority_ports import MayBeRunning, Recovery, SettledHold
from services.intake.domain.holds import Hold, HoldOrder, HoldScope
from services.intake.domain.permits import Permit
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
from shared.persistence.statements import Statement, load_statements

STATEMENTS: Final[dict[str, Statement]] = dict(
    load_statements("services.intake.adapters", "authority_queries.sql")
)


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

    async def open_rule_keys(self, case_id: UUID) -> frozenset[tuple[str, str]]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["open_rule_keys"], case_id)
        return frozenset((row["rule"], row["episode"]) for row in rows)

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

    async def recovery(self) -> Recovery | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["recovery"])
        return None if row is None else Recovery(**row)

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
