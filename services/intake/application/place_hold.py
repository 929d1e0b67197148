"""Record a hold: never refused, at once, and honest about what may still be starting."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from services.intake.application.authority_ports import Authority, MayBeRunning, R
from services.intake.application.holding import (
    insert_hold,
    latest_start,
    running_in,
    withdraw_hold,
)
from services.intake.domain.holds import ALL_GATES, POLICY, Hold, HoldOrder, HoldScope
from shared.contracts.vocabulary import Gate, HoldKind, OnRunning, PermitState, Service
from shared.messaging.unit_of_work import Cause, Work
from shared.persistence.database import RetryableError
from shared.protocol import Finding

T = TypeVar("T")

#: an import that has the case for a moment does not turn a hold away; after that one is told
TRIES_MAX: Final = 5


class UnknownCaseError(LookupError):
    """There is no such case."""


class HoldIdTakenError(ValueError):
    """The id names another hold: a repetition must ask for the same one."""


@dataclass(frozen=True, slots=True)
class HoldAnswer:
    """A hold, and what may be under way in its scope, newest first."""

    hold: Hold
    may_be_running: tuple[MayBeRunning, ...]
    is_new: bool
    nobody_was_paged: bool

    @property
    def may_start_until(self) -> datetime | None:
        """The latest time at which something in scope may still start; None: nothing can."""
        return latest_start(self.may_be_running)


async def place_hold(authority: Authority[R], order: HoldOrder, cause: Cause) -> HoldAnswer:
    """The hold, on record. Asked again with the same id, it is that hold in its present state.

    Raises `UnknownCaseError`, `HoldIdTakenError`, and `RetryableError` when others keep the case
    locked: then the hold is NOT on record, and whoever asked must be told so.
    """
    answer = await insisting(authority, cause, lambda work: record_hold(work, order))
    if answer.is_new:
        await tell_holders(authority, answer)
    return answer


async def insisting(
    authority: Authority[R],
    cause: Cause,
    act: Callable[[Work[R]], Awaitable[T]],
    *,
    tries_max: int = TRIES_MAX,
) -> T:
    """What `act` answers, in an urgent transaction that is begun anew while others have the locks.

    Raises `RetryableError` when they keep them: then nothing has changed.
    """
    tries = 0
    while True:
        tries += 1
        try:
            async with authority.unit_of_work.begin(cause, urgent=True) as work:
                return await act(work)
        except RetryableError:
            if tries == tries_max:
                raise


async def record_hold(work: Work[R], order: HoldOrder) -> HoldAnswer:
    """The hold, recorded in this transaction, which locks the case first.

    Raises `UnknownCaseError`, `HoldIdTakenError`.
    """
    rows = work.rows.authority
    if await rows.lock_case(order.case_id) is None:
        raise UnknownCaseError(order.case_id)
    known = await rows.hold(order.hold_id)
    is_new = known is None
    if is_new:
        await insert_hold(work, order)
        known = await rows.hold(order.hold_id)
    if known is None or not known.answers(order):
        raise HoldIdTakenError(order.hold_id)
    running = await running_in(work, known.scope, known.case_id)
    return HoldAnswer(known, running, is_new, await rows.nobody_was_paged(known.hold_id))


async def tell_holders(authority: Authority[R], answer: HoldAnswer) -> None:
    """Those who have a permit in scope were called; the event tells them anyway."""
    out = {m.holder for m in answer.may_be_running if m.state == PermitState.GRANTED}
    await asyncio.gather(*(authority.calls.tell(holder, answer.hold) for holder in sorted(out)))


async def place_rule_hold(
    work: Work[R],
    case_id: UUID,
    finding: Finding,
    gates: frozenset[Gate],
    *,
    on_running: OnRunning = POLICY[HoldKind.RULE].on_running,
    during_infusion: bool = False,
) -> UUID | None:
    """The id of the new hold of this rule and episode, or None when one closes these gates already.

    The record calls it in its own transaction, with the case locked, for every finding with effect
    hold or stop (never for missing or stale evidence), whether or not the gate was already shut.
    `gates` are all that the finding shuts now: a hold over others is replaced, in one transaction,
    so that no other reader of the case ever sees it without.
    `during_infusion`: the finding comes from values measured during a running infusion; it closes
    later attempts and leaves the drip to the stop triggers (start permit, step 6).
    """
    rule, episode = finding.hold_key
    scope = HoldScope(gates)
    known = await work.rows.authority.open_hold_of(case_id, HoldKind.RULE, rule, episode)
    if known is not None:
        if known.scope == scope:
            return None
        await withdraw_hold(work, known, f"rule:{rule}", "other-gates")
    order = HoldOrder(
        hold_id=work.world.ids.new(),
        case_id=case_id,
        kind=HoldKind.RULE,
        scope=scope,
        on_running=OnRunning.TELL if during_infusion else on_running,
        reporter=f"rule:{rule}",
        rule=rule,
        episode=episode,
        evidence=finding.facts,
    )
    await insert_hold(work, order)
    return order.hold_id


async def place_unprocessed_hold(
    work: Work[R], case_id: UUID, consumer: Service, hold_id: UUID
) -> None:
    """A hold because an event of this case waits unprocessed at `consumer`; one per consumer.

    For `case-parked`, and for intake's own parking in that same transaction. The case is locked.
    """
    kind, episode = HoldKind.UNPROCESSED_INFORMATION, consumer.value
    rows = work.rows.authority
    if await rows.open_hold_of(case_id, kind, None, episode) is not None:
        return
    if await rows.hold(hold_id) is not None:
        return  # this parking was held and released before: a redelivery
    order = HoldOrder(
        hold_id=hold_id,
        case_id=case_id,
        kind=kind,
        scope=HoldScope(ALL_GATES),
        on_running=POLICY[kind].on_running,
        reporter=f"service:{consumer.value}",
        episode=episode,
    )
    await insert_hold(work, order)
