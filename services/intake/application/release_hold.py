"""Release a hold: by a person who may, by its rule when the finding is gone, by its service.

Invariant: the version rises with every release, so that whoever saw the case before looks again.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

from services.intake.application.authority_ports import Authority, R
from services.intake.application.holding import withdraw_hold
from services.intake.domain.holds import Hold, ReleaseRefusal, may_release
from shared.contracts.vocabulary import HoldKind, HoldState, Role, Service
from shared.messaging.unit_of_work import Cause, Work


class UnknownHoldError(LookupError):
    """There is no such hold."""


class ReleaseRefusedError(Exception):
    """This person may not release this hold."""

    def __init__(self, refusal: ReleaseRefusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


async def _everybody(case_id: UUID) -> bool:
    return True


async def release_hold(
    authority: Authority[R],
    hold_id: UUID,
    *,
    roles: frozenset[Role],
    reason: str,
    cause: Cause,
    allowed: Callable[[UUID], Awaitable[bool]] = _everybody,
) -> Hold:
    """The hold, released by the person behind `cause`, in a transaction of its own.

    Raises what `release_in` raises.
    """
    async with authority.unit_of_work.begin(cause, urgent=True) as work:
        return await release_in(work, hold_id, roles=roles, reason=reason, allowed=allowed)


async def release_in(
    work: Work[R],
    hold_id: UUID,
    *,
    roles: frozenset[Role],
    reason: str,
    allowed: Callable[[UUID], Awaitable[bool]] = _everybody,
) -> Hold:
    """The hold, released by the person behind the work. Released before, it is as it was.

    Raises `UnknownHoldError` (also for a case that `allowed` denies), `ReleaseRefusedError`.
    """
    hold = await present_hold(work, hold_id)
    if not await allowed(hold.case_id):
        raise UnknownHoldError(hold_id)
    await work.rows.authority.lock_case(hold.case_id)
    hold = await present_hold(work, hold_id)
    if hold.state is HoldState.RELEASED:
        return hold
    refusal = may_release(hold, work.cause.actor, roles)
    if refusal is not None:
        raise ReleaseRefusedError(refusal)
    await withdraw_hold(work, hold, work.cause.actor, reason)
    return await present_hold(work, hold_id)


async def present_hold(work: Work[R], hold_id: UUID) -> Hold:
    """The hold as it is now. Raises `UnknownHoldError`."""
    hold = await work.rows.authority.hold(hold_id)
    if hold is None:
        raise UnknownHoldError(hold_id)
    return hold


async def release_rule_hold(work: Work[R], case_id: UUID, key: tuple[str, str]) -> bool:
    """Whether there was an open hold of this (rule, episode); it is released.

    The record calls it in its own transaction, with the case locked, when the finding is gone.
    """
    rule, episode = key
    return await _withdraw_open(work, case_id, HoldKind.RULE, rule, episode, f"rule:{rule}")


async def release_unprocessed_hold(work: Work[R], case_id: UUID, consumer: Service) -> bool:
    """Whether there was a hold because `consumer` was behind; it is released. The case is locked.

    For `case-unparked`, and for intake's own unparking in that same transaction.
    """
    kind, episode = HoldKind.UNPROCESSED_INFORMATION, consumer.value
    return await _withdraw_open(work, case_id, kind, None, episode, f"service:{consumer.value}")


async def _withdraw_open(
    work: Work[R], case_id: UUID, kind: HoldKind, rule: str | None, episode: str, releaser: str
) -> bool:
    known = await work.rows.authority.open_hold_of(case_id, kind, rule, episode)
    if known is None:
        return False
    await withdraw_hold(work, known, releaser, None)
    return True
