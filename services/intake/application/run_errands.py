"""A durable timer: what servers notified is fetched, and what never came is asked for.

An errand is claimed by moving its next try, so one whose process died comes back by itself, and no
transaction is open while a server is waited for. Invariant: an errand ends on record, before a
person, or by a person's word; attempts that fail leave it waiting with a later try.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.intake.application.fetch_notified import Fetching, fetch_notified
from services.intake.application.fhir_server import ATTEMPTS_MAX, FetchError, wait_after
from services.intake.application.note_notification import note_notification, subscription_key
from services.intake.application.subscription_ports import (
    Errand,
    ErrandState,
    FhirFeed,
    Settling,
)
from services.intake.domain.event_numbers import Span
from services.intake.domain.fhir_addresses import ForeignAddressError
from shared.messaging.unit_of_work import Cause
from shared.persistence.database import RetryableError, StoreError

_LOG = logging.getLogger(__name__)
#: of one round; a server that is slow keeps only its own errands waiting
ERRANDS_A_ROUND_MAX: Final = 20
#: longer than a round of the slowest server: 20 errands of at most four calls of ten seconds
CLAIMED_FOR: Final = timedelta(minutes=15)
#: so many numbers are asked for at a time; what is still missing is asked for next
EVENTS_ASKED_MAX: Final = 500
#: words of servers that do not offer the operation at all
_NOT_OFFERED: Final = frozenset({"not-found", "not-supported", "not-fhir-json", "deleted"})


@dataclass(frozen=True, slots=True)
class Errands:
    """The timer's work: one round of errands of the configured feeds."""

    fetching: Fetching
    feeds: Mapping[str, FhirFeed]
    #: how much longer than one round a claim holds
    claimed_for: timedelta = CLAIMED_FOR

    async def __call__(self) -> int:
        """How many errands were tried."""
        if not self.feeds:
            return 0
        due = await self._claimed()
        by_feed: dict[str, list[Errand]] = {}
        for errand in due:
            by_feed.setdefault(errand.feed, []).append(errand)
        rounds = [self._round(self.feeds[name], errands) for name, errands in by_feed.items()]
        failures = [e for e in await asyncio.gather(*rounds, return_exceptions=True) if e]
        for failure in sorted(failures, key=lambda e: isinstance(e, StoreError)):
            raise failure  # a bug before a store that is away, which the next round meets again
        return len(due)

    async def _claimed(self) -> Sequence[Errand]:
        uow = self.fetching.unit_of_work
        now = uow.world.machine_clock.now()
        async with uow.begin(Cause("service:intake", uow.world.ids.new())) as work:
            return await work.rows.subscriptions.claim(
                list(self.feeds), now, now + self.claimed_for, ERRANDS_A_ROUND_MAX
            )

    async def _round(self, feed: FhirFeed, errands: Sequence[Errand]) -> None:
        is_away = False
        for errand in errands:
            try:
                settling = await self._done(feed, errand, is_away=is_away)
            except RetryableError:  # somebody has the case
                settling = self._failed(errand, FetchError("record-busy"))
            except FetchError as error:
                is_away = error.code == "unreachable"
                settling = self._failed(errand, error)
            await self._settle(errand, settling)

    async def _done(self, feed: FhirFeed, errand: Errand, *, is_away: bool) -> Settling:
        if errand.reference is not None and errand.attempts > ATTEMPTS_MAX:
            return Settling(ErrandState.PARKED, "keeps-failing")  # here, not at the server
        try:
            key = None if errand.reference is None else feed.base.key_of(errand.reference)
        except ForeignAddressError:
            return Settling(ErrandState.PARKED, "foreign-address")
        if is_away:  # the server was just waited for in vain
            raise FetchError("unreachable", key or errand.subscription)
        if key is None:
            return await self._asked(feed, errand)
        return await fetch_notified(self.fetching, feed, errand, key)

    async def _asked(self, feed: FhirFeed, errand: Errand) -> Settling:
        """What the server remembers of a gap is noted as if it had just been sent."""
        last = min(errand.span.last, errand.span.first + EVENTS_ASKED_MAX - 1)
        span = Span(errand.span.first, last)
        try:
            told = await self.fetching.server.events(feed, errand.subscription, span)
            is_own = subscription_key(feed, told.subscription) == errand.subscription
        except FetchError as error:
            if error.code in _NOT_OFFERED:
                raise FetchError("events-not-offered", error.place) from None
            raise
        except ForeignAddressError:
            is_own = False
        if not is_own:
            raise FetchError("another-resource", f"{errand.subscription}/$events")
        uow = self.fetching.unit_of_work
        async with uow.begin(Cause(f"feed:{feed.name}", errand.errand_id)) as work:
            noted = await note_notification(work, feed, told)
        if noted.repeated:
            raise FetchError("events-missing", f"{errand.subscription}/$events")
        now = uow.world.machine_clock.now()
        return Settling(ErrandState.WAITING, "asked-in-part", next_try_at=now)

    def _failed(self, errand: Errand, error: FetchError) -> Settling:
        wait = wait_after(error, errand.attempts)
        if wait is None:
            return Settling(ErrandState.PARKED, error.code, error.place)
        now = self.fetching.unit_of_work.world.machine_clock.now()
        return Settling(ErrandState.WAITING, error.code, error.place, next_try_at=now + wait)

    async def _settle(self, errand: Errand, settling: Settling) -> None:
        uow = self.fetching.unit_of_work
        async with uow.begin(Cause(f"feed:{errand.feed}", errand.errand_id)) as work:
            now = work.world.clock.now()
            if not await work.rows.subscriptions.settle(errand, settling, now):
                return  # it was filled, or a person was faster
            if settling.state is ErrandState.NOT_HERE:
                await work.rows.subscriptions.count_unknown(errand.feed)
            if settling.state is ErrandState.PARKED:
                work.note("errand-parked", settling.case_id, feed=errand.feed, code=settling.code)
        _LOG.info(
            "errand_tried",
            extra={"source": errand.feed, "state": settling.state, "code": settling.code},
        )
