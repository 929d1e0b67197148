"""The tables of subscriptions behind `SubscriptionRows`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.intake.application.subscription_ports import (
    Errand,
    ErrandState,
    FeedState,
    Settling,
    Subscription,
    SubscriptionStatus,
)
from services.intake.domain.event_numbers import Span
from shared.persistence.database import Row, Tx
from shared.persistence.mapping import made
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.intake.adapters", "subscription_queries.sql")


class PostgresSubscriptionRows:
    """`SubscriptionRows` over one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add_subscription(self, feed: str, subscription: str, at: datetime) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["add_subscription"], feed, subscription, at)

    async def locked(self, feed: str, subscription: str) -> Subscription:
        """See the port."""
        row = await self._tx.row(STATEMENTS["locked"], feed, subscription)
        if row is None:
            raise LookupError("a subscription is added before it is locked")
        return _subscription(row)

    async def put_subscription(self, subscription: Subscription) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["put_subscription"], subscription.feed, subscription.subscription,
            subscription.run, subscription.highest, subscription.status.value,
            list(subscription.errors), subscription.heard_at, subscription.told_at,
        )  # fmt: skip

    async def subscriptions(self, feed: str | None) -> Sequence[Subscription]:
        """See the port."""
        return [_subscription(r) for r in await self._tx.rows(STATEMENTS["subscriptions"], feed)]

    async def open_gaps(self, feed: str, subscription: str, run: int) -> Sequence[Errand]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["open_gaps"], feed, subscription, run)
        return [_errand(row) for row in rows]

    async def add_errands(self, errands: Sequence[Errand], next_try_at: datetime) -> int:
        """See the port."""
        added = 0
        for one in errands:
            added += await self._tx.run(
                STATEMENTS["add_errand"], one.errand_id, one.feed, one.subscription, one.run,
                one.span.first, one.span.last, one.reference, one.state.value, one.attempts,
                one.noticed_at, next_try_at, one.code,
            )  # fmt: skip
        return added

    async def narrow_gap(self, errand_id: UUID, span: Span | None, at: datetime) -> None:
        """See the port."""
        if span is None:
            await self._tx.run(STATEMENTS["fill_gap"], errand_id, at)
        else:
            await self._tx.run(STATEMENTS["narrow_gap"], errand_id, span.first, span.last)

    async def owed_since(self, feed: str) -> datetime | None:
        """See the port."""
        found: datetime | None = await self._tx.value(STATEMENTS["owed_since"], feed)
        return found

    async def claim(
        self, feeds: Sequence[str], now: datetime, again_at: datetime, limit: int
    ) -> Sequence[Errand]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["claim"], list(feeds), now, again_at, limit)
        return sorted((_errand(row) for row in rows), key=lambda one: one.errand_id)

    async def settle(self, errand: Errand, settling: Settling, at: datetime) -> bool:
        """See the port."""
        is_begun_anew = settling.by is not None and settling.state is ErrandState.WAITING
        settled = await self._tx.run(
            STATEMENTS["settle"], errand.errand_id, errand.state.value, errand.attempts,
            settling.state.value, settling.code, settling.place, settling.case_id,
            settling.next_try_at, at, settling.by, settling.reason, is_begun_anew,
        )  # fmt: skip
        return settled == 1

    async def count_unknown(self, feed: str) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["count_unknown"], feed)

    async def listed(self, after: UUID | None, limit: int) -> Sequence[Errand]:
        """See the port."""
        return [_errand(r) for r in await self._tx.rows(STATEMENTS["listed"], after, limit)]

    async def errand(self, errand_id: UUID) -> Errand | None:
        """See the port."""
        row = await self._tx.row(STATEMENTS["errand"], errand_id)
        return None if row is None else _errand(row)

    async def feed_states(self, configured: Collection[str]) -> Sequence[FeedState]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["feed_states"], list(configured))
        return [made(FeedState, row) for row in rows]


def _subscription(row: Row) -> Subscription:
    return Subscription(
        feed=row["feed"],
        subscription=row["subscription"],
        run=row["run"],
        highest=row["highest"],
        status=SubscriptionStatus(row["status"]),
        errors=tuple(row["errors"]),
        heard_at=row["heard_at"],
        told_at=row["told_at"],
    )


def _errand(row: Row) -> Errand:
    return Errand(
        errand_id=row["errand_id"],
        feed=row["feed"],
        subscription=row["subscription"],
        run=row["run"],
        span=Span(row["first_number"], row["last_number"]),
        reference=row["reference"],
        state=ErrandState(row["state"]),
        attempts=row["attempts"],
        noticed_at=row["noticed_at"],
        code=row["code"],
        place=row["place"],
        case_id=row["case_id"],
    )
