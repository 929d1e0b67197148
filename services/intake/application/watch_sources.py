"""A durable timer: cases are told when a source falls silent, and when it is heard again.

Beats cost one row. Only the two ends of a silence reach cases, each as a fact in the case's own
transaction, so that the decisions of that time can be asked again later. What is still to be told
is asked of the record itself: a round that was cut off goes on where it was, and a case opened
during a silence is told like the others. Nothing waits for this timer: the grant and the questions
read the watermarks themselves.
"""

import logging
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.intake.application.ports import IntakeRows
from services.intake.application.record_facts import record_facts
from services.intake.application.rulebooks import Rulebooks
from services.intake.domain.sources import (
    Configured,
    SourceSilence,
    Watermark,
    silent_since,
)
from shared.contracts.coordination import SourceHeardAgain, SourceSilent
from shared.contracts.event import Event
from shared.messaging.unit_of_work import Cause, UnitOfWork

_LOG = logging.getLogger(__name__)
#: one round tells so many cases of a silence, each in its own transaction
CASES_PER_ROUND_MAX: Final = 200
_ACTOR: Final = "service:intake"


class SourceWatch:
    """The timer of one process; the first round puts the settings in force."""

    def __init__(
        self, uow: UnitOfWork[IntakeRows], rulebooks: Rulebooks, sources: Sequence[Configured]
    ) -> None:
        self._uow, self._rulebooks, self._sources = uow, rulebooks, sources
        self._is_configured = False
        self._is_needed = True

    async def __call__(self) -> int:
        """How many cases were told of something."""
        if not self._is_needed:
            return 0
        if not self._is_configured:
            await self._configure()
            self._is_configured = True
        told = 0
        unsettled = await self._turned()
        for silence in unsettled:
            told += await self._tell(silence)
        self._is_needed = bool(self._sources or unsettled)
        return told

    def _cause(self) -> Cause:
        return Cause(_ACTOR, self._uow.world.ids.new())

    async def _configure(self) -> None:
        now = self._uow.world.clock.now()
        async with self._uow.begin(self._cause()) as work:
            await work.rows.sources.put_sources(self._sources, now)
            await work.rows.sources.remove_other_sources([s.name for s in self._sources], now)

    async def _turned(self) -> Sequence[SourceSilence]:
        """Notes silences that began and ended, and returns those of which cases must be told."""
        now = self._uow.world.clock.now()
        async with self._uow.begin(self._cause()) as work:
            marks = {mark.name: mark for mark in await work.rows.sources.watermarks(None)}
            known = await work.rows.sources.unsettled_silences()
            still = {silence.name: silence for silence in known if silence.ended_at is None}
            for name, mark in marks.items():
                if (
                    name not in still
                    and silent_since(self._rulebooks.protocol, mark, now) is not None
                ):
                    await work.rows.sources.begin_silence(
                        _silence_of(mark, work.world.ids.new()), now
                    )
                    _LOG.warning("source_silent", extra={"source": name})
            for name, silence in still.items():
                found = marks.get(name)
                if found is None or silent_since(self._rulebooks.protocol, found, now) is None:
                    await work.rows.sources.end_silence(silence.silence_id, now)
                    _LOG.warning("source_heard_again", extra={"source": name})
            return await work.rows.sources.unsettled_silences()

    async def _tell(self, silence: SourceSilence) -> int:
        async with self._uow.begin(self._cause()) as work:
            cases = await work.rows.sources.cases_not_told(silence, CASES_PER_ROUND_MAX)
            if silence.ended_at is not None and not cases:
                await work.rows.sources.settle(silence.silence_id)
        for case_id in cases:
            await self._tell_case(case_id, silence)
        return len(cases)

    async def _tell_case(self, case_id: UUID, silence: SourceSilence) -> None:
        async with self._uow.begin(self._cause()) as work:
            await work.rows.authority.lock_case(case_id)
            now = await work.rows.sources.silence_standing(silence.silence_id)
            if now is not None and now.ended_at == silence.ended_at:
                done = await record_facts(
                    work, self._rulebooks.protocol, case_id, [now.statement], origin="event"
                )
                if done.recorded:
                    work.emit(_event_of(case_id, now))


def _event_of(case_id: UUID, silence: SourceSilence) -> Event:
    if silence.ended_at is None:
        return SourceSilent(
            case_id=case_id,
            silence_id=silence.silence_id,
            source_name=silence.name,
            feed=silence.feed,
            since=silence.effective,
        )
    return SourceHeardAgain(
        case_id=case_id,
        silence_id=silence.silence_id,
        source_name=silence.name,
        feed=silence.feed,
    )


def _silence_of(mark: Watermark, silence_id: UUID) -> SourceSilence:
    return SourceSilence(
        silence_id=f"silence/{mark.name}/{silence_id}",
        name=mark.name,
        feed=mark.feed,
        site=mark.site,
        effective=mark.heard_at or mark.configured_at,
        heard_at=mark.heard_at,
        ended_at=None,
    )
