"""Can this infusion go ahead, and why not: said from what the events told, and nothing more.

The console decides nothing. Invariant: what is not known never reads as "may go ahead": a parked
case, a silent source, a missing timeline or events still waiting give "not known". Even the best
answer only says that nothing on record stands against it, because the start permit alone decides,
at the bedside. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from services.console.pages.words import counted

GO: Final = "go"


class Standing(StrEnum):
    """The answer, from worst to best."""

    CLOSED = "closed"
    NO = "no"
    UNKNOWN = "unknown"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """One interval of a gate's published timeline."""

    gate: str
    starts_at: datetime
    ends_at: datetime
    start: str
    plan: str
    rules: Sequence[str]
    due: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class RuleWords:
    """What the rulebook says of a rule. Empty words for one that this rulebook lacks.

    `evidence`: the item that must be on record and in date, for a rule that asks for nothing else.
    """

    title: str
    override: str
    by: tuple[str, ...]
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Blocking:
    """A rule that stands against the step, and when it ends on the evidence on record."""

    rule: str
    words: RuleWords
    clears_at: datetime | None
    beyond_horizon: bool


@dataclass(frozen=True, slots=True)
class GateState:
    """A gate at one instant. `verdict` None: no interval covers the instant."""

    gate: str
    verdict: str | None
    plan: str | None
    rules: tuple[Blocking, ...]
    due: tuple[Mapping[str, Any], ...]
    next_go: datetime | None
    next_plan: datetime | None

    @property
    def conditions(self) -> tuple[Blocking, ...]:
        """The rules that ask for more than an item of evidence."""
        return tuple(rule for rule in self.rules if rule.words.evidence is None)

    @property
    def evidence(self) -> tuple[Blocking, ...]:
        """The rules that ask for an item of evidence on record and in date."""
        return tuple(rule for rule in self.rules if rule.words.evidence is not None)


@dataclass(frozen=True, slots=True)
class Known:
    """What the first screen is made of."""

    closed_because: str | None
    open_holds: int
    holds_not_effective: int
    parked_at: Sequence[str]
    waiting_events: int
    silent: Sequence[str]
    gate: GateState


@dataclass(frozen=True, slots=True)
class GoAhead:
    """The answer with its sentence, and what is not known."""

    standing: Standing
    sentence: str
    unknown: tuple[str, ...]


def gate_state(
    gate: str, intervals: Sequence[IntervalRow], now: datetime, words: Mapping[str, RuleWords]
) -> GateState:
    """The gate at `now`, by its intervals in order."""
    mine = [interval for interval in intervals if interval.gate == gate]
    current = next((i for i in mine if i.starts_at <= now < i.ends_at), None)
    if current is None:
        return GateState(gate, None, None, (), (), None, None)
    later = [i for i in mine if i.ends_at > now]
    return GateState(
        gate,
        current.start,
        current.plan,
        tuple(_blocking(rule, later, words) for rule in current.rules),
        tuple(current.due),
        next((max(i.starts_at, now) for i in later if i.start == GO), None),
        next((max(i.starts_at, now) for i in later if i.plan == GO), None),
    )


def _blocking(rule: str, later: Sequence[IntervalRow], words: Mapping[str, RuleWords]) -> Blocking:
    ends = next((i.starts_at for i in later if rule not in i.rules), None)
    found = words.get(rule, RuleWords("", "", ()))
    return Blocking(rule, found, ends, ends is None)


def go_ahead(known: Known) -> GoAhead:
    """The answer. A certain no outweighs what is not known; both are said."""
    unknown = tuple(_unknown(known))
    if known.closed_because is not None:
        sentence = f"No: the case is closed ({known.closed_because.replace('_', ' ')})."
        return GoAhead(Standing.CLOSED, sentence, unknown)
    against = _against(known)
    if against:
        return GoAhead(Standing.NO, f"No: {_listed(against)}.", unknown)
    if unknown:
        return GoAhead(Standing.UNKNOWN, "Not known, so it may not start.", unknown)
    sentence = "Nothing on record stands against it now. The start permit decides at the bedside."
    return GoAhead(Standing.CLEAR, sentence, ())


def _against(known: Known) -> Sequence[str]:
    found = []
    if known.open_holds:
        found.append(f"{counted(known.open_holds, 'open hold')}")
    gate = known.gate
    if gate.verdict is not None and gate.verdict != GO:
        if gate.conditions:
            found.append(f"{counted(len(gate.conditions), 'rule')} against it")
        if gate.evidence:
            found.append(f"{counted(len(gate.evidence), 'item')} of evidence missing or too old")
        if not gate.rules:
            found.append(f"the infusion gate says {gate.verdict}")
    return found


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _unknown(known: Known) -> Sequence[str]:
    found = [f"{consumer} has put this case aside (parked)" for consumer in known.parked_at]
    found += [f"no word from {source} for too long" for source in known.silent]
    if known.waiting_events:
        found.append(
            f"{counted(known.waiting_events, 'event')} of this case wait for an earlier one"
        )
    if known.gate.verdict is None:
        found.append("intake has published no timeline of the infusion gate for this moment")
    return found
