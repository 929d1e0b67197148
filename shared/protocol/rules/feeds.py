"""A feed that is silent beyond its limit: what it supplies is unknown, whatever was heard before.

Invariant: silence only ever adds a finding, so it never opens a gate and ends no hold that what is
on record asks for; being heard again takes only that finding away. The finding is about evidence
that is not there: planning goes on, and starting does not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.protocol.clinic_time import Moment
from shared.protocol.facts import Silence
from shared.protocol.findings import Effect, Finding, FindingKind, Need
from shared.protocol.loader import Protocol
from shared.protocol.rules.check import Case, Check

SILENT = "DATA-011"
"""The data rule behind what is unknown because its source is silent."""


def silent_from(protocol: Protocol, silence: Silence) -> datetime | None:
    """Return from when on the source counts as silent; None when it was never heard: always.

    A feed that the protocol in force does not know has no limit, so any silence is too long.
    """
    if silence.heard_at is None:
        return None
    row = protocol.feeds.get(silence.feed)
    hours = 0 if row is None else row.silent_after_hours
    return silence.heard_at + timedelta(hours=hours)


def feed_checks(case: Case) -> Iterator[Check]:
    """Yield a check for each silence on record whose feed matters at the gate."""
    for silence in case.record.all(Silence):
        row = case.protocol.feeds.get(silence.feed)
        if row is None or case.covers(row.rule):
            begins = silent_from(case.protocol, silence)
            ends = silence.heard_again_at
            edges = [edge for edge in (begins, ends) if edge is not None]
            yield Check(_SilenceCheck(case, silence, begins), instants=edges)


@dataclass(frozen=True, slots=True)
class _SilenceCheck:
    case: Case
    silence: Silence
    begins: datetime | None

    def __call__(self, at: Moment) -> Sequence[Finding]:
        silence, case = self.silence, self.case
        if self.begins is not None and at.instant < self.begins:
            return ()
        if silence.heard_again_at is not None and at.instant >= silence.heard_again_at:
            return ()
        row = case.protocol.feeds.get(silence.feed)
        rule = case.protocol.rules[SILENT] if row is None else row.rule
        words = case.protocol.sentences
        return (
            case.finding(
                rule,
                "feed.silent" if silence.heard_at is not None else "feed.never",
                episode=f"feed:{silence.source or silence.feed}",
                uses=(silence,),
                effect=Effect.HOLD,
                kind=FindingKind.STALE,
                since=self.begins or silence.effective,
                limit=None if row is None else f"{row.silent_after_hours} h",
                needs=() if row is None else (_need(row.feed, row.owner),),
                feed=words.word(silence.feed),
                sender=silence.source or silence.feed,
                heard=words.time(silence.heard_at, case.time.zone) if silence.heard_at else None,
                items=", ".join(words.word(name) for name in row.supplies) if row else "-",
            ),
        )


def _need(feed: str, owner: str) -> Need:
    """What would clear it is a word from the feed: asking for the evidence anew would not."""
    return Need(feed, owner, data_rule=SILENT)
