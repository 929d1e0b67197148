"""A notification is noted: its events become errands, and a number that never came becomes one too.

Invariants: what is answered is committed. An event is owed once, however often it is told. Every
number up to the highest that is known was told, or lies in a gap that somebody still has to fill
or to accept. A watermark goes no further than the oldest thing owed of which nobody knows yet whom
it concerns.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from services.intake.application.ports import IntakeRows
from services.intake.application.subscription_ports import (
    Errand,
    ErrandState,
    FhirFeed,
    Notification,
    NotificationKind,
    NotifiedEvent,
    Settling,
    Subscription,
)
from services.intake.domain.event_numbers import Span, left_of, missing
from services.intake.domain.fhir_addresses import ForeignAddressError
from shared.messaging.unit_of_work import Work

_LOG = logging.getLogger(__name__)
#: notifications overtake each other; only what is still missing after this long is asked for
GAP_GRACE: Final = timedelta(seconds=10)
_SPEAKS: Final = frozenset(
    {NotificationKind.HANDSHAKE, NotificationKind.HEARTBEAT, NotificationKind.EVENT}
)
#: a reference of another server is shown to a person no longer than this
SHOWN_LENGTH_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Noted:
    """What a notification changed; nothing of it is new when it is `repeated`."""

    subscription: str
    fetches: int
    gaps: int
    repeated: bool


def subscription_key(feed: FhirFeed, reference: str) -> str:
    """`Subscription/id` on the feed's server. Raises `ForeignAddressError`."""
    key = feed.base.key_of(reference)
    if not key.startswith("Subscription/"):
        raise ForeignAddressError("the reference names no Subscription")
    return key


async def note_notification(work: Work[IntakeRows], feed: FhirFeed, told: Notification) -> Noted:
    """What is new with this notification, in this transaction. Raises `ForeignAddressError`."""
    rows, now = work.rows.subscriptions, work.world.clock.now()
    key = subscription_key(feed, told.subscription)
    await rows.add_subscription(feed.name, key, now)
    before = await rows.locked(feed.name, key)
    current = await _begun_anew(work, before) if _begins_anew(before, told) else before
    noting = _Noting(work, feed, current, now)
    fetches = await noting.fetches(told.events)
    closed = await noting.narrowed(told.events)
    gaps = await noting.gaps(told)
    after = _after(current, told, now)
    await rows.put_subscription(after)
    if after.status is not before.status:
        work.note("subscription-status", None, feed=feed.name, status=after.status.value)
        level = logging.INFO if after.status.is_sound else logging.WARNING
        _LOG.log(level, "subscription_status", extra={"source": feed.name, "state": after.status})
    await _heard(work, feed, told, now)
    return Noted(key, fetches, gaps, repeated=not (fetches or gaps or closed))


def _begins_anew(before: Subscription, told: Notification) -> bool:
    """A handshake that counts less than was told before, and was not merely delayed."""
    if told.kind is not NotificationKind.HANDSHAKE or told.told_at is None:
        return False
    is_later = before.told_at is None or told.told_at > before.told_at
    return is_later and (told.events_total or 0) < before.highest


async def _begun_anew(work: Work[IntakeRows], before: Subscription) -> Subscription:
    """The next run. Old gaps can be asked for no more: they go to a person."""
    rows, now = work.rows.subscriptions, work.world.clock.now()
    for gap in await rows.open_gaps(before.feed, before.subscription, before.run):
        await rows.settle(gap, Settling(ErrandState.PARKED, "numbered-anew"), now)
    return replace(before, run=before.run + 1, highest=0)


def _after(current: Subscription, told: Notification, now: datetime) -> Subscription:
    """What is known now; a status that is older than the last one changes nothing of it."""
    highest = _highest(current, told)
    is_older = (
        told.told_at is not None and current.told_at is not None and told.told_at < current.told_at
    )
    if is_older:
        return replace(current, highest=highest, heard_at=now)
    return replace(
        current,
        highest=highest,
        heard_at=now,
        status=told.status,
        errors=told.errors,
        told_at=told.told_at or current.told_at,
    )


def _highest(current: Subscription, told: Notification) -> int:
    return max(current.highest, told.events_total or 0, *(e.number for e in told.events), 0)


def _named(events: Sequence[NotifiedEvent]) -> frozenset[int]:
    """The numbers of which we know what they are about: an event without focus is still owed."""
    return frozenset(event.number for event in events if event.references)


@dataclass(frozen=True, slots=True)
class _Noting:
    work: Work[IntakeRows]
    feed: FhirFeed
    current: Subscription
    now: datetime

    async def fetches(self, events: Sequence[NotifiedEvent]) -> int:
        """How many references are owed newly."""
        owed = [one for event in events for one in self._errands_of(event)]
        return await self._add(owed, timedelta())

    def _errands_of(self, event: NotifiedEvent) -> Iterator[Errand]:
        span = Span(event.number, event.number)
        for reference in event.references:
            try:
                key, code = self.feed.base.key_of(reference), None
            except ForeignAddressError:  # never asked for; a person sees it
                key, code = _shown(reference), "foreign-address"
            state = ErrandState.WAITING if code is None else ErrandState.PARKED
            yield self._errand(span, key, state, code=code)

    async def narrowed(self, events: Sequence[NotifiedEvent]) -> int:
        """How many gaps became smaller, or none."""
        rows, changed = self.work.rows.subscriptions, 0
        at = self.current
        for gap in await rows.open_gaps(at.feed, at.subscription, at.run):
            left = left_of(gap.span, _named(events))
            if left == (gap.span,):
                continue
            changed += 1
            await rows.narrow_gap(gap.errand_id, left[0] if left else None, self.now)
            more = [
                self._errand(span, None, gap.state, code=gap.code, since=gap.noticed_at)
                for span in left[1:]
            ]
            await self._add(more, GAP_GRACE)
        return changed

    async def gaps(self, told: Notification) -> int:
        """How many spans are missing newly."""
        spans = missing(self.current.highest, _named(told.events), _highest(self.current, told))
        return await self._add(
            [self._errand(s, None, ErrandState.WAITING) for s in spans], GAP_GRACE
        )

    def _errand(
        self, span: Span, reference: str | None, state: ErrandState, *,
        code: str | None = None, since: datetime | None = None,
    ) -> Errand:  # fmt: skip
        return Errand(
            errand_id=self.work.world.ids.new(),
            feed=self.feed.name,
            subscription=self.current.subscription,
            run=self.current.run,
            span=span,
            reference=reference,
            state=state,
            attempts=0,
            noticed_at=since or self.now,
            code=code,
        )

    async def _add(self, errands: Sequence[Errand], later: timedelta) -> int:
        next_try_at = self.work.world.machine_clock.now() + later
        return await self.work.rows.subscriptions.add_errands(errands, next_try_at)


def _shown(reference: str) -> str:
    short = reference[:SHOWN_LENGTH_MAX]
    return "".join(mark if mark.isascii() and mark.isprintable() else " " for mark in short)


async def _heard(work: Work[IntakeRows], feed: FhirFeed, told: Notification, now: datetime) -> None:
    """Last in the transaction, as `hear_source` asks: nobody waits for a case behind this row."""
    if told.kind not in _SPEAKS or not told.status.is_sound:
        return
    await work.rows.feeds.heard(feed.name, now, 0)
    owed = await work.rows.subscriptions.owed_since(feed.name)
    await work.rows.sources.hear(feed.name, now if owed is None else min(now, owed))
