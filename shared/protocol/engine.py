"""The pure functions of the protocol: decide, timeline (being filled in)."""

from collections.abc import Iterable
from datetime import date, datetime

from shared.contracts.vocabulary import Gate
from shared.protocol.facts import Fact
from shared.protocol.findings import Decision, Interval
from shared.protocol.loader import Protocol
from shared.protocol.record import Record


def decide(
    protocol: Protocol,
    facts: Iterable[Fact] | Record,
    gate: Gate,
    at: date | datetime,
    *,
    as_of: datetime | None = None,
    assume_other_evidence_current: bool = False,
) -> Decision:
    """Return the decision for one gate at one instant; a day asks about the end of that day."""
    raise NotImplementedError


def timeline(
    protocol: Protocol,
    facts: Iterable[Fact] | Record,
    gate: Gate,
    start: datetime,
    end: datetime,
    *,
    as_of: datetime | None = None,
    assume_other_evidence_current: bool = False,
) -> tuple[Interval, ...]:
    """Return the intervals of `[start, end)` in order; adjacent ones differ."""
    raise NotImplementedError
